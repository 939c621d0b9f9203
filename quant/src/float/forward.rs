//! Forward pass of the float reference over one window of tokens.

use super::attention::{Inputs, attend};
use super::ops::{add, linear, rms_norm, silu_mul};
use super::{FloatLayer, FloatModel, Lambda, NoTap, Rope, Site, Tap};
use crate::hf::LlamaConfig;
use crate::perplexity::{Scorer, nll_of_logits};
use crate::{Error, Result};
use rayon::prelude::*;

/// Elements of the residual streams that are in memory at a time (512 MB).
const STREAMS: usize = 1 << 27;
/// Tokens whose logits are.
const LOGIT_ROWS: usize = 256;

/// What every layer of a window shares.
pub(crate) struct Window {
    /// Rotation of each position.
    angles: Vec<Vec<(f32, f32)>>,
    lambda: Option<Lambda>,
}

impl Window {
    /// A window of `tokens` tokens from position 0.
    pub fn new(c: &LlamaConfig, tokens: usize, lambda: Option<Lambda>) -> Self {
        let rope = Rope::new(c.head_dim, &c.rope);
        Self { angles: (0..tokens).map(|t| rope.angles(t)).collect(), lambda }
    }
}

/// Runs layer `l` with weights `w` on the residual stream `x` of `[tokens, hidden]`.
pub(crate) fn run_layer(
    c: &LlamaConfig,
    (l, w): (usize, &FloatLayer),
    window: &Window,
    x: &mut [f32],
    tap: &mut dyn Tap,
) {
    let Window { angles, lambda } = window;
    tap.tensor(Site::LayerIn, l, c.hidden, x);
    let mut a = rms_norm(x, &w.attn_norm, c.norm_eps);
    tap.tensor(Site::AttnNorm, l, c.hidden, &mut a);
    let q_raw = linear(&a, &w.q);
    let mut q = q_raw.clone();
    let mut k = linear(&a, &w.k);
    let mut v = linear(&a, &w.v);
    rotate_rows(&mut q, c.q_width(), |t| &angles[t]);
    rotate_rows(&mut k, c.kv_width(), |t| &angles[t]);
    tap.tensor(Site::Query, l, c.q_width(), &mut q);
    tap.tensor(Site::Key, l, c.kv_width(), &mut k);
    tap.tensor(Site::Value, l, c.kv_width(), &mut v);
    let q_sink = lambda.map(|lambda| {
        let mut q = q_raw;
        rotate_rows(&mut q, c.q_width(), |t| &angles[lambda.ceiling(t)]);
        tap.tensor(Site::Query, l, c.q_width(), &mut q);
        q
    });
    let inputs = Inputs { q: &q, q_sink: q_sink.as_ref().unwrap_or(&q), k: &k, v: &v };
    let mut o = attend(c, &inputs, *lambda);
    tap.tensor(Site::AttnOut, l, c.q_width(), &mut o);
    add(x, &linear(&o, &w.o));
    tap.tensor(Site::Middle, l, c.hidden, x);

    let mut m = rms_norm(x, &w.mlp_norm, c.norm_eps);
    tap.tensor(Site::MlpNorm, l, c.hidden, &mut m);
    let mut gate = linear(&m, &w.gate);
    let mut up = linear(&m, &w.up);
    tap.tensor(Site::Gate, l, c.ffn, &mut gate);
    tap.tensor(Site::Up, l, c.ffn, &mut up);
    let mut h = silu_mul(&gate, &up);
    tap.tensor(Site::DownIn, l, c.ffn, &mut h);
    add(x, &linear(&h, &w.down));
    tap.tensor(Site::LayerOut, l, c.hidden, x);
}

impl FloatModel {
    /// Final-norm output `[tokens, hidden]` of a window that starts at position 0.
    ///
    /// `lambda` limits what each query sees; `tap` sees (and may edit) every [`Site`].
    pub fn hidden(&self, tokens: &[u32], lambda: Option<Lambda>, tap: &mut dyn Tap) -> Result<Vec<f32>> {
        let mut all = self.hidden_of(&[tokens], lambda, tap)?;
        Ok(all.pop().unwrap_or_default())
    }

