//! The inner loops in AVX2, by pairs of byte products. `tile.rs` checks the lengths that they rely on.
//!
//! Pairs of products are summed in 16 bits, in two lanes for each row or key: columns 0 and 1 of four, and 2 and 3.

use super::{GROUP_BYTES, KEYS, ROWS, Row, TOKENS, Weights};
use crate::model::GROUP;
use accllm_hw::tables;
use std::arch::x86_64::*;
use std::sync::LazyLock;

/// Four bytes from `at`, in every lane.
///
/// # Safety
/// `at..at + 4` can be read.
#[target_feature(enable = "avx2")]
unsafe fn quad(at: *const i8) -> __m256i {
    // SAFETY: the caller's promise; any alignment will do.
    _mm256_set1_epi32(unsafe { at.cast::<i32>().read_unaligned() })
}

/// # Safety
/// The processor has the features, the lengths are as `tile.rs` checks, and `x.len() == T`.
#[target_feature(enable = "avx2")]
pub unsafe fn tile<const T: usize>(w: Weights<'_>, x: &[Row<'_>], out: &mut [[i32; ROWS]; TOKENS]) {
    let nibble = _mm256_set1_epi8(15);
    let mut total = [[_mm256_setzero_si256(); 4]; T];
    for g in 0..w.scale.len() / ROWS {
        for half in 0..2 {
            // A lane ends as the sum of 16 products of at most 1024; on the way there it may wrap.
            let mut sum = [[_mm256_setzero_si256(); 2]; T];
            for t in 0..T {
                sum[t] = [_mm256_set1_epi32(x[t].pairs[g]); 2];
            }
            for part in 0..4 {
                let level = |rows: usize| {
                    let at = g * GROUP_BYTES + (half * 4 + part) * 64 + rows * 32;
                    // SAFETY: 32 bytes of group g, below level.len().
                    unsafe { _mm256_loadu_si256(w.level.as_ptr().add(at).cast()) }
                };
                let bytes = [level(0), level(1)];
                let low = bytes.map(|b| _mm256_and_si256(b, nibble));
                let high = bytes.map(|b| _mm256_and_si256(_mm256_srli_epi16::<4>(b), nibble));
                for (four, level) in [low, high].into_iter().enumerate() {
                    for t in 0..T {
                        // SAFETY: four bytes of group g, below codes.len().
                        let x = unsafe { quad(x[t].codes.as_ptr().add(g * GROUP + part * 8 + four * 4)) };
                        for r in 0..2 {
                            sum[t][r] = _mm256_add_epi16(sum[t][r], _mm256_maddubs_epi16(level[r], x));
                        }
                    }
                }
            }
            for r in 0..2 {
                // SAFETY: 8 bytes of group g, below scale.len().
                let scale =
                    unsafe { _mm_loadl_epi64(w.scale.as_ptr().add(g * ROWS + half * 16 + r * 8).cast()) };
                let scale = _mm256_cvtepu8_epi32(scale);
                let both = _mm256_or_si256(scale, _mm256_slli_epi32::<16>(scale));
                for t in 0..T {
                    let at = &mut total[t][half * 2 + r];
                    *at = _mm256_add_epi32(*at, _mm256_madd_epi16(sum[t][r], both));
                }
            }
        }
    }
    for (out, total) in out.iter_mut().zip(&total) {
        for (out, total) in out.chunks_exact_mut(8).zip(total) {
            // SAFETY: 8 numbers of 32 bits.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), *total) };
        }
    }
}

/// # Safety
/// As [`tile`], and `q.len() == T`.
#[target_feature(enable = "avx2")]
pub unsafe fn dots<const T: usize>(k: &[u8], q: &[&[i8]], out: &mut [i32], stride: usize) {
    /// Columns whose sums of pairs of products of at most 15 * 128 fit 16 bits.
    const PART: usize = 32;
    let width = q[0].len();
    let ones = _mm256_set1_epi16(1);
    let mut offset = [_mm256_setzero_si256(); T];
    for t in 0..T {
        offset[t] = _mm256_set1_epi32(-8 * q[t].iter().map(|v| i32::from(*v)).sum::<i32>());
    }
    for block in 0..k.len() / (width * KEYS) {
        let mut total = [[_mm256_setzero_si256(); 2]; T];
        for t in 0..T {
            total[t] = [offset[t]; 2];
        }
        for from in (0..width).step_by(PART) {
            let mut sum = [[_mm256_setzero_si256(); 2]; T];
            for c in (from..width.min(from + PART)).step_by(4) {
                let keys = |half: usize| {
                    let at = (block * width + c) * KEYS + half * 32;
                    // SAFETY: 32 bytes of the block, below k.len().
                    unsafe { _mm256_loadu_si256(k.as_ptr().add(at).cast()) }
                };
                let keys = [keys(0), keys(1)];
                for t in 0..T {
                    // SAFETY: four bytes below width.
                    let x = unsafe { quad(q[t].as_ptr().add(c)) };
                    for r in 0..2 {
                        sum[t][r] = _mm256_add_epi16(sum[t][r], _mm256_maddubs_epi16(keys[r], x));
                    }
                }
            }
            for t in 0..T {
                for r in 0..2 {
                    total[t][r] = _mm256_add_epi32(total[t][r], _mm256_madd_epi16(sum[t][r], ones));
                }
            }
        }
        for (t, total) in total.iter().enumerate() {
            for (r, total) in total.iter().enumerate() {
                // SAFETY: t * stride + keys of all blocks is within out.
                unsafe {
                    let at = out.as_mut_ptr().add(t * stride + block * KEYS + r * 8);
                    _mm256_storeu_si256(at.cast(), *total);
                }
            }
        }
    }
}

