//! Which version of an inner loop runs. All lengths that the versions rely on are checked here.

use super::{GROUP_BYTES, HEADS, KEYS, ROWS, Row, Simd, TOKENS, Weights, portable};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::model::GROUP;

/// The version of `simd` for `count` tokens or heads, which is a constant there; nothing to do for none.
#[cfg(target_arch = "x86_64")]
macro_rules! version {
    ($simd:expr, $f:ident::<$count:expr; $($t:literal)*>$args:tt) => {
        match ($simd, $count) {
            // SAFETY: `Simd::best` names a set only where the processor has its features, and the caller has just
            // checked all lengths.
            $((Simd::Avx512, $t) => return unsafe { avx512::$f::<$t>$args },
            (Simd::Avx2, $t) => return unsafe { avx2::$f::<$t>$args },)*
            _ => {}
        }
    };
}

pub(super) fn tile(simd: Simd, w: Weights<'_>, x: &[Row<'_>], out: &mut [[i32; ROWS]; TOKENS]) {
    let groups = w.scale.len() / ROWS;
    assert!(w.level.len() == groups * GROUP_BYTES && x.len() <= TOKENS);
    for x in x {
        assert!(x.codes.len() == groups * GROUP && x.offset.len() == groups && x.pairs.len() == groups);
    }
    #[cfg(target_arch = "x86_64")]
    version!(simd, tile::<x.len(); 1 2 3 4 5 6>(w, x, out));
    portable::tile(simd, w, x, out);
}

pub(super) fn dots(simd: Simd, k: &[u8], q: &[&[i8]], out: &mut [i32], stride: usize) {
    let Some(width) = q.first().map(|q| q.len()) else { return };
    let keys = k.len() / width;
    assert!(width.is_multiple_of(4) && k.len() == keys * width && keys.is_multiple_of(KEYS));
    assert!(q.len() <= HEADS && q.iter().all(|q| q.len() == width));
    assert!(keys <= stride && (q.len() - 1) * stride + keys <= out.len());
    #[cfg(target_arch = "x86_64")]
    version!(simd, dots::<q.len(); 1 2 3 4>(k, q, out, stride));
    portable::dots(simd, k, q, out, stride);
}

pub(super) fn weigh(simd: Simd, v: &[i8], p: &[&[i16]], acc: &mut [i32], width: usize) {
    let Some(pairs) = p.first().map(|p| p.len() / 2) else { return };
    assert!(width.is_multiple_of(16) && v.len() == pairs * 2 * width && acc.len() >= p.len() * width);
    assert!(p.len() <= HEADS && p.iter().all(|p| p.len() == 2 * pairs));
    #[cfg(target_arch = "x86_64")]
    version!(simd, weigh::<p.len(); 1 2 3 4>(v, p, acc, width));
    portable::weigh(simd, v, p, acc, width);
}

pub(super) fn probabilities(simd: Simd, z: &[i32], top: i32, wide: bool, p: &mut [i16]) -> u32 {
    assert!(z.len() == p.len() && z.iter().all(|z| *z <= top));
    #[cfg(target_arch = "x86_64")]
    match simd {
        // SAFETY: the processor has the features (`Simd::best`), and all lengths were just checked.
        Simd::Avx512 => return unsafe { avx512::probabilities(z, top, wide, p) },
        Simd::Avx2 => {
            let whole = z.len() / 8 * 8;
            let ((z, rest), (p, out)) = (z.split_at(whole), p.split_at_mut(whole));
            // SAFETY: as above, and the length is a multiple of 8.
            let sum = unsafe { avx2::probabilities(z, top, wide, p) };
            return sum.wrapping_add(portable::probabilities(simd, rest, top, wide, out));
        }
        Simd::Portable => {}
    }
    portable::probabilities(simd, z, top, wide, p)
}

#[cfg(test)]
mod tests {
    use super::super::KEYS;
    use super::*;
    use accllm_hw::fixed;
    use accllm_hw::sizes::PADDED_HEADS;
    use proptest::prelude::*;

