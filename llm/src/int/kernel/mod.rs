//! Inner loops of the integer model, for the instruction sets that are worth a version of their own. All versions
//! compute the same integers; the one to use is found out when the program runs.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod lanes;
mod portable;
mod tile;

pub(super) use crate::simd::Simd;
pub(super) use lanes::{add_scaled, norm_row, quantize_blocks, requant_lanes, rotate_head, silu_row, z_row};

/// Weight rows that are computed together.
pub(super) const ROWS: usize = 32;
/// Most tokens that are computed together.
pub(super) const TOKENS: usize = 6;
/// Most query heads that are computed together.
pub(super) const HEADS: usize = 4;
/// Keys that lie side by side in the cache.
pub(super) const KEYS: usize = 16;
/// Bytes of levels of [`ROWS`] rows and one group of columns.
pub(super) const GROUP_BYTES: usize = ROWS * crate::model::GROUP / 2;

/// Weights of [`ROWS`] rows: levels + 8 in nibbles and scales, group by group (`pack.rs`).
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    /// `[groups, 2, 4, 64]`: of 16 rows and 8 columns; the low nibbles are the first four columns.
    pub level: &'a [u8],
    /// `[groups, ROWS]`.
    pub scale: &'a [u8],
}

/// Activations of one token.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// `[groups * 32]`.
    pub codes: &'a [i8],
    /// `[groups]`: -8 times the sum of a group.
    pub offset: &'a [i32],
    /// `[groups]`: its parts from columns 0 and 1 of four, in the low 16 bits, and from 2 and 3.
    pub pairs: &'a [i32],
}

/// `sum level * scale * x` of [`ROWS`] rows and each of `x` (1 to [`TOKENS`]), into `out[token]`. At most 4096 columns.
pub(super) fn tile(simd: Simd, w: Weights<'_>, x: &[Row<'_>], out: &mut [[i32; ROWS]; TOKENS]) {
    tile::tile(simd, w, x, out);
}

/// `sum q * key` of `q` (1 to [`HEADS`] queries of `[hdp]`) and blocks of [`KEYS`] keys, `k` of
/// `[blocks, hdp / 4, KEYS, 4]` (codes + 8), into `out[query * stride..]`.
pub(super) fn dots(simd: Simd, k: &[u8], q: &[&[i8]], out: &mut [i32], stride: usize) {
    tile::dots(simd, k, q, out, stride);
}

/// Adds `sum p * value` to `acc` of `[heads, width]`: `p` of 1 to [`HEADS`] heads, `[pairs * 2]` each, `v` of
/// `[pairs, width, 2]`; `width` a multiple of 16. Offsets of weights are added by the same loop: rows in place of a
/// value's elements, groups of columns in place of keys, tokens in place of heads.
pub(super) fn weigh(simd: Simd, v: &[i8], p: &[&[i16]], acc: &mut [i32], width: usize) {
    tile::weigh(simd, v, p, acc, width);
}

/// Probabilities of `z` under the maximum `top`, 16 or 8 bits, into `p`; returns their sum.
pub(super) fn probabilities(simd: Simd, z: &[i32], top: i32, wide: bool, p: &mut [i16]) -> u32 {
    tile::probabilities(simd, z, top, wide, p)
}
