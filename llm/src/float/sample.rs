//! Text that a float model writes itself, for calibration without data (LLM-QAT, arXiv 2305.17888).

use super::ops::{add, dot, linear, rms_norm, silu_mul, softmax};
use super::{FloatModel, LayerAt, Rope};
use crate::simd::{Simd, versions};
use crate::{Error, Result};
use rayon::prelude::*;

/// Sequences that are written side by side.
const SIDE: usize = 64;
/// Tokens after the random first one that are the likeliest; later ones are drawn.
const LIKELIEST: usize = 3;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfText {
    /// Sequences.
    pub sequences: usize,
    /// Tokens of each.
    pub tokens: usize,
    /// Of first tokens and draws.
    pub seed: u64,
}

impl FloatModel {
    /// Sequences one after another, each from a random first token, drawn from the model's own distribution
    /// (temperature 1). `progress` is told of tokens written since it was told before. The same for any number of threads.
    ///
    /// # Errors
    /// No tokens are asked for, or a layer cannot be read.
    pub fn write(&self, what: SelfText, mut progress: impl FnMut(usize)) -> Result<Vec<u32>> {
        if what.sequences == 0 || what.tokens < 2 {
            return Err(Error::Argument(
                "a text of the model's own needs at least one sequence of 2 tokens".into(),
            ));
        }
        let mut text = Vec::new();
        for first in (0..what.sequences).step_by(SIDE) {
            let count = SIDE.min(what.sequences - first);
            let mut writers: Vec<Writer> = (first..first + count)
                .map(|i| {
                    Writer::new(
                        what.seed.wrapping_mul(0x9E37_79B9).wrapping_add(i as u64),
                        self.config.sizes.vocab,
                    )
                })
                .collect();
            let mut caches: Vec<Cache> =
                (0..self.config.sizes.layers).map(|_| vec![Default::default(); count]).collect();
            let rope = Rope::new(self.config.sizes.head_dim, &self.config.sizes.rope);
            for position in 0..what.tokens - 1 {
                let tokens: Vec<u32> = writers.iter().map(Writer::last).collect();
                let logits = self.next_logits(&tokens, position, &rope, &mut caches)?;
                let rows = logits.par_chunks_exact(self.config.sizes.vocab);
                writers.par_iter_mut().zip(rows).for_each(|(w, logits)| w.push(logits, position < LIKELIEST));
                // The first token of each, which is not computed, comes with the second.
                progress(if position == 0 { 2 * count } else { count });
            }
            text.extend(writers.into_iter().flat_map(|w| w.text));
        }
        Ok(text)
    }

    /// Logits after one more token of each sequence, all at `position`.
    fn next_logits(
        &self,
        tokens: &[u32],
        position: usize,
        rope: &Rope,
        caches: &mut [Cache],
    ) -> Result<Vec<f32>> {
        let angles = rope.angles(position);
        let mut x = self.embed_tokens(tokens)?;
        for (l, cache) in caches.iter_mut().enumerate() {
            self.next_layer(self.layer(l)?.at(l), &mut x, &angles, cache);
        }
        Ok(linear(&rms_norm(&x, &self.final_norm, self.config.norm_eps), self.head()))
    }

    fn next_layer(&self, layer: LayerAt<'_>, x: &mut [f32], angles: &[(f32, f32)], cache: &mut Cache) {
        let LayerAt { l, weights: w } = layer;
        let c = &self.config;
        let a = rms_norm(x, &w.attn_norm, c.norm_eps);
        let [mut q, mut k, v] = w.project(&a, c.norm_eps);
        if c.rotates(l) {
            Rope::rotate(&mut q, angles);
            Rope::rotate(&mut k, angles);
        }
        let new = k.par_chunks_exact(c.sizes.kv_width()).zip(v.par_chunks_exact(c.sizes.kv_width()));
        let sequences = cache.par_iter_mut().zip(new).zip(q.par_chunks_exact(c.sizes.q_width()));
        let o: Vec<Vec<f32>> = sequences
            .map(|((past, (k, v)), q)| {
                past.keys.extend_from_slice(k);
                past.values.extend_from_slice(v);
                let heads = q.chunks_exact(c.sizes.head_dim).enumerate();
                heads
                    .flat_map(|(h, q)| {
                        past.attend(q, h / c.sizes.group() * c.sizes.head_dim, c.sizes.kv_width())
                    })
                    .collect()
            })
            .collect();
        add(x, &w.output(&o.concat()));
        let m = rms_norm(x, &w.mlp_norm, c.norm_eps);
        let [gate, up] = w.gate_up(&m);
        add(x, &w.down(&silu_mul(&gate, &up)));
    }
}

/// Keys and values of each sequence.
type Cache = Vec<Past>;

/// Keys and values of one sequence, `[tokens, kv_heads * head_dim]`.
#[derive(Clone, Default)]
struct Past {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Past {
    /// Attention of a query over the columns from `first` on of all tokens.
    fn attend(&self, q: &[f32], first: usize, width: usize) -> Vec<f32> {
        let simd = Simd::best();
        let mut p = scores(simd, q, &self.keys[first..], width);
        softmax(simd, &mut p);
        weigh(simd, &p, &self.values[first..], width, q.len())
    }
}

versions! {
    /// Scaled products of a query and keys `width` apart.
    fn scores(q: &[f32], keys: &[f32], width: usize) -> Vec<f32> {
        let scale = 1.0 / (q.len() as f32).sqrt();
        keys.chunks(width).map(|k| dot(q, &k[..q.len()]) * scale).collect()
    }
}

versions! {
    /// Sum of the first `dims` elements of values `width` apart, weighted by `p`.
    fn weigh(p: &[f32], values: &[f32], width: usize, dims: usize) -> Vec<f32> {
        let mut out = vec![0.0f32; dims];
        for (p, v) in p.iter().zip(values.chunks(width)) {
            out.iter_mut().zip(v).for_each(|(o, v)| *o += p * v);
        }
        out
    }
}

/// A sequence in the making.
struct Writer {
    text: Vec<u32>,
    random: fastrand::Rng,
}

impl Writer {
    fn new(seed: u64, vocab: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Self { text: vec![random.u32(0..vocab as u32)], random }
    }

    fn last(&self) -> u32 {
        self.text.last().copied().unwrap_or(0)
    }

    fn push(&mut self, logits: &[f32], likeliest: bool) {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let best = logits.iter().position(|x| *x == max).unwrap_or(0);
        let mut drawn = || {
            let sum: f64 = logits.iter().map(|x| f64::from((x - max).exp())).sum();
            let mut left = self.random.f64() * sum;
            logits.iter().position(|x| {
                left -= f64::from((x - max).exp());
                left < 0.0
            })
        };
        let next = if likeliest { best } else { drawn().unwrap_or(best) };
        self.text.push(next as u32);
    }
}