    /// [`FloatModel::hidden`] of several windows of one length, layer by layer: each layer is read once.
    pub(crate) fn hidden_of(
        &self,
        windows: &[&[u32]],
        lambda: Option<Lambda>,
        tap: &mut dyn Tap,
    ) -> Result<Vec<Vec<f32>>> {
        let shared = Window::new(&self.config, windows.iter().map(|w| w.len()).max().unwrap_or(0), lambda);
        let mut streams = windows.iter().map(|w| self.embed_tokens(w)).collect::<Result<Vec<_>>>()?;
        for (l, layer) in self.layers.iter().enumerate() {
            let layer = layer?;
            for x in &mut streams {
                run_layer(&self.config, (l, &layer), &shared, x, tap);
            }
        }
        Ok(streams.iter().map(|x| self.last_norm(x, tap)).collect())
    }

    /// Negative log likelihood of each window (see [`Scorer::nll`]): windows in parallel, in batches that read each
    /// layer once. `tap` makes the tap of one window and layer.
    pub(crate) fn nll_of<T: Tap>(
        &self,
        windows: &[&[u32]],
        lambda: Option<Lambda>,
        tap: impl Fn() -> T + Sync,
    ) -> Result<Vec<Vec<f64>>> {
        let longest = windows.iter().map(|w| w.len()).max().unwrap_or(0);
        let shared = Window::new(&self.config, longest, lambda);
        let batch = (STREAMS / (longest * self.config.hidden).max(1)).max(1);
        let mut out = Vec::with_capacity(windows.len());
        for windows in windows.chunks(batch) {
            let mut streams = windows.iter().map(|w| self.embed_tokens(w)).collect::<Result<Vec<_>>>()?;
            for (l, layer) in self.layers.iter().enumerate() {
                let layer = layer?;
                streams
                    .par_iter_mut()
                    .for_each(|x| run_layer(&self.config, (l, &layer), &shared, x, &mut tap()));
            }
            let last = |(x, w): (&Vec<f32>, &&[u32])| self.nll_of_hidden(&self.last_norm(x, &mut tap()), w);
            out.par_extend(streams.par_iter().zip(windows).map(last));
        }
        Ok(out)
    }

    /// Scores final-norm output `[tokens, hidden]`; logits of a few tokens are in memory at a time.
    fn nll_of_hidden(&self, hidden: &[f32], window: &[u32]) -> Vec<f64> {
        let blocks =
            hidden.chunks(LOGIT_ROWS * self.config.hidden).zip(window.chunks(LOGIT_ROWS)).enumerate();
        let score =
            |(i, (x, _))| nll_of_logits(&linear(x, self.head()), self.head().rows, &window[i * LOGIT_ROWS..]);
        blocks.flat_map(score).collect()
    }

    /// The norm before the head.
    pub(crate) fn last_norm(&self, x: &[f32], tap: &mut dyn Tap) -> Vec<f32> {
        let c = &self.config;
        let mut y = rms_norm(x, &self.final_norm, c.norm_eps);
        tap.tensor(Site::FinalNorm, c.layers, c.hidden, &mut y);
        y
    }

    /// Logits `[tokens, vocab]` of a window that starts at position 0.
    pub fn logits(&self, tokens: &[u32], lambda: Option<Lambda>, tap: &mut dyn Tap) -> Result<Vec<f32>> {
        Ok(linear(&self.hidden(tokens, lambda, tap)?, self.head()))
    }

    /// Embedding rows `[tokens, hidden]`.
    pub(crate) fn embed_tokens(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        let mut x = Vec::with_capacity(tokens.len() * self.config.hidden);
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
        Ok(self.nll_each(&[window])?.pop().unwrap_or_default())
    }

    fn nll_each(&self, windows: &[&[u32]]) -> Result<Vec<Vec<f64>>> {
        self.nll_of(windows, None, || NoTap)
    }
}
