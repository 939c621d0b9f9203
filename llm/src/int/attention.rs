//! Rotation, scores, softmax and the attention output of the query heads of a token.

use super::cache::Cache;
use super::kernel::{self, HEADS, KEYS, Simd, rotate_head, z_row};
use crate::model::{LambdaShape, LayerConstants};
use accllm_hw::{fixed, tables};

/// cos and sin rows (Q.14) of one position.
pub(super) type Angles = (Vec<i16>, Vec<i16>);

/// Rotation of a token, for each order of RoPE pairs in the model ([`crate::model::QuantModel::leads`]).
#[derive(Clone)]
pub(super) struct Turns {
    /// At its position.
    pub near: Vec<Angles>,
    /// At the ceiling of the sinks, where that is another.
    pub far: Option<Vec<Angles>>,
}

/// Rotates a head `[hd]` into its padded layout `[hdp]` (RoPE, Hadamard, shift).
pub(super) fn rotate(simd: Simd, head: &[i32], angles: &Angles, shift: u8) -> Vec<i32> {
    let (hd, half) = (head.len(), angles.0.len());
    let mut padded = vec![0i32; 2 * half];
    padded[..hd / 2].copy_from_slice(&head[..hd / 2]);
    padded[half..half + hd / 2].copy_from_slice(&head[hd / 2..]);
    rotate_head(simd, &mut padded, &angles.0, &angles.1, u32::from(shift));
    padded
}

/// A quantized query.
pub(super) struct Query {
    /// Rotated, before quantization.
    pub rot: Vec<i32>,
    /// Codes.
    pub codes: Vec<i8>,
    /// Step.
    pub scale: u16,
    /// Sum of the codes.
    pub sum: i32,
}

impl Query {
    /// Rotates and quantizes a query head.
    pub fn new(simd: Simd, head: &[i32], angles: &Angles, shift: u8) -> Self {
        let rot = rotate(simd, head, angles, shift);
        let scale = fixed::q_step(&rot);
        let inverse = tables::recip(u32::from(scale));
        let codes: Vec<i8> = rot.iter().map(|v| fixed::q_code(*v, inverse)).collect();
        let sum = codes.iter().map(|c| i32::from(*c)).sum();
        Self { rot, codes, scale, sum }
    }
}

/// What attention computes with.
#[derive(Clone, Copy)]
pub(super) struct Attention<'a> {
    pub simd: Simd,
    pub cache: &'a Cache,
    pub lambda: LambdaShape,
    pub constants: &'a LayerConstants,
    /// 16-bit probabilities.
    pub wide: bool,
}

/// Everything attention computes for one token and query head.
#[derive(Default)]
pub(super) struct HeadOutput {
    pub score: Vec<i32>,
    /// In the order of the cache, with gaps of 0; see [`HeadOutput::probabilities`].
    prob: Vec<i16>,
    pub sum: u32,
    pub acc: Vec<i32>,
    pub o8: Vec<i8>,
    /// Where the visible tokens are in `prob`.
    places: Vec<std::ops::Range<usize>>,
}

impl HeadOutput {
    /// The probabilities of the visible tokens.
    pub fn probabilities(&self) -> Vec<i32> {
        self.places.iter().flat_map(|at| self.prob[at.clone()].iter().map(|p| i32::from(*p))).collect()
    }
}

impl Attention<'_> {
    /// Attends with the query heads of KV head `kv` at position `p`: of each, the query of the window and of the
    /// sinks.
    pub fn attend(&self, p: u64, kv: usize, queries: &[(&Query, &Query)]) -> Vec<HeadOutput> {
        queries.chunks(HEADS).flat_map(|part| self.some(p, kv, part)).collect()
    }

    /// At most [`HEADS`] heads.
    fn some(&self, p: u64, kv: usize, queries: &[(&Query, &Query)]) -> Vec<HeadOutput> {
        let visible = self.cache.visible(self.lambda, p);
        let seen: usize = visible.iter().map(|r| r.len()).sum();
        let mut out: Vec<HeadOutput> = Vec::with_capacity(queries.len());
        out.resize_with(queries.len(), || HeadOutput {
            score: Vec::with_capacity(seen),
            ..HeadOutput::default()
        });
        let mut z: Vec<Vec<i32>> = vec![Vec::with_capacity(seen); queries.len()];
        let mut top = [i32::MIN; HEADS];
        for (i, slots) in visible.iter().enumerate().filter(|(_, slots)| !slots.is_empty()) {
            let which: Vec<&Query> = queries.iter().map(|q| if i == 0 { q.1 } else { q.0 }).collect();
            let codes: Vec<&[i8]> = which.iter().map(|q| &q.codes[..]).collect();
            let blocks = slots.start / KEYS..slots.end.div_ceil(KEYS);
            let stride = blocks.len() * KEYS;
            let mut dots = vec![0i32; queries.len() * stride];
            kernel::dots(self.simd, self.cache.keys(kv, blocks.clone()), &codes, &mut dots, stride);
            let (scale, base) = self.cache.meta(kv, slots.clone());
            let from = slots.start - blocks.start * KEYS;
            for (h, q) in which.iter().enumerate() {
                let score = &mut dots[h * stride + from..][..slots.len()];
                let qz = i32::from(q.scale) * i32::from(self.constants.zm);
                let at = z[h].len();
                z[h].resize(at + slots.len(), 0);
                let zs = u32::from(self.constants.zs);
                let largest = z_row(self.simd, score, scale, base, q.sum, qz, zs, &mut z[h][at..]);
                top[h] = top[h].max(largest);
                out[h].score.extend_from_slice(score);
            }
        }
        self.average(kv, &visible, &z, &top, &mut out);
        out
    }

    /// Probabilities, and the values they weigh.
    fn average(
        &self,
        kv: usize,
        visible: &[std::ops::Range<usize>],
        z: &[Vec<i32>],
        top: &[i32],
        out: &mut [HeadOutput],
    ) {
        let stride = self.cache.value_stride();
        let mut acc = vec![0i32; out.len() * stride];
        let mut at = 0;
        for slots in visible.iter().filter(|slots| !slots.is_empty()) {
            // Whole pairs of slots: one before or after has probability 0.
            let pairs = slots.start / 2..slots.end.div_ceil(2);
            for (h, out) in out.iter_mut().enumerate() {
                let (z, wide) = (&z[h][at..at + slots.len()], self.wide);
                let first = out.prob.len() + slots.start % 2;
                out.prob.resize(out.prob.len() + 2 * pairs.len(), 0);
                out.places.push(first..first + slots.len());
                let p = &mut out.prob[first..first + slots.len()];
                out.sum += kernel::probabilities(self.simd, z, top[h], wide, p);
            }
            let p: Vec<&[i16]> = out.iter().map(|o| &o.prob[o.prob.len() - 2 * pairs.len()..]).collect();
            kernel::weigh(self.simd, self.cache.values(kv, pairs), &p, &mut acc, stride);
            at += slots.len();
        }
        let (og, os) = (self.constants.og, u32::from(self.constants.os));
        for (out, acc) in out.iter_mut().zip(acc.chunks_exact(stride)) {
            let inverse = tables::recip(out.sum);
            out.acc = acc[..self.cache.value_width()].to_vec();
            out.o8 = out.acc.iter().map(|a| fixed::attn_code(*a, inverse, og, os)).collect();
        }
    }
}