    fn numbers(seed: u64) -> impl FnMut() -> u64 {
        let mut x = seed | 1;
        move || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            x >> 33
        }
    }

    proptest! {
        #[test]
        fn attention_loops_equal_the_plain_sums(
            seed in any::<u64>(), heads in 1usize..=4, width in 0usize..3, blocks in 1usize..11,
            (columns, pairs) in (1usize..17, 1usize..40), extreme in any::<bool>(),
        ) {
            let mut next = numbers(seed);
            let hdp = PADDED_HEADS[width];
            let keys = blocks * KEYS;
            let mut code = |extreme: bool| if extreme { [-8i8, 7][next() as usize % 2] } else { (next() % 16) as i8 - 8 };
            let k: Vec<Vec<i8>> = (0..keys).map(|_| (0..hdp).map(|_| code(extreme)).collect()).collect();
            let width = 16 * columns;
            let v: Vec<Vec<i8>> = (0..2 * pairs).map(|_| (0..width).map(|_| code(extreme)).collect()).collect();
            let q: Vec<Vec<i8>> = (0..heads)
                .map(|_| (0..hdp).map(|_| if extreme { -127 } else { (next() % 255) as i32 as i16 - 127 } as i8).collect())
                .collect();
            let p: Vec<Vec<i16>> = (0..heads)
                .map(|_| (0..2 * pairs).map(|_| if extreme { 32639 } else { (next() % 32640) as i16 }).collect())
                .collect();
            let mut packed = vec![0u8; keys * hdp];
            for (j, k) in k.iter().enumerate() {
                for (d, k) in k.iter().enumerate() {
                    packed[j / KEYS * KEYS * hdp + (d / 4 * KEYS + j % KEYS) * 4 + d % 4] = (k + 8) as u8;
                }
            }
            let mut values = vec![0i8; 2 * pairs * width];
            for (j, v) in v.iter().enumerate() {
                for (d, v) in v.iter().enumerate() {
                    values[j / 2 * 2 * width + 2 * d + j % 2] = *v;
                }
            }
            let (qs, ps): (Vec<&[i8]>, Vec<&[i16]>) = (q.iter().map(|q| &q[..]).collect(), p.iter().map(|p| &p[..]).collect());
            for simd in Simd::all() {
                let mut out = vec![0; heads * (keys + 5)];
                dots(simd, &packed, &qs, &mut out, keys + 5);
                let mut acc = vec![3; heads * width];
                weigh(simd, &values, &ps, &mut acc, width);
                for h in 0..heads {
                    for j in 0..keys {
                        let want: i32 = q[h].iter().zip(&k[j]).map(|(q, k)| i32::from(*q) * i32::from(*k)).sum();
                        prop_assert_eq!(out[h * (keys + 5) + j], want);
                    }
                    for d in 0..width {
                        let want: i32 = p[h].iter().zip(&v).map(|(p, v)| i32::from(*p) * i32::from(v[d])).sum();
                        prop_assert_eq!(acc[h * width + d], want + 3);
                    }
                }
            }
        }

        #[test]
        fn probabilities_equal_the_leaf_function(
            z in proptest::collection::vec(any::<i32>(), 1..70), small in 0u32..32, wide in any::<bool>(),
        ) {
            let z: Vec<i32> = z.iter().map(|z| z >> small).collect();
            let top = z.iter().copied().max().unwrap_or(0);
            let want: Vec<i32> = z.iter().map(|z| fixed::prob(*z, top, wide)).collect();
            for simd in Simd::all() {
                let mut p = vec![0i16; z.len()];
                let sum = probabilities(simd, &z, top, wide, &mut p);
                prop_assert_eq!(sum, want.iter().sum::<i32>() as u32);
                prop_assert_eq!(p.iter().map(|p| i32::from(*p)).collect::<Vec<_>>(), want.clone());
            }
        }
    }

    #[test]
    fn probabilities_of_every_near_distance() {
        for simd in Simd::all() {
            for wide in [false, true] {
                let z: Vec<i32> = (0..70_000).map(|d| 17 - d).collect();
                let mut p = vec![0i16; z.len()];
                probabilities(simd, &z, 17, wide, &mut p);
                for (z, p) in z.iter().zip(&p) {
                    assert_eq!(i32::from(*p), fixed::prob(*z, 17, wide), "{simd:?} {z}");
                }
            }
        }
    }
}
