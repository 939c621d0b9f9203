//! The inner loops in AVX-512 with byte dot products (VNNI). `tile.rs` checks the lengths that they rely on.

use super::{GROUP_BYTES, KEYS, ROWS, Row, TOKENS, Weights};
use crate::model::GROUP;
use accllm_hw::tables;
use std::arch::x86_64::*;
use std::sync::LazyLock;

/// Four bytes from `at`, in every lane.
///
/// # Safety
/// `at..at + 4` can be read.
#[target_feature(enable = "avx512f")]
unsafe fn quad(at: *const i8) -> __m512i {
    // SAFETY: the caller's promise; any alignment will do.
    _mm512_set1_epi32(unsafe { at.cast::<i32>().read_unaligned() })
}

/// # Safety
/// The processor has the features, the lengths are as `tile.rs` checks, and `x.len() == T`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub unsafe fn tile<const T: usize>(w: Weights<'_>, x: &[Row<'_>], out: &mut [[i32; ROWS]; TOKENS]) {
    let nibble = _mm512_set1_epi8(15);
    let mut total = [[_mm512_setzero_si512(); 2]; T];
    for g in 0..w.scale.len() / ROWS {
        let mut sum = [[_mm512_setzero_si512(); 2]; T];
        for t in 0..T {
            sum[t] = [_mm512_set1_epi32(x[t].offset[g]); 2];
        }
        for part in 0..4 {
            let level = |rows: usize| {
                let at = g * GROUP_BYTES + (rows * 4 + part) * 64;
                // SAFETY: 64 bytes of group g, below level.len().
                unsafe { _mm512_loadu_si512(w.level.as_ptr().add(at).cast()) }
            };
            let (a, b) = (level(0), level(1));
            let (a0, b0) = (_mm512_and_si512(a, nibble), _mm512_and_si512(b, nibble));
            let a1 = _mm512_and_si512(_mm512_srli_epi16::<4>(a), nibble);
            let b1 = _mm512_and_si512(_mm512_srli_epi16::<4>(b), nibble);
            for t in 0..T {
                // SAFETY: eight bytes of group g, below codes.len().
                let (low, high) = unsafe {
                    let at = x[t].codes.as_ptr().add(g * GROUP + part * 8);
                    (quad(at), quad(at.add(4)))
                };
                sum[t][0] = _mm512_dpbusd_epi32(sum[t][0], a0, low);
                sum[t][1] = _mm512_dpbusd_epi32(sum[t][1], b0, low);
                sum[t][0] = _mm512_dpbusd_epi32(sum[t][0], a1, high);
                sum[t][1] = _mm512_dpbusd_epi32(sum[t][1], b1, high);
            }
        }
        for rows in 0..2 {
            // SAFETY: 16 bytes of group g, below scale.len().
            let scale = unsafe { _mm_loadu_si128(w.scale.as_ptr().add(g * ROWS + rows * 16).cast()) };
            let scale = _mm512_cvtepu8_epi32(scale);
            for t in 0..T {
                let scaled = _mm512_mullo_epi32(sum[t][rows], scale);
                total[t][rows] = _mm512_add_epi32(total[t][rows], scaled);
            }
        }
    }
    for (out, total) in out.iter_mut().zip(&total) {
        for (out, total) in out.chunks_exact_mut(16).zip(total) {
            // SAFETY: 16 numbers of 32 bits.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), *total) };
        }
    }
}

/// # Safety
/// As [`tile`], and `q.len() == T`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub unsafe fn dots<const T: usize>(k: &[u8], q: &[&[i8]], out: &mut [i32], stride: usize) {
    /// Blocks of keys at once, so that sums do not wait for each other.
    const AT_ONCE: usize = 4;
    let width = q[0].len();
    let bytes = width * KEYS;
    let blocks = k.len() / bytes;
    let mut offset = [_mm512_setzero_si512(); T];
    for t in 0..T {
        offset[t] = _mm512_set1_epi32(-8 * q[t].iter().map(|v| i32::from(*v)).sum::<i32>());
    }
    let mut first = 0;
    while first < blocks {
        let n = AT_ONCE.min(blocks - first);
        let mut sum = [offset; AT_ONCE];
        let mut run = |n: usize| {
            for c in 0..width / 4 {
                let mut x = [_mm512_setzero_si512(); T];
                for t in 0..T {
                    // SAFETY: four bytes below width.
                    x[t] = unsafe { quad(q[t].as_ptr().add(4 * c)) };
                }
                for (b, sum) in sum.iter_mut().enumerate().take(n) {
                    // SAFETY: 64 bytes of block first + b, below k.len().
                    let keys =
                        unsafe { _mm512_loadu_si512(k.as_ptr().add((first + b) * bytes + c * 64).cast()) };
                    for t in 0..T {
                        sum[t] = _mm512_dpbusd_epi32(sum[t], keys, x[t]);
                    }
                }
            }
        };
        if n == AT_ONCE {
            run(AT_ONCE)
        } else {
            run(n)
        }
        for (b, sum) in sum.iter().enumerate().take(n) {
            for (t, sum) in sum.iter().enumerate() {
                // SAFETY: t * stride + keys of all blocks is within out.
                unsafe {
                    let at = out.as_mut_ptr().add(t * stride + (first + b) * KEYS);
                    _mm512_storeu_si512(at.cast(), *sum);
                }
            }
        }
        first += n;
    }
}

