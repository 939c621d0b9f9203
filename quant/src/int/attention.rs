//! Rotation, scores, softmax and the attention output of one query head.

use super::cache::Cache;
use crate::model::{LambdaShape, LayerConstants};
use accllm_hw::{fixed, tables};

/// cos and sin rows (Q.14) of one position.
pub(super) type Angles = (Vec<i16>, Vec<i16>);

/// Rotates a head `[hd]` into its padded layout `[hdp]` (RoPE, Hadamard, shift).
pub(super) fn rotate(head: &[i32], angles: &Angles, shift: u8) -> Vec<i32> {
    let (hd, half) = (head.len(), angles.0.len());
    let mut padded = vec![0i32; 2 * half];
    padded[..hd / 2].copy_from_slice(&head[..hd / 2]);
    padded[half..half + hd / 2].copy_from_slice(&head[hd / 2..]);
    let mut out = vec![0i32; 2 * half];
    fixed::rotate_head(&padded, &angles.0, &angles.1, u32::from(shift), &mut out);
    out
}

/// A quantized query.
pub(super) struct Query {
    /// Rotated, before quantization.
    pub rot: Vec<i32>,
    /// Codes.
    pub codes: Vec<i16>,
    /// Step.
    pub scale: u16,
    /// Sum of the codes.
    pub sum: i32,
}

impl Query {
    /// Rotates and quantizes a query head.
    pub fn new(head: &[i32], angles: &Angles, shift: u8) -> Self {
        let rot = rotate(head, angles, shift);
        let scale = fixed::q_step(&rot);
        let inverse = tables::recip(u32::from(scale));
        let codes: Vec<i16> = rot.iter().map(|v| i16::from(fixed::q_code(*v, inverse))).collect();
        let sum = codes.iter().map(|c| i32::from(*c)).sum();
        Self { rot, codes, scale, sum }
    }

    fn score(&self, codes: &[i8], scale: u16, base: i16) -> i32 {
        let add = |s: i32, (q, k): (&i16, &i8)| s.wrapping_add(i32::from(*q).wrapping_mul(i32::from(*k)));
        let dot = self.codes.iter().zip(codes).fold(0, add);
        fixed::score(dot, scale, base, self.sum)
    }
}

/// Everything attention computes for one token and query head.
pub(super) struct HeadOutput {
    pub score: Vec<i32>,
    pub prob: Vec<i32>,
    pub sum: u32,
    pub acc: Vec<i32>,
    pub o8: Vec<i32>,
}

/// Attends with one query head at position `p` over KV head `kv`.
pub(super) fn attend(
    cache: &Cache,
    (p, kv): (u64, usize),
    (window, sink): (&Query, &Query),
    lambda: LambdaShape,
    c: &LayerConstants,
    prob_wide: bool,
) -> HeadOutput {
    let sinks = lambda.n_sink as u64;
    let visible = lambda.visible(p);
    let mut score = Vec::new();
    let mut prob = Vec::new();
    for j in visible.clone() {
        let query = if j < sinks { sink } else { window };
        let (codes, scale, base) = cache.key(j, kv);
        let sc = query.score(codes, scale, base);
        score.push(sc);
        prob.push(fixed::score_z(sc, query.scale, c.zm, u32::from(c.zs)));
    }
    let largest = prob.iter().copied().max().unwrap_or(0);
    let mut sum = 0u32;
    for z in &mut prob {
        *z = fixed::prob(*z, largest, prob_wide);
        sum += *z as u32;
    }
    let mut acc = vec![0i32; cache.value(p, kv).len()];
    for (w, j) in prob.iter().zip(visible) {
        // At most 8192 tokens * 32639 * 8 < 2^31 (MAX_VISIBLE).
        for (a, v) in acc.iter_mut().zip(cache.value(j, kv)) {
            *a = a.wrapping_add(w.wrapping_mul(i32::from(*v)));
        }
    }
    let inverse = tables::recip(sum);
    let o8 = acc.iter().map(|a| i32::from(fixed::attn_code(*a, inverse, c.og, u32::from(c.os)))).collect();
    HeadOutput { score, prob, sum, acc, o8 }
}
