//! Element by element arithmetic in a form that the compiler vectorizes: the functions of `accllm_hw::fixed` with
//! wrapping operators, which the widths of `docs/numerics.md` §4 allow. Tests hold them equal to those.

use super::ROWS;
use crate::simd::versions;
use accllm_hw::{fixed, tables};
use std::sync::LazyLock;

/// Rounding shift of a number that is not near the ends of its type.
#[inline(always)]
fn rs(x: i64, s: u32) -> i64 {
    x.wrapping_add((1i64.wrapping_shl(s) as u64 >> 1) as i64).wrapping_shr(s)
}

/// Clamps to 32 bits. Written without a minimum and maximum: those of 64 bits, vectorized for SSE2, came out wrong
/// (rustc 1.95), which the tests below found.
#[inline(always)]
fn sat32(x: i64) -> i32 {
    let low = x as i32;
    if i64::from(low) == x { low } else { (x >> 63) as i32 ^ i32::MAX }
}

versions! {
    /// `sat32(rs(acc * mult, shift))` of [`ROWS`] rows; `|acc|` below 2^47. The bit below the result decides the rounding:
    /// half a unit of the largest shift on top of the product would not fit.
    pub fn requant_lanes(acc: &[i64; ROWS], mult: &[u16; ROWS], shift: &[u8; ROWS], out: &mut [i32; ROWS]) {
        for r in 0..ROWS {
            let (x, s) = (acc[r].wrapping_mul(i64::from(mult[r])), u32::from(shift[r]));
            let below = x.wrapping_shr(s.wrapping_sub(1));
            out[r] = sat32(if s == 0 { x } else { (below >> 1).wrapping_add(below & 1) });
        }
    }
}

versions! {
    /// `acc += sum << e`.
    pub fn add_scaled(acc: &mut [i64; ROWS], sum: &[i32; ROWS], e: u32) {
        for (acc, sum) in acc.iter_mut().zip(sum) {
            *acc = acc.wrapping_add(i64::from(*sum).wrapping_shl(e));
        }
    }
}

versions! {
    /// RMSNorm with static quantization of one token.
    pub fn norm_row(x: &[i32], g: &[i16], eps: u32, gs: u32, out: &mut [i8]) {
        let square = |v: &i32| i64::from(*v).wrapping_mul(i64::from(*v));
        let sum = x.iter().fold(0i64, |s, v| s.wrapping_add(square(v)));
        let tables::Rsqrt { r, e } = tables::rsqrt((sum as u64).wrapping_add(u64::from(eps)));
        let (right, left) = (e.saturating_sub(5), 5u32.saturating_sub(e));
        for ((v, g), out) in x.iter().zip(g).zip(out) {
            let p = i64::from(*v).wrapping_mul(i64::from(r)).wrapping_shl(left);
            let y = rs(rs(p, right).wrapping_mul(i64::from(*g)), gs);
            *out = sat32(y).clamp(-128, 127) as i8;
        }
    }
}

/// The table of the sigmoid: value and difference in one word.
static SIGMOID: LazyLock<[u32; 512]> = LazyLock::new(|| std::array::from_fn(|i| tables::SIGMOID.word(i)));

versions! {
    /// `silu(gate) * up` of one token.
    pub fn silu_row(gate: &[i32], up: &[i32], hs: u32, out: &mut [i32]) {
        const TOP: i32 = (1 << 23) - 1;
        let table: &[u32; 512] = &SIGMOID;
        for ((g, u), out) in gate.iter().zip(up).zip(out) {
            let (g, u) = ((*g).clamp(-TOP - 1, TOP), (*u).clamp(-TOP - 1, TOP));
            let a = g.wrapping_abs();
            let entry = table[(a >> 7) as usize & 511];
            let part = (entry >> 16).wrapping_mul(a as u32 & 127) >> 7;
            let near = (entry & 0xffff).wrapping_add(part) as i32;
            let sg = if a >= 65536 { 32768 } else { near };
            let sg = if g < 0 { 32768i32.wrapping_sub(sg) } else { sg };
            let si = rs(i64::from(g).wrapping_mul(i64::from(sg)), 15);
            *out = sat32(rs(si.wrapping_mul(i64::from(u)), hs)).clamp(fixed::H_MIN, fixed::H_MAX);
        }
    }
}

