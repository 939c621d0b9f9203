//! Row instructions against formulas on wide integers.

use super::*;
use accllm_hw::isa::{FLAG_FIRST, FLAG_I32, FLAG_VMEM};
use accllm_hw::tables::{Rsqrt, rsqrt, sigmoid};

fn aux_bytes(case: &Case, beat: u32, len: usize) -> Vec<u8> {
    (0..len.div_ceil(64))
        .flat_map(|b| case.image.read_beat(Port::Aux, u64::from(beat) + b as u64).unwrap())
        .take(len)
        .collect()
}

#[test]
fn load_and_embed() {
    check(Op::LOAD, 60, |case| {
        let i = case.instr;
        let size = if i.flags & FLAG_I32 != 0 { 4 } else { 2 };
        let bytes = aux_bytes(case, i.a, usize::from(i.n) * size);
        let value = |j: usize| {
            let e = &bytes[j * size..][..size];
            let unsigned = e.iter().rev().fold(0i64, |v, &b| v * 256 + i64::from(b));
            let top = 1i64 << (8 * size);
            (if unsigned >= top / 2 { unsigned - top } else { unsigned }) as i32
        };
        (0..usize::from(i.n)).map(|j| ((Space::Vmem, u64::from(i.c) + j as u64), value(j))).collect()
    });
    check(Op::EMBED, 60, |case| {
        let i = case.instr;
        let id = case.state.vmem()[i.b as usize] as u32;
        let bytes = aux_bytes(case, i.a + id * u32::from(i.k), usize::from(i.n) * 2);
        (0..usize::from(i.n))
            .map(|j| {
                let e = i32::from(i16::from_le_bytes([bytes[2 * j], bytes[2 * j + 1]]));
                ((Space::Vmem, u64::from(i.c) + j as u64), e * 2i32.pow(i.sh.into()))
            })
            .collect()
    });
}

#[test]
fn store() {
    check(Op::STORE, 60, |case| {
        let i = case.instr;
        (0..usize::from(i.n) * 4)
            .map(|j| {
                let byte = vmem(case, i.a, j / 4) as u32 >> (8 * (j % 4)) & 255;
                ((Space::Aux, u64::from(i.c) * 64 + j as u64), byte as i32)
            })
            .collect()
    });
}

#[test]
fn sumsq_and_normq() {
    check(Op::SUMSQ, 60, |case| {
        let i = case.instr;
        let ss = (0..usize::from(i.n)).map(|j| vmem(case, i.a, j).pow(2)).sum::<i128>() + i128::from(i.aux);
        let Rsqrt { r, e } = rsqrt(ss as u64);
        let at = u64::from(i.c);
        [((Space::Scalar(Field::R), at), r.into()), ((Space::Scalar(Field::K), at), e as i32)].into()
    });
    check(Op::NORMQ, 60, |case| {
        let i = case.instr;
        let s = case.state.scalars()[i.aux as usize];
        let wide = i.flags & FLAG_VMEM != 0;
        let most = if wide { 1 << 15 } else { 1 << 7 };
        let codes: Vec<i32> = (0..usize::from(i.n))
            .map(|j| {
                // Shifting left by 5 first and right by e after rounds the same.
                let xn = round(vmem(case, i.a, j) * i128::from(s.r) * 32, s.k);
                assert!(xn.abs() <= 1 << 21);
                clamp(round(xn * vmem(case, i.b, j), i.sh), -most, most - 1)
            })
            .collect();
        if wide {
            let at = |j| (Space::Vmem, u64::from(i.c) + j as u64);
            return codes.iter().enumerate().map(|(j, v)| (at(j), *v)).collect();
        }
        let mut out = Expected::new();
        put_codes(&mut out, case, i.m.into(), 0, &codes, 0);
        out
    });
}

#[test]
fn norm_is_close_to_real_arithmetic() {
    // A row normalized with constants for a step of 1/16: codes are 16 * x / rms.
    let row: Vec<i32> = (0..100).map(|i| (i * 7919 % 20001) - 10000).collect();
    let mut golden = Golden::with_limits(tiny(), Limits::open(0, 0));
    golden.state.vmem_mut()[..100].copy_from_slice(&row);
    // sqrt(100) * 16 * 2^-20 = g / 2^gs.
    golden.state.vmem_mut()[128..228].fill(160 * 64);
    let sumsq = Instr { n: 100, aux: 1, c: 4, ..instr(Op::SUMSQ) };
    let normq = Instr { n: 100, b: 128, aux: 4, sh: 26, x: 1, ..instr(Op::NORMQ) };
    let mut image = Image::new(2);
    golden.run(&Program::from_instrs(&[sumsq, normq, end()]), [0; 15], &mut image, &mut Silent).unwrap();
    let rms = (row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 100.0).sqrt();
    for (i, &x) in row.iter().enumerate() {
        let index = golden.state.act_index(0, 0, i);
        let real = 16.0 * f64::from(x) / rms;
        assert!((f64::from(golden.state.act()[index]) - real).abs() < 0.51, "element {i}: {real}");
    }
}

#[test]
fn silu() {
    check(Op::SILU, 60, |case| {
        let i = case.instr;
        let limit = |v: i128| clamp(v, -(1 << 23), (1 << 23) - 1);
        let products: Vec<i32> = (0..usize::from(i.n))
            .map(|j| {
                let (g, u) = (limit(vmem(case, i.a, j)), limit(vmem(case, i.b, j)));
                let s = if g.abs() >= 65536 { 32768 } else { i128::from(sigmoid(g.unsigned_abs())) };
                let s = if g < 0 { 32768 - s } else { s };
                let h = round(round(i128::from(g) * s, 15) * i128::from(u), i.sh);
                clamp(h, -(1 << 19), 255 * (1 << 11) - 1)
            })
            .collect();
        let (m, first) = (usize::from(i.m), i.aux as usize);
        let mut out = Expected::new();
        for (b, block) in products.chunks(256).enumerate() {
            let codes =
                |e: u8| block.iter().map(|&h| clamp(round(h.into(), e), -1000, 1000)).collect::<Vec<_>>();
            let fits = |e: &u8| codes(*e).iter().all(|m| (-128..=127).contains(m));
            let e = (0..=12).find(fits).expect("12 always fits");
            put_codes(&mut out, case, m, first + 256 * b, &codes(e), e.into());
        }
        out
    });
}

#[test]
fn radd() {
    check(Op::RADD, 60, |case| {
        let i = case.instr;
        let sum = |j| clamp(vmem(case, i.a, j) + vmem(case, i.b, j), -(1 << 25), (1 << 25) - 1);
        (0..usize::from(i.n)).map(|j| ((Space::Vmem, u64::from(i.c) + j as u64), sum(j))).collect()
    });
}

#[test]
fn argmax() {
    check(Op::ARGMAX, 60, |case| {
        let i = case.instr;
        let (index, value) = case.state.result();
        let mut all: Vec<(i128, u32)> =
            (0..usize::from(i.n)).map(|j| (vmem(case, i.a, j), i.aux + j as u32)).collect();
        if i.flags & FLAG_FIRST == 0 {
            all.push((value.into(), index));
        }
        all.sort_by_key(|&(v, index)| (-v, index));
        [((Space::Result, 0), all[0].1 as i32), ((Space::Result, 1), all[0].0 as i32)].into()
    });
}
