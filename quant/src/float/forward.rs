//! Forward pass of the float reference over one window of tokens.

use super::attention::{Inputs, attend};
use super::ops::{add, linear, rms_norm, silu_mul};
use super::{FloatLayer, FloatModel, Lambda, NoTap, Rope, Site, Tap};
use crate::hf::LlamaConfig;
use crate::perplexity::{Scorer, nll_of_logits};
use crate::{Error, Result};
use rayon::prelude::*;

/// What every layer of a window shares.
pub(crate) struct Window {
    /// Rotation of each position.
    angles: Vec<Vec<(f32, f32)>>,
    lambda: Option<Lambda>,
}

impl Window {
    /// A window of `tokens` tokens from position 0.
    pub fn new(c: &LlamaConfig, tokens: usize, lambda: Option<Lambda>) -> Self {
        let rope = Rope::new(c.head_dim, c.rope_theta);
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
        let window = Window::new(&self.config, tokens.len(), lambda);
        let mut x = self.embed_tokens(tokens)?;
        for (l, layer) in self.layers.iter().enumerate() {
            run_layer(&self.config, (l, &*layer?), &window, &mut x, tap);
        }
        Ok(self.last_norm(&x, tap))
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
        let logits = self.logits(window, None, &mut NoTap)?;
        Ok(nll_of_logits(&logits, self.config.vocab, window))
    }
}