versions! {
    /// Exponents and codes of one token, a block after another (`fixed::block_exponent`, `block_code`).
    pub fn quantize_blocks(x: &[i32], block: usize, codes: &mut [i8], exponents: &mut [u8]) {
        for ((x, codes), e) in x.chunks(block).zip(codes.chunks_mut(block)).zip(exponents) {
            let (mut low, mut high) = (0, 0);
            for v in x {
                (low, high) = (v.min(&low).to_owned(), v.max(&high).to_owned());
            }
            // Rounding shifts keep the order, so that the ends decide.
            *e = fixed::block_exponent(&[low, high]);
            let s = u32::from(*e);
            let half = 1i32.wrapping_shl(s) >> 1;
            for (v, code) in x.iter().zip(codes) {
                *code = v.wrapping_add(half).wrapping_shr(s) as i8;
            }
        }
    }
}

versions! {
    /// `fixed::rotate_head` of a padded head, in place.
    pub fn rotate_head(x: &mut [i32], cos: &[i16], sin: &[i16], shift: u32) {
        let (low, high) = x.split_at_mut(cos.len());
        for (((a, b), cos), sin) in low.iter_mut().zip(high.iter_mut()).zip(cos).zip(sin) {
            let (x, y) = ((*a).clamp(-32768, 32767), (*b).clamp(-32768, 32767));
            let (c, s) = (i32::from(*cos), i32::from(*sin));
            // At most 2^15 * 2^14 * sqrt(2), and half of 2^14.
            let turn = |v: i32| v.wrapping_add(1 << 13) >> 14;
            *a = turn(x.wrapping_mul(c).wrapping_sub(y.wrapping_mul(s)));
            *b = turn(y.wrapping_mul(c).wrapping_add(x.wrapping_mul(s)));
        }
        match x.len() {
            64 => hadamard::<64>(x),
            128 => hadamard::<128>(x),
            _ => fixed::wht(x),
        }
        let half = 1i32.wrapping_shl(shift) >> 1;
        for v in x {
            *v = v.wrapping_add(half).wrapping_shr(shift).clamp(-32768, 32767);
        }
    }
}

/// Walsh-Hadamard transform of `N` numbers: their order is turned by a bit in each of the steps, so that all steps
/// are the same sum and difference of two halves.
#[inline(always)]
fn hadamard<const N: usize>(x: &mut [i32]) {
    let mut a = [0i32; N];
    a.copy_from_slice(x);
    for _ in 0..N.ilog2() {
        let mut b = [0i32; N];
        for i in 0..N / 2 {
            b[2 * i] = a[i].wrapping_add(a[i + N / 2]);
            b[2 * i + 1] = a[i].wrapping_sub(a[i + N / 2]);
        }
        a = b;
    }
    x.copy_from_slice(&a);
}

