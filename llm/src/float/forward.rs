//! Forward pass of the float reference over one window of tokens.

use super::attention::{Inputs, attend};
use super::ops::{add, linear, rms_norm, silu_mul};
use super::{FloatModel, LayerAt, Layers, NoTap, Rope, Site, Tap};
use crate::config::LlamaConfig;
use crate::perplexity::{Scorer, nll_of_row, together};
use crate::{Error, Result};
use accllm_hw::lambda::LambdaShape;
use rayon::prelude::*;

/// Elements of the residual streams that are in memory at a time (512 MB).
const STREAMS: usize = 1 << 27;

/// What every layer of a window shares.
pub struct Window {
    /// Position of the first token.
    base: usize,
    /// Rotation of each token.
    angles: Vec<Vec<(f32, f32)>>,
    /// Rotation of each token's query that scores the sinks.
    sink_angles: Vec<Vec<(f32, f32)>>,
    lambda: Option<LambdaShape>,
}

/// Rotated keys and values of a layer that later tokens see: sinks, then the last ones before the window.
#[derive(Default)]
pub(super) struct Past {
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Past {
    /// Bytes.
    pub fn bytes(&self) -> usize {
        4 * (self.k.len() + self.v.len())
    }

    /// Forgets what a token at `end` does not see, of rows of `width`; the last row is of the position before.
    fn trim(&mut self, lambda: LambdaShape, end: usize, width: usize) {
        let near = (self.k.len() / width).saturating_sub(lambda.n_sink);
        let gone = near.saturating_sub(end - (lambda.after_sinks(end as u64) as usize).min(end));
        let at = lambda.n_sink * width;
        if gone > 0 {
            self.k.drain(at..at + gone * width);
            self.v.drain(at..at + gone * width);
        }
    }
}

impl Window {
    /// A window of `tokens` tokens from position 0.
    pub fn new(c: &LlamaConfig, tokens: usize, lambda: Option<LambdaShape>) -> Self {
        Self::at(c, 0, tokens, lambda)
    }

