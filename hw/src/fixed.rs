//! The arithmetic of `docs/numerics.md` as leaf functions on integers; shared by the integer reference model and
//! the golden executor. The RTL implements the same page independently.

use crate::rope::Rope;
use crate::tables::{self, Recip, Rsqrt};
use num_traits::PrimInt;

/// Largest probability code, 127*256 + 127: both int8 halves fit.
pub const PROB_ONE: i32 = 32639;
/// Largest magnitude of the residual stream (26-bit signed, symmetric below).
pub const RESID_MAX: i32 = (1 << 25) - 1;

/// Rounding shift right, half up: the one rounding rule, of integers that have room for half a unit more.
#[inline]
pub fn rs<T: PrimInt>(x: T, s: u32) -> T {
    let s = s as usize;
    if s == 0 { x } else { (x + (T::one() << (s - 1))) >> s }
}

/// Clamp to `bits`-bit two's complement.
#[inline]
pub fn sat(x: i64, bits: u32) -> i64 {
    x.clamp(-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1)
}

/// Splits a 16-bit activation (≤ 32639) into int8 halves: `x = 256*hi + lo`.
#[inline]
pub fn split(x: i32) -> (i8, i8) {
    let hi = (x + 128) >> 8;
    (hi as i8, (x - 256 * hi) as i8)
}

/// Embedding entry to residual.
#[inline]
pub fn embed(e: i16, shift: u32) -> i32 {
    i32::from(e) << shift
}

/// Sum of squares with `eps` for the norm; `x` within the residual range.
pub fn sum_squares(x: &[i32], eps: u32) -> u64 {
    x.iter().fold(u64::from(eps), |s, &v| s + (i64::from(v) * i64::from(v)) as u64)
}

/// One element of RMSNorm with static quantization: its reciprocal root from [`tables::rsqrt`].
#[inline]
pub fn norm_element(x: i32, root: Rsqrt, g: i16, gs: u32) -> i8 {
    sat(normed(x, root, g, gs), 8) as i8
}

/// [`norm_element`] of 16 bits: an element of a head that has a norm of its own.
#[inline]
pub fn norm_wide(x: i32, root: Rsqrt, g: i16, gs: u32) -> i32 {
    sat(normed(x, root, g, gs), 16) as i32
}

#[inline]
fn normed(x: i32, Rsqrt { r, e }: Rsqrt, g: i16, gs: u32) -> i64 {
    let p = i64::from(x) * i64::from(r);
    let xn = if e >= 5 { rs(p, e - 5) } else { p << (5 - e) };
    rs(xn * i64::from(g), gs)
}

/// Row requantization: `sat32(rs(acc * mult, shift))`. `acc` within 48 bits.
#[inline]
pub fn requant(acc: i64, mult: u16, shift: u32) -> i32 {
    rs(i128::from(acc) * i128::from(mult), shift).clamp(i128::from(i32::MIN), i128::from(i32::MAX)) as i32
}

/// Rotates one pair; `cos`, `sin` Q.14; inputs saturated to 16 bits.
#[inline]
pub fn rope_pair(a: i32, b: i32, cos: i16, sin: i16) -> (i32, i32) {
    let (a, b) = (sat(i64::from(a), 16), sat(i64::from(b), 16));
    let (c, s) = (i64::from(cos), i64::from(sin));
    (rs(a * c - b * s, 14) as i32, rs(b * c + a * s, 14) as i32)
}