/// # Safety
/// As [`tile`], and `p.len() == T`.
#[target_feature(enable = "avx2")]
pub unsafe fn weigh<const T: usize>(v: &[i8], p: &[&[i16]], acc: &mut [i32], width: usize) {
    for d in (0..width).step_by(16) {
        let mut sum = [[_mm256_setzero_si256(); 2]; T];
        for pair in 0..p[0].len() / 2 {
            let value = |half: usize| {
                let at = (pair * width + d) * 2 + half * 16;
                // SAFETY: 16 bytes of this pair, below v.len().
                _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(v.as_ptr().add(at).cast()) })
            };
            let value = [value(0), value(1)];
            for t in 0..T {
                // SAFETY: two numbers of 16 bits, below p[t].len().
                let weight = unsafe { quad(p[t].as_ptr().add(2 * pair).cast()) };
                for n in 0..2 {
                    sum[t][n] = _mm256_add_epi32(sum[t][n], _mm256_madd_epi16(weight, value[n]));
                }
            }
        }
        for (t, sum) in sum.iter().enumerate() {
            for (n, sum) in sum.iter().enumerate() {
                // SAFETY: 8 numbers within t's part of acc.
                unsafe {
                    let at = acc.as_mut_ptr().add(t * width + d + n * 8).cast();
                    _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), *sum));
                }
            }
        }
    }
}

/// The table of 2^-f: value and difference in one word.
static EXP2: LazyLock<[i32; 64]> =
    LazyLock::new(|| std::array::from_fn(|i| tables::EXP2.word(i).cast_signed()));

/// # Safety
/// As [`tile`]; `z` of whole eights.
#[target_feature(enable = "avx2")]
pub unsafe fn probabilities(z: &[i32], top: i32, wide: bool, p: &mut [i16]) -> u32 {
    let (top, low, word) = (_mm256_set1_epi32(top), _mm256_set1_epi32(63), _mm256_set1_epi32(0xffff));
    let (one, eight) = (_mm256_set1_epi32(1), _mm256_set1_epi32(128));
    let table = EXP2.as_ptr();
    // Below 2^32: a window of 2^17 probabilities below 2^15.
    let mut sum = _mm256_setzero_si256();
    for at in (0..z.len()).step_by(8) {
        // SAFETY: eight numbers from at on, below z.len().
        let z = unsafe { _mm256_loadu_si256(z.as_ptr().add(at).cast()) };
        // As unsigned, this is exact: z is not above top.
        let d = _mm256_sub_epi32(top, z);
        let shift = _mm256_srli_epi32::<12>(d);
        let index = _mm256_and_si256(_mm256_srli_epi32::<6>(d), low);
        // SAFETY: indices are below 64.
        let entry = unsafe { _mm256_i32gather_epi32::<4>(table, index) };
        let (start, step) = (_mm256_and_si256(entry, word), _mm256_srli_epi32::<16>(entry));
        let part = _mm256_srli_epi32::<6>(_mm256_mullo_epi32(step, _mm256_and_si256(d, low)));
        let exp = _mm256_sub_epi32(start, part);
        // Shifts of 32 and more give 0; the value is below 2^15, so those of 16 and more do, rounded.
        let half = _mm256_srli_epi32::<1>(_mm256_sllv_epi32(one, shift));
        let mut x = _mm256_srlv_epi32(_mm256_add_epi32(exp, half), shift);
        x = _mm256_andnot_si256(_mm256_cmpgt_epi32(shift, _mm256_set1_epi32(15)), x);
        if !wide {
            x = _mm256_srli_epi32::<8>(_mm256_add_epi32(x, eight));
        }
        sum = _mm256_add_epi32(sum, x);
        let x = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(x, x));
        // SAFETY: eight numbers from at on, below p.len() == z.len().
        unsafe { _mm_storeu_si128(p.as_mut_ptr().add(at).cast(), _mm256_castsi256_si128(x)) };
    }
    let mut lanes = [0u32; 8];
    // SAFETY: eight numbers of 32 bits.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sum) };
    lanes.iter().fold(0, |s, x| s.wrapping_add(*x))
}
