//! The inner loops without intrinsics, in a form that the compiler vectorizes for each instruction set.

use super::{GROUP_BYTES, KEYS, ROWS, Row, TOKENS, Weights};
use crate::model::GROUP;
use crate::simd::versions;
use accllm_hw::fixed;

versions! {
    /// As [`super::tile`].
    pub fn tile(w: Weights<'_>, x: &[Row<'_>], out: &mut [[i32; ROWS]; TOKENS]) {
        *out = [[0; ROWS]; TOKENS];
        let groups = w.level.chunks_exact(GROUP_BYTES).zip(w.scale.chunks_exact(ROWS));
        for (g, (level, scale)) in groups.enumerate() {
            let columns = unpack(level);
            for (x, out) in x.iter().zip(out.iter_mut()) {
                let x = &x.codes[g * GROUP..][..GROUP];
                // Sums of 16 products of at most 1024 fit 16 bits. Wrapping operators let the compiler vectorize.
                let mut half = [[0i16; ROWS]; 2];
                for (c, (w, x)) in columns.iter().zip(x).enumerate() {
                    for (s, w) in half[c / 16].iter_mut().zip(w) {
                        *s = s.wrapping_add(w.wrapping_mul(i16::from(*x)));
                    }
                }
                for r in 0..ROWS {
                    let sum = i32::from(half[0][r]) + i32::from(half[1][r]);
                    out[r] = out[r].wrapping_add(sum.wrapping_mul(i32::from(scale[r])));
                }
            }
        }
    }
}

/// Levels of a group, column by column.
#[inline(always)]
fn unpack(level: &[u8]) -> [[i16; ROWS]; GROUP] {
    let mut columns = [[0i16; ROWS]; GROUP];
    for (part, bytes) in level.chunks_exact(64).enumerate() {
        let (rows, first) = (part / 4 * 16, part % 4 * 8);
        for (i, b) in bytes.iter().enumerate() {
            let (r, c) = (rows + i / 4, first + i % 4);
            columns[c][r] = i16::from(b & 15) - 8;
            columns[c + 4][r] = i16::from(b >> 4) - 8;
        }
    }
    columns
}

versions! {
    /// As [`super::dots`].
    pub fn dots(k: &[u8], q: &[&[i8]], out: &mut [i32], stride: usize) {
        for (h, q) in q.iter().enumerate() {
            let offset = -8 * q.iter().map(|v| i32::from(*v)).sum::<i32>();
            for (b, block) in k.chunks_exact(q.len() * KEYS).enumerate() {
                let mut sum = [offset; KEYS];
                for (quad, q) in block.chunks_exact(4 * KEYS).zip(q.chunks_exact(4)) {
                    for (s, k) in sum.iter_mut().zip(quad.chunks_exact(4)) {
                        for (k, q) in k.iter().zip(q) {
                            *s = s.wrapping_add(i32::from(*k).wrapping_mul(i32::from(*q)));
                        }
                    }
                }
                out[h * stride + b * KEYS..][..KEYS].copy_from_slice(&sum);
            }
        }
    }
}

versions! {
    /// As [`super::weigh`].
    pub fn weigh(v: &[i8], p: &[&[i16]], acc: &mut [i32], width: usize) {
        for (p, acc) in p.iter().zip(acc.chunks_exact_mut(width)) {
            for (p, v) in p.chunks_exact(2).zip(v.chunks_exact(2 * width)) {
                let (a, b) = (i32::from(p[0]), i32::from(p[1]));
                for (acc, v) in acc.iter_mut().zip(v.chunks_exact(2)) {
                    let sum = a.wrapping_mul(i32::from(v[0])).wrapping_add(b.wrapping_mul(i32::from(v[1])));
                    *acc = acc.wrapping_add(sum);
                }
            }
        }
    }
}

versions! {
    /// As [`super::probabilities`].
    pub fn probabilities(z: &[i32], top: i32, wide: bool, p: &mut [i16]) -> u32 {
        let mut sum = 0u32;
        for (z, p) in z.iter().zip(p) {
            let value = fixed::prob(*z, top, wide);
            sum += value as u32;
            *p = value as i16;
        }
        sum
    }
}
