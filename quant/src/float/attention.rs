//! Causal attention of the float reference, full or Λ-shaped.

use super::ops::dot;
use crate::hf::LlamaConfig;
use rayon::prelude::*;

/// Λ-shaped attention: each query sees the first `sinks` tokens and the last `window` tokens.
///
/// Sinks are scored with the query rotated at `min(t, sinks + window - 1)` (a ceiling on their distance);
/// until the window has moved off the sinks this is plain causal attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lambda {
    /// First tokens that stay visible.
    pub sinks: usize,
    /// Last tokens that are visible, the current one included; at least 1.
    pub window: usize,
}

impl Lambda {
    /// Position at which the query that scores the sinks is rotated.
    pub fn ceiling(&self, t: usize) -> usize {
        t.min((self.sinks + self.window).saturating_sub(1))
    }

    /// First token of the window of query `t` that is not a sink.
    pub fn window_start(&self, t: usize) -> usize {
        (t + 1).saturating_sub(self.window).max(self.sinks.min(t + 1))
    }
}

/// Queries, keys and values of a block, rotated.
pub(super) struct Inputs<'a> {
    /// `[tokens, heads * head_dim]`, rotated at each token's own position.
    pub q: &'a [f32],
    /// The same queries rotated at [`Lambda::ceiling`]; equal to `q` without Λ.
    pub q_sink: &'a [f32],
    /// `[tokens, kv_heads * head_dim]`, rotated.
    pub k: &'a [f32],
    /// `[tokens, kv_heads * head_dim]`.
    pub v: &'a [f32],
}

/// Attention over one window of tokens; returns `[tokens, heads * head_dim]`.
pub(super) fn attend(c: &LlamaConfig, x: &Inputs<'_>, lambda: Option<Lambda>) -> Vec<f32> {
    let (qw, kw, d) = (c.q_width(), c.kv_width(), c.head_dim);
    let scale = 1.0 / (d as f32).sqrt();
    let mut out = vec![0.0f32; x.q.len()];
    out.par_chunks_mut(qw).enumerate().for_each(|(t, row)| {
        let (sinks, start) = match lambda {
            Some(l) => (l.sinks.min(t + 1), l.window_start(t)),
            None => (0, 0),
        };
        let seen: Vec<usize> = (0..sinks).chain(start..t + 1).collect();
        let mut p = vec![0.0f32; seen.len()];
        for (h, out) in row.chunks_exact_mut(d).enumerate() {
            let kv = h / c.group() * d;
            let q = &x.q[t * qw + h * d..][..d];
            let q_sink = &x.q_sink[t * qw + h * d..][..d];
            for (n, (p, j)) in p.iter_mut().zip(&seen).enumerate() {
                let q = if n < sinks { q_sink } else { q };
                *p = dot(q, &x.k[j * kw + kv..][..d]) * scale;
            }
            softmax(&mut p);
            for (p, j) in p.iter().zip(&seen) {
                for (o, v) in out.iter_mut().zip(&x.v[j * kw + kv..][..d]) {
                    *o += p * v;
                }
            }
        }
    });
    out
}

/// Softmax in place.
fn softmax(p: &mut [f32]) {
    let max = p.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0f32;
    for x in p.iter_mut() {
        *x = (*x - max).exp();
        sum += *x;
    }
    for x in p.iter_mut() {
        *x /= sum;
    }
}