    /// Tokens from position `base` on.
    pub(super) fn at(c: &LlamaConfig, base: usize, tokens: usize, lambda: Option<LambdaShape>) -> Self {
        let rope = Rope::new(c.sizes.head_dim, &c.sizes.rope);
        let positions = base..base + tokens;
        let sink = |l: LambdaShape| {
            positions.clone().map(|p| rope.angles(l.sink_position(p as u64) as usize)).collect()
        };
        Self {
            base,
            angles: positions.clone().map(|p| rope.angles(p)).collect(),
            sink_angles: lambda.map(sink).unwrap_or_default(),
            lambda,
        }
    }
}

/// Runs `layer` on the residual stream `x` of `[tokens, hidden]`.
pub fn run_layer(c: &LlamaConfig, layer: LayerAt<'_>, window: &Window, x: &mut [f32], tap: &mut dyn Tap) {
    run_layer_behind(c, layer, window, &mut Past::default(), x, tap);
}

/// As [`run_layer`], after the tokens of `past`, to which it adds.
pub(super) fn run_layer_behind(
    c: &LlamaConfig,
    layer: LayerAt<'_>,
    window: &Window,
    past: &mut Past,
    x: &mut [f32],
    tap: &mut dyn Tap,
) {
    let LayerAt { l, weights: w } = layer;
    let Window { base, angles, sink_angles, lambda } = window;
    tap.tensor(Site::LayerIn, l, c.sizes.hidden, x);
    let mut a = rms_norm(x, &w.attn_norm, c.norm_eps);
    tap.tensor(Site::AttnNorm, l, c.sizes.hidden, &mut a);
    let [q_raw, mut k, mut v] = w.project(&a, c.norm_eps);
    let mut q = q_raw.clone();
    if c.rotates(l) {
        rotate_rows(&mut q, c.sizes.q_width(), |t| &angles[t]);
        rotate_rows(&mut k, c.sizes.kv_width(), |t| &angles[t]);
    }
    tap.tensor(Site::Query, l, c.sizes.q_width(), &mut q);
    tap.tensor(Site::Key, l, c.sizes.kv_width(), &mut k);
    tap.tensor(Site::Value, l, c.sizes.kv_width(), &mut v);
    let q_sink = lambda.map(|_| {
        let mut q = q_raw;
        if c.rotates(l) {
            rotate_rows(&mut q, c.sizes.q_width(), |t| &sink_angles[t]);
        }
        tap.tensor(Site::Query, l, c.sizes.q_width(), &mut q);
        q
    });
    past.k.extend_from_slice(&k);
    past.v.extend_from_slice(&v);
    let (end, kept) = (base + angles.len(), past.k.len() / c.sizes.kv_width());
    let sinks = lambda.map_or(0, |l| l.n_sink.min(kept));
    let inputs = Inputs {
        q: &q,
        q_sink: q_sink.as_ref().unwrap_or(&q),
        k: &past.k,
        v: &past.v,
        base: *base,
        first: end + sinks - kept,
    };
    let mut o = attend(c, &inputs, *lambda);
    if let Some(lambda) = lambda {
        past.trim(*lambda, end, c.sizes.kv_width());
    }
    tap.tensor(Site::AttnOut, l, c.sizes.q_width(), &mut o);
    add(x, &w.output(&o));
    tap.tensor(Site::Middle, l, c.sizes.hidden, x);

    let mut m = rms_norm(x, &w.mlp_norm, c.norm_eps);
    tap.tensor(Site::MlpNorm, l, c.sizes.hidden, &mut m);
    let [mut gate, mut up] = w.gate_up(&m);
    tap.tensor(Site::Gate, l, c.sizes.ff, &mut gate);
    tap.tensor(Site::Up, l, c.sizes.ff, &mut up);
    let mut h = silu_mul(&gate, &up);
    tap.tensor(Site::DownIn, l, c.sizes.ff, &mut h);
    add(x, &w.down(&h));
    tap.tensor(Site::LayerOut, l, c.sizes.hidden, x);
}

impl FloatModel {
    /// Final-norm output `[tokens, hidden]` of a window that starts at position 0.
    ///
    /// `lambda` limits what each query sees; `tap` sees (and may edit) every [`Site`].
    pub fn hidden(&self, tokens: &[u32], lambda: Option<LambdaShape>, tap: &mut dyn Tap) -> Result<Vec<f32>> {
        let mut all = self.hidden_of(&[tokens], lambda, tap)?;
        Ok(all.pop().unwrap_or_default())
    }

    /// [`FloatModel::hidden`] of several windows of one length, layer by layer: each layer is read once.
    pub fn hidden_of(
        &self,
        windows: &[&[u32]],
        lambda: Option<LambdaShape>,
        tap: &mut dyn Tap,
    ) -> Result<Vec<Vec<f32>>> {
        let shared = Window::new(&self.config, windows.iter().map(|w| w.len()).max().unwrap_or(0), lambda);
        let mut streams = windows.iter().map(|w| self.embed_tokens(w)).collect::<Result<Vec<_>>>()?;
        for (l, layer) in self.layers.iter().enumerate() {
            let layer = layer?;
            for x in &mut streams {
                run_layer(&self.config, layer.at(l), &shared, x, tap);
            }
        }
        Ok(streams.iter().map(|x| self.last_norm(x, tap)).collect())
    }

    /// Windows of which each layer is read once, where it must be read.
    pub fn windows_together(&self, window: usize) -> usize {
        match &self.layers {
            Layers::Resident(_) => together(window),
            Layers::Stored { .. } => (STREAMS / (window * self.config.sizes.hidden).max(1)).max(1),
        }
    }