versions! {
    /// Scores and log2 units of keys for one query: dots become scores in place. `qz` is the query's step times `zm`.
    /// Returns the largest of `z`.
    pub fn z_row(dots: &mut [i32], scale: &[i32], base: &[i32], q_sum: i32, qz: i32, zs: u32, z: &mut [i32]) -> i32 {
        let mut top = i32::MIN;
        for (((dot, scale), base), z) in dots.iter_mut().zip(scale).zip(base).zip(z) {
            *dot = dot.wrapping_mul(*scale).wrapping_add(base.wrapping_mul(q_sum));
            let x = rs(i64::from(*dot).wrapping_mul(i64::from(qz)), zs);
            *z = sat32(x);
            top = top.max(*z);
        }
        top
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::int::kernel::Simd;
    use accllm_hw::sizes::{MAX_HEAD_DIM, PADDED_HEADS};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equal_to_the_leaf_functions(
            acc in proptest::array::uniform32(-(1i64 << 46) + 1..1i64 << 46),
            mult in proptest::array::uniform32(any::<u16>()),
            shift in proptest::array::uniform32(0u8..64),
            x in proptest::collection::vec(-(1i32 << 25)..1 << 25, 1..700),
            small in 0u32..26,
            g in proptest::collection::vec(any::<i16>(), 700),
            (eps, gs) in (1u32.., 0u32..48),
        ) {
            let x: Vec<i32> = x.iter().map(|v| v >> small).collect();
            for simd in Simd::all() {
                let mut out = [0; ROWS];
                requant_lanes(simd, &acc, &mult, &shift, &mut out);
                for r in 0..ROWS {
                    prop_assert_eq!(out[r], fixed::requant(acc[r], mult[r], u32::from(shift[r])));
                }
                let mut out = vec![0i8; x.len()];
                norm_row(simd, &x, &g[..x.len()], eps, gs, &mut out);
                let r = tables::rsqrt(fixed::sum_squares(&x, eps));
                for i in 0..x.len() {
                    prop_assert_eq!(out[i], fixed::norm_element(x[i], r, g[i], gs));
                }
            }
        }

        #[test]
        fn feed_forward_equals_the_leaf_functions(
            gate in proptest::collection::vec(any::<i32>(), 600),
            up in proptest::collection::vec(any::<i32>(), 600),
            small in 0u32..24, hs in 0u32..48, n in 1usize..600,
        ) {
            let gate: Vec<i32> = gate[..n].iter().map(|v| v >> small).collect();
            let h: Vec<i32> = gate.iter().zip(&up).map(|(g, u)| fixed::silu_mul(*g, *u, hs)).collect();
            for simd in Simd::all() {
                let mut out = vec![0; n];
                silu_row(simd, &gate, &up[..n], hs, &mut out);
                prop_assert_eq!(&out, &h);
                let (mut codes, mut e) = (vec![0; n], vec![0; n.div_ceil(256)]);
                quantize_blocks(simd, &h, 256, &mut codes, &mut e);
                for (b, part) in h.chunks(256).enumerate() {
                    prop_assert_eq!(e[b], fixed::block_exponent(part));
                    for (i, v) in part.iter().enumerate() {
                        prop_assert_eq!(codes[b * 256 + i], fixed::block_code(*v, e[b]));
                    }
                }
            }
        }

        #[test]
        fn attention_equals_the_leaf_functions(
            x in proptest::collection::vec(any::<i32>(), MAX_HEAD_DIM),
            small in 8u32..24, width in 0usize..3, position in 0u64..1_000_000, shift in 0u32..16,
            dot in proptest::collection::vec(-260_096i32..=260_096, 50),
            scale in proptest::collection::vec(1u16..=4369, 50),
            base in proptest::collection::vec(any::<i16>(), 50),
            q_sum in -32_512i32..=32_512, (q_scale, zm, zs) in (1u16..=259, any::<u16>(), 0u32..48),
        ) {
            let hdp = PADDED_HEADS[width];
            let head: Vec<i32> = x[..hdp].iter().map(|v| v >> small).collect();
            let (cos, sin) = fixed::rope_row(position, &accllm_hw::rope::Rope::plain(1e4), hdp, hdp);
            let mut turned = vec![0; hdp];
            fixed::rotate_head(&head, &cos, &sin, shift, &mut turned);
            let (s, b): (Vec<i32>, Vec<i32>) =
                scale.iter().zip(&base).map(|(s, b)| (i32::from(*s), i32::from(*b))).unzip();
            for simd in Simd::all() {
                let mut out = head.clone();
                rotate_head(simd, &mut out, &cos, &sin, shift);
                prop_assert_eq!(&out, &turned);
                let (mut score, mut z) = (dot.clone(), vec![0; 50]);
                let qz = i32::from(q_scale) * i32::from(zm);
                let top = z_row(simd, &mut score, &s, &b, q_sum, qz, zs, &mut z);
                for i in 0..50 {
                    let sc = fixed::score(dot[i], scale[i], base[i], q_sum);
                    prop_assert_eq!(score[i], sc);
                    prop_assert_eq!(z[i], fixed::score_z(sc, q_scale, zm, zs));
                }
                prop_assert_eq!(Some(top), z.iter().copied().max());
            }
        }
    }
}
