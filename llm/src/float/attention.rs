//! Causal attention of the float reference, full or Λ-shaped.

use super::ops::{product, softmax, view, view_mut};
use crate::config::LlamaConfig;
use crate::simd::Simd;
use accllm_hw::lambda::LambdaShape;
use ndarray::s;
use rayon::prelude::*;
use std::ops::Range;

/// Queries of tokens that follow each other, and the keys and values that they can see, rotated.
pub(super) struct Inputs<'a> {
    /// `[tokens, heads * head_dim]`, rotated at each token's own position.
    pub q: &'a [f32],
    /// The same queries rotated at [`LambdaShape::sink_position`]; equal to `q` without Λ.
    pub q_sink: &'a [f32],
    /// `[kept, kv_heads * head_dim]`, rotated: sinks, then positions from `first` on to that of the last query.
    pub k: &'a [f32],
    /// `[kept, kv_heads * head_dim]`.
    pub v: &'a [f32],
    /// Position of the first query.
    pub base: usize,
    /// Position of the first key after the sinks.
    pub first: usize,
}

/// Queries that are computed together: their products are matrices.
const BLOCK: usize = 128;

/// Attention; returns `[tokens, heads * head_dim]`.
pub(super) fn attend(c: &LlamaConfig, x: &Inputs<'_>, lambda: Option<LambdaShape>) -> Vec<f32> {
    let qw = c.sizes.q_width();
    let mut out = vec![0.0f32; x.q.len()];
    out.par_chunks_mut(BLOCK * qw).enumerate().for_each(|(block, out)| {
        let from = block * BLOCK;
        let queries = from..from + out.len() / qw;
        let mut scores = Vec::new();
        for h in 0..c.sizes.heads {
            head(c, x, lambda, h, queries.clone(), &mut scores, out);
        }
    });
    out
}

/// Softmax over the scores that a query sees, the first `shown` and those of `window`; the others become 0.
fn softmax_of(scores: &mut [f32], shown: usize, window: Range<usize>, seen: &mut Vec<f32>) {
    seen.clear();
    seen.extend_from_slice(&scores[..shown]);
    seen.extend_from_slice(&scores[window.clone()]);
    softmax(Simd::best(), seen);
    scores.fill(0.0);
    scores[..shown].copy_from_slice(&seen[..shown]);
    scores[window].copy_from_slice(&seen[shown..]);
}

/// Head `h` of some queries, by their numbers.
fn head(
    c: &LlamaConfig,
    x: &Inputs<'_>,
    lambda: Option<LambdaShape>,
    h: usize,
    queries: Range<usize>,
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    let (qw, kw, d) = (c.sizes.q_width(), c.sizes.kv_width(), c.sizes.head_dim);
    let (from, n) = (queries.start, queries.len());
    let (kv, scale) = (h / c.sizes.group() * d, 1.0 / (d as f32).sqrt());
    let position = |t: usize| x.base + from + t;
    // Until the window has moved off the sinks this is causal attention, and all keys are there.
    let lambda = lambda.filter(|l| position(n - 1) >= l.n_sink + l.n_window);
    let behind = if lambda.is_some() { x.first } else { 0 };
    // Rows of the sinks, and positions of all windows together.
    let sinks = lambda.map_or(0, |l| l.n_sink.min(x.k.len() / kw));
    let start = |t: usize| lambda.map_or(0, |l| l.after_sinks(position(t) as u64) as usize);
    let (low, high) = (start(0), position(n - 1) + 1);
    let near = high.saturating_sub(low);
    let row = |p: usize| sinks + p - behind;
    let width = sinks + near;
    scores.clear();
    scores.resize(n * width, 0.0);
    let of_head = s![queries.clone(), h * d..(h + 1) * d];
    let (q, q_sink) = (view(x.q, qw).slice_move(of_head), view(x.q_sink, qw).slice_move(of_head));
    let [k, v] = [x.k, x.v].map(|x| view(x, kw).slice_move(s![.., kv..kv + d]));
    // Sinks, and all windows together: the queries that see them, their rows in the cache, their columns among the
    // scores. No product with nothing.
    let parts = [(q_sink, 0..sinks, 0..sinks), (q, row(low)..row(low) + near, sinks..width)];
    let parts = parts.into_iter().filter(|(_, rows, _)| !rows.is_empty());
    let mut all = view_mut(scores, width);
    for (q, rows, columns) in parts.clone() {
        product(q, k.slice(s![rows, ..]).t(), scale, all.slice_mut(s![.., columns]), false);
    }
    let mut seen = Vec::with_capacity(width);
    for (t, scores) in scores.chunks_exact_mut(width).enumerate() {
        let p = position(t);
        // A sink that is not there yet has no score; the window begins after the sinks.
        let shown = sinks.min(p + 1);
        let (a, b) = (sinks + start(t) - low, sinks + (p + 1).saturating_sub(low).max(start(t) - low));
        softmax_of(scores, shown, a..b, &mut seen);
    }
    let (weights, mut out) = (view(scores, width), view_mut(out, qw));
    for (i, (_, rows, columns)) in parts.enumerate() {
        let out = out.slice_mut(s![.., h * d..(h + 1) * d]);
        product(weights.slice(s![.., columns]), v.slice(s![rows, ..]), 1.0, out, i > 0);
    }
}