    /// Negative log likelihoods of each window without the first ones (see [`Scorer::nll_behind`]): windows in
    /// parallel, each layer read once. `tap` makes the tap of one window and layer.
    pub fn nll_of<T: Tap>(
        &self,
        windows: &[(Vec<u32>, usize)],
        lambda: Option<LambdaShape>,
        tap: impl Fn() -> T + Sync,
    ) -> Result<Vec<Vec<f64>>> {
        let longest = windows.iter().map(|w| w.0.len()).max().unwrap_or(0);
        let shared = Window::new(&self.config, longest, lambda);
        let mut streams = windows.iter().map(|w| self.embed_tokens(&w.0)).collect::<Result<Vec<_>>>()?;
        for (l, layer) in self.layers.iter().enumerate() {
            let layer = layer?;
            streams.par_iter_mut().for_each(|x| run_layer(&self.config, layer.at(l), &shared, x, &mut tap()));
        }
        let last = |(x, (w, skip)): (&Vec<f32>, &(Vec<u32>, usize))| {
            let skip = (*skip).min(w.len().saturating_sub(1));
            let hidden = self.last_norm(x, &mut tap());
            self.nll_of_hidden(
                &hidden[skip * self.config.sizes.hidden..],
                w.get(1 + skip..).unwrap_or_default(),
            )
        };
        Ok(streams.par_iter().zip(windows).map(last).collect())
    }

    /// The norm before the head.
    pub fn last_norm(&self, x: &[f32], tap: &mut dyn Tap) -> Vec<f32> {
        let c = &self.config;
        let mut y = rms_norm(x, &self.final_norm, c.norm_eps);
        tap.tensor(Site::FinalNorm, c.sizes.layers, c.sizes.hidden, &mut y);
        y
    }

    /// Logits `[tokens, vocab]` of a window that starts at position 0.
    pub fn logits(&self, tokens: &[u32], lambda: Option<LambdaShape>, tap: &mut dyn Tap) -> Result<Vec<f32>> {
        Ok(linear(&self.hidden(tokens, lambda, tap)?, self.head()))
    }

    /// Negative log likelihoods of `next`, each after a row of [`FloatModel::hidden`]; no more than some tokens'
    /// logits are in memory.
    pub fn nll_of_hidden(&self, hidden: &[f32], next: &[u32]) -> Vec<f64> {
        /// Tokens of a part.
        const PART: usize = 256;
        let c = &self.config;
        let part = |(x, next): (&[f32], &[u32])| -> Vec<f64> {
            let logits = linear(x, self.head());
            logits.chunks_exact(c.sizes.vocab).zip(next).map(|(row, next)| nll_of_row(row, *next)).collect()
        };
        let parts = hidden.par_chunks(PART * c.sizes.hidden).zip(next.par_chunks(PART));
        parts.map(part).collect::<Vec<_>>().concat()
    }

    /// Embedding rows `[tokens, hidden]`.
    pub fn embed_tokens(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        let mut x = Vec::with_capacity(tokens.len() * self.config.sizes.hidden);
        for (t, id) in tokens.iter().enumerate() {
            if *id as usize >= self.embed.rows {
                let vocab = self.embed.rows;
                return Err(Error::Argument(format!("token {id} at position {t} is not below {vocab}")));
            }
            x.extend_from_slice(self.embed.row(*id as usize));
        }
        Ok(x)
    }
}

/// Rotates each `[width]` row by the angles of its token.
fn rotate_rows<'a>(x: &mut [f32], width: usize, angles: impl Fn(usize) -> &'a Vec<(f32, f32)> + Sync) {
    x.par_chunks_mut(width).enumerate().for_each(|(t, row)| Rope::rotate(row, angles(t)));
}

impl Scorer for FloatModel {
    fn nll(&self, window: &[u32]) -> Result<Vec<f64>> {
        self.nll_behind(window, 0)
    }

    fn nll_behind(&self, window: &[u32], skip: usize) -> Result<Vec<f64>> {
        Ok(self.nll_each(&[(window.to_vec(), skip)])?.pop().unwrap_or_default())
    }

    fn nll_each(&self, windows: &[(Vec<u32>, usize)]) -> Result<Vec<Vec<f64>>> {
        self.nll_of(windows, None, || NoTap)
    }

    fn together(&self, window: usize) -> usize {
        self.windows_together(window)
    }
}