/// # Safety
/// As [`tile`], and `p.len() == T`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub unsafe fn weigh<const T: usize>(v: &[i8], p: &[&[i16]], acc: &mut [i32], width: usize) {
    let mut d = 0;
    while d < width {
        // SAFETY: the caller's promise; columns d..d + 16 N are below width.
        unsafe {
            if width - d >= 64 {
                weigh_part::<T, 4>(v, p, acc, width, d);
                d += 64;
            } else {
                weigh_part::<T, 1>(v, p, acc, width, d);
                d += 16;
            }
        }
    }
}

/// Columns `d..d + 16 * N`.
///
/// # Safety
/// As [`weigh`], and `d + 16 * N <= width`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn weigh_part<const T: usize, const N: usize>(
    v: &[i8],
    p: &[&[i16]],
    acc: &mut [i32],
    width: usize,
    d: usize,
) {
    let mut sum = [[_mm512_setzero_si512(); N]; T];
    for pair in 0..p[0].len() / 2 {
        let mut value = [_mm512_setzero_si512(); N];
        for (n, value) in value.iter_mut().enumerate() {
            // SAFETY: 32 bytes of this pair, below v.len().
            let bytes = unsafe { _mm256_loadu_si256(v.as_ptr().add((pair * width + d + n * 16) * 2).cast()) };
            *value = _mm512_cvtepi8_epi16(bytes);
        }
        for t in 0..T {
            // SAFETY: two numbers of 16 bits, below p[t].len().
            let weight = unsafe { quad(p[t].as_ptr().add(2 * pair).cast()) };
            for n in 0..N {
                sum[t][n] = _mm512_dpwssd_epi32(sum[t][n], weight, value[n]);
            }
        }
    }
    for (t, sum) in sum.iter().enumerate() {
        for (n, sum) in sum.iter().enumerate() {
            // SAFETY: 16 numbers within t's part of acc.
            unsafe {
                let at = acc.as_mut_ptr().add(t * width + d + n * 16);
                let before = _mm512_loadu_si512(at.cast());
                _mm512_storeu_si512(at.cast(), _mm512_add_epi32(before, *sum));
            }
        }
    }
}

/// The table of 2^-f: values and differences.
static EXP2: LazyLock<[[u16; 64]; 2]> = LazyLock::new(|| {
    let of = |x: &[u16]| std::array::from_fn(|i| x[i]);
    [of(&tables::EXP2.value), of(&tables::EXP2.delta)]
});

/// # Safety
/// As [`tile`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub unsafe fn probabilities(z: &[i32], top: i32, wide: bool, p: &mut [i16]) -> u32 {
    let table = |which: usize| {
        let at = EXP2[which].as_ptr();
        // SAFETY: 64 numbers of 16 bits.
        unsafe { (_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(32).cast())) }
    };
    let (value, delta) = (table(0), table(1));
    let (top, low, word) = (_mm512_set1_epi32(top), _mm512_set1_epi32(63), _mm512_set1_epi32(0xffff));
    let (one, eight) = (_mm512_set1_epi32(1), _mm512_set1_epi32(128));
    let mut sum = 0u64;
    let mut at = 0;
    while at < z.len() {
        let n = (z.len() - at).min(16);
        let lanes = ((1u32 << n) - 1) as __mmask16;
        // SAFETY: n numbers from at on, below z.len().
        let z = unsafe { _mm512_maskz_loadu_epi32(lanes, z.as_ptr().add(at)) };
        // As unsigned, this is exact: z is not above top.
        let d = _mm512_sub_epi32(top, z);
        let shift = _mm512_srli_epi32::<12>(d);
        let index = _mm512_and_si512(_mm512_srli_epi32::<6>(d), low);
        let start = _mm512_permutex2var_epi16(value.0, index, value.1);
        let step = _mm512_permutex2var_epi16(delta.0, index, delta.1);
        let (start, step) = (_mm512_and_si512(start, word), _mm512_and_si512(step, word));
        let part = _mm512_srli_epi32::<6>(_mm512_mullo_epi32(step, _mm512_and_si512(d, low)));
        let exp = _mm512_sub_epi32(start, part);
        // Shifts of 32 and more give 0; the value is below 2^15, so those of 16 and more do, rounded.
        let half = _mm512_srli_epi32::<1>(_mm512_sllv_epi32(one, shift));
        let mut x = _mm512_srlv_epi32(_mm512_add_epi32(exp, half), shift);
        let far = _mm512_cmpgt_epu32_mask(shift, _mm512_set1_epi32(15));
        x = _mm512_mask_mov_epi32(x, far, _mm512_setzero_si512());
        if !wide {
            x = _mm512_srli_epi32::<8>(_mm512_add_epi32(x, eight));
        }
        // SAFETY: n numbers from at on, below p.len() == z.len().
        unsafe { _mm512_mask_cvtepi32_storeu_epi16(p.as_mut_ptr().add(at).cast(), lanes, x) };
        sum += u64::from(_mm512_mask_reduce_add_epi32(lanes, x) as u32);
        at += n;
    }
    sum as u32
}