/// Walsh-Hadamard transform in place, Sylvester order; length a power of two.
pub fn wht(x: &mut [i32]) {
    let mut h = 1;
    while h < x.len() {
        for block in x.chunks_exact_mut(2 * h) {
            let (lo, hi) = block.split_at_mut(h);
            for (a, b) in lo.iter_mut().zip(hi) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        h *= 2;
    }
}

/// Rotation of one padded head: RoPE on pairs `(i, i + len/2)`, Hadamard, `sat16(rs(_, shift))`.
pub fn rotate_head(y: &[i32], cos: &[i16], sin: &[i16], shift: u32, out: &mut [i32]) {
    let half = y.len() / 2;
    for i in 0..half {
        (out[i], out[i + half]) = rope_pair(y[i], y[i + half], cos[i], sin[i]);
    }
    wht(out);
    out.iter_mut().for_each(|v| *v = sat(rs(i64::from(*v), shift), 16) as i32);
}

/// cos and sin rows (Q.14) for a position: `hdp/2` entries each, 16384 and 0 from `hd/2` on.
/// Angle of pair i: `position` times its frequency, in f64.
pub fn rope_row(position: u64, rope: &Rope, hd: usize, hdp: usize) -> (Vec<i16>, Vec<i16>) {
    (0..hdp / 2)
        .map(|i| {
            if i >= hd / 2 {
                return (16384, 0);
            }
            let angle = position as f64 * rope.frequency(i, hd);
            ((angle.cos() * 16384.0).round() as i16, (angle.sin() * 16384.0).round() as i16)
        })
        .unzip()
}

/// In place of a head's leading pair: the head is not rotated.
pub const UNROTATED: u8 = u8::MAX;

/// cos and sin rows in which pair `lead` and pair 0 have changed places (a head's leading pair, docs/numerics.md); those of
/// position 0 for [`UNROTATED`]. Another lead past the rows changes nothing.
pub fn led_row(mut cos: Vec<i16>, mut sin: Vec<i16>, lead: u8) -> (Vec<i16>, Vec<i16>) {
    if lead == UNROTATED {
        cos.fill(16384);
        sin.fill(0);
    }
    let lead = usize::from(lead);
    if lead < cos.len() && lead < sin.len() {
        cos.swap(0, lead);
        sin.swap(0, lead);
    }
    (cos, sin)
}

/// K's step and base for a token and head: `(scale, base)`, from a rotated padded head of 16-bit values.
pub fn k_step(rot: &[i32]) -> (u16, i16) {
    let (mut min, mut max) = (i32::from(i16::MAX), i32::from(i16::MIN));
    for &v in rot {
        min = min.min(v);
        max = max.max(v);
    }
    let s = ((max - min + 14) / 15).max(1);
    (s as u16, sat(i64::from(min + 8 * s), 16) as i16)
}

/// One K code, -8..7; `inv` = `tables::recip(scale)`.
#[inline]
pub fn k_code(rot: i32, base: i16, Recip { r, k }: Recip) -> i8 {
    rs(i64::from(rot - i32::from(base)) * i64::from(r), 15 + k).clamp(-8, 7) as i8
}

/// Q's step for a token and head.
pub fn q_step(rot: &[i32]) -> u16 {
    let m = rot.iter().map(|v| v.abs()).max().unwrap_or(0);
    ((m + 126) / 127).max(1) as u16
}

/// One Q code, -127..127; `inv` = `tables::recip(scale)`.
#[inline]
pub fn q_code(rot: i32, Recip { r, k }: Recip) -> i8 {
    rs(i64::from(rot) * i64::from(r), 15 + k).clamp(-127, 127) as i8
}

/// One V code, -8..7.
#[inline]
pub fn v_code(v: i32, shift: u32) -> i8 {
    rs(i64::from(v), shift).clamp(-8, 7) as i8
}

/// Score of a query against a cached key: `s_k * dot + base * q_sum`.
#[inline]
pub fn score(dot: i32, scale: u16, base: i16, q_sum: i32) -> i32 {
    (i64::from(dot) * i64::from(scale) + i64::from(base) * i64::from(q_sum)) as i32
}

/// Score to log2 units (Q.12).
#[inline]
pub fn score_z(sc: i32, q_scale: u16, zm: u16, zs: u32) -> i32 {
    sat(rs(i64::from(sc) * (i64::from(q_scale) * i64::from(zm)), zs), 32) as i32
}

/// Probability code of `z` under the maximum `zmax`; 0..32639, or 0..127 where not `wide`.
#[inline]
pub fn prob(z: i32, zmax: i32, wide: bool) -> i32 {
    let d = i64::from(zmax) - i64::from(z);
    let i = d >> 12;
    let p = if i >= 16 { 0 } else { rs(i64::from(tables::exp2_neg((d & 4095) as u32)), i as u32) };
    if wide { p as i32 } else { rs(p, 8) as i32 }
}

/// Attention output code; `inv` = `tables::recip(prob_sum)`.
#[inline]
pub fn attn_code(acc: i32, Recip { r, k }: Recip, og: u16, os: u32) -> i8 {
    let o = sat(rs(i64::from(acc) * i64::from(r), k + 3), 16);
    sat(rs(o * i64::from(og), os), 8) as i8
}

/// Saturating residual add.
#[inline]
pub fn resid_add(a: i32, b: i32) -> i32 {
    (i64::from(a) + i64::from(b)).clamp(-i64::from(RESID_MAX) - 1, i64::from(RESID_MAX)) as i32
}

/// Largest result of [`silu_mul`]: what the largest exponent still rounds to 127.
pub const H_MAX: i32 = (255 << (EXPONENT_MAX - 1)) - 1;
/// Smallest result of [`silu_mul`].
pub const H_MIN: i32 = -(1 << (EXPONENT_MAX + 7));

/// silu(gate) * up, [`H_MIN`]`..=`[`H_MAX`].
#[inline]
pub fn silu_mul(gate: i32, up: i32, hs: u32) -> i32 {
    let (g, u) = (sat(i64::from(gate), 24), sat(i64::from(up), 24));
    let a = g.unsigned_abs() as u32;
    let sg = if a >= 65536 { 32768 } else { i64::from(tables::sigmoid(a)) };
    let sg = if g < 0 { 32768 - sg } else { sg };
    rs(rs(g * sg, 15) * u, hs).clamp(H_MIN.into(), H_MAX.into()) as i32
}

/// Largest exponent of a block.
pub const EXPONENT_MAX: u8 = 12;

/// Exponent of a block of values [`H_MIN`]`..=`[`H_MAX`]: the smallest with which all [`block_code`]s are int8.
pub fn block_exponent(h: &[i32]) -> u8 {
    let fits = |&e: &u8| h.iter().all(|&v| (-128..=127).contains(&rs(i64::from(v), e.into())));
    (0..EXPONENT_MAX).find(fits).unwrap_or(EXPONENT_MAX)
}

/// Code of a value of a block with exponent `e`: `h ≈ code * 2^e`.
#[inline]
pub fn block_code(h: i32, e: u8) -> i8 {
    rs(i64::from(h), e.into()) as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_half_up() {
        assert_eq!([rs(-3, 1), rs(-1, 1), rs(1, 1), rs(3, 1), rs(5, 0)], [-1, 0, 1, 2, 5]);
        assert_eq!(rs(-3i128, 1), -1);
    }

    #[test]
    fn halves_join() {
        for x in -32768..=PROB_ONE {
            let (h, l) = split(x);
            assert_eq!(256 * i32::from(h) + i32::from(l), x);
        }
    }

    /// The row of layers without rotation is that of position 0, and leaves every head of 16 bits as it is.
    #[test]
    fn unrotated_heads_stay() {
        let rope = Rope::plain(10_000.0);
        let (cos, sin) = rope_row(1_000_003, &rope, 20, 64);
        let (cos, sin) = led_row(cos, sin, UNROTATED);
        assert_eq!((&cos, &sin), (&rope_row(0, &rope, 20, 64).0, &rope_row(0, &rope, 20, 64).1));
        for (a, b) in
            (-32768..=32767).step_by(13).flat_map(|a| [(a, 32767 - (a & 0xfff)), (a, -32768), (a, 7)])
        {
            assert_eq!(rope_pair(a, b, cos[3], sin[3]), (a, b));
        }
    }

    #[test]
    fn wht_is_its_own_inverse_times_length() {
        let orig: Vec<i32> = (0..128).map(|i| (i * 7919) % 4001 - 2000).collect();
        let mut x = orig.clone();
        wht(&mut x);
        wht(&mut x);
        assert!(x.iter().zip(&orig).all(|(a, b)| *a == 128 * b));
    }

    #[test]
    fn k_codes_reconstruct_within_a_step() {
        let rot: Vec<i32> = (0..64).map(|i| (i * 977) % 5003 - 1200).collect();
        let (s, base) = k_step(&rot);
        let inv = tables::recip(u32::from(s));
        for &v in &rot {
            let back = i32::from(base) + i32::from(s) * i32::from(k_code(v, base, inv));
            assert!((back - v).abs() <= i32::from(s) / 2 + 2, "{v} came back as {back}, step {s}");
        }
    }

    #[test]
    fn exponents_are_the_smallest_and_codes_are_int8() {
        for h in H_MIN..=H_MAX {
            let e = block_exponent(&[h]);
            let code = |e: u8| rs(i64::from(h), e.into());
            assert!((-128..=127).contains(&code(e)), "{h} with {e}");
            assert!(e == 0 || !(-128..=127).contains(&code(e - 1)), "{h} with {e}");
            assert_eq!(i64::from(block_code(h, e)), code(e));
            // The bounds that docs/numerics.md names.
            let top = |j: u8| if j == 0 { (-128, 127) } else { (-257 << (j - 1), (255 << (j - 1)) - 1) };
            for j in 0..=EXPONENT_MAX {
                assert_eq!(e <= j, (top(j).0..=top(j).1).contains(&h), "{h} with {j}");
            }
            // Nothing is lost by more than half a step.
            assert!((i32::from(block_code(h, e)) * (1 << e) - h).abs() <= (1 << e) / 2);
        }
        assert_eq!(block_exponent(&[]), 0);
        assert_eq!(block_exponent(&[3, -129, 5]), 1);
        assert_eq!(block_exponent(&[H_MAX, 0]), EXPONENT_MAX);
        assert_eq!(block_exponent(&[H_MIN]), EXPONENT_MAX);
    }

    #[test]
    fn composed_functions_against_f64() {
        let q12 = |x: i32| f64::from(x) / 4096.0;
        // silu(g) through a product with u = 1 (Q.12), all gates below 32, steps of 1/4096.
        let silu = (-(1 << 17)..1 << 17)
            .map(|g| {
                let got = f64::from(silu_mul(g, 1, 0)) / 4096.0;
                let g = q12(g);
                let want = g / (1.0 + (-g).exp());
                if want.abs() < 7.9 { (got - want).abs() } else { 0.0 }
            })
            .fold(0.0, f64::max);
        // Probability, all distances in log2 units from 0 to 16.
        let probability = (0..1 << 16)
            .map(|d| (f64::from(prob(-d, 0, true)) / f64::from(PROB_ONE) - (-q12(d)).exp2()).abs())
            .fold(0.0, f64::max);
        // RMSNorm element at full scale, vectors of 1..=8192 equal elements of every magnitude.
        let mut norm = 0f64;
        for n in [1usize, 3, 64, 576, 4096, 8192] {
            for bits in 1..25 {
                let x = vec![(1 << bits) + (n as i32 % 7); n];
                let r = tables::rsqrt(sum_squares(&x, 1));
                let got = f64::from(norm_element(x[0], r, 127, 20)) / 127.0;
                let x = f64::from(x[0]);
                norm = norm.max((got - x / (n as f64 * x * x + 1.0).sqrt()).abs());
            }
        }
        println!(
            "largest error: silu {silu:.2e}, probability {probability:.2e} of full scale, norm {norm:.2e} of full scale"
        );
        assert!(
            silu < 5e-4 && probability < 8e-5 && norm < 0.5 / 127.0 + 2e-4,
            "{silu} {probability} {norm}"
        );
    }

    #[test]
    fn extremes_do_not_wrap() {
        assert_eq!(k_step(&[-32768, 32767]), (4369, (-32768 + 8 * 4369) as i16));
        assert_eq!(q_step(&[-32768]), 259);
        assert_eq!(requant(1 << 46, u16::MAX, 0), i32::MAX);
        assert_eq!(silu_mul(i32::MAX, i32::MIN, 0), H_MIN);
        assert_eq!(prob(i32::MIN, i32::MAX, true), 0);
        assert_eq!(prob(5, 5, false), 127);
        assert_eq!(resid_add(RESID_MAX, 1), RESID_MAX);
    }
}
