//! Cases of the instructions on rows: transfers, norm, SiLU, residual, argmax.

use accllm_hw::config::{COLS, GROUP};
use accllm_hw::isa::{FLAG_FIRST, FLAG_I32, FLAG_VMEM, Instr};
use accllm_hw::tables::{Rsqrt, rsqrt};

use super::place::Builder;

fn halfwords(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|&v| (v as i16).to_le_bytes()).collect()
}

pub(super) fn load(b: &mut Builder) -> Instr {
    let n = GROUP * b.range(1, 20);
    let wide = b.chance(50);
    let values = b.row(n, if wide { 32 } else { 16 });
    let bytes = if wide { values.iter().flat_map(|v| v.to_le_bytes()).collect() } else { halfwords(&values) };
    let flags = if wide { FLAG_I32 } else { 0 };
    Instr { flags, a: b.aux(&bytes), c: b.room(n), n: n as u16, ..Default::default() }
}

pub(super) fn embed(b: &mut Builder) -> Instr {
    let n = GROUP * b.range(1, 12);
    let (beats, vocab) = (n / GROUP + b.range(0, 2), b.range(1, 20));
    let id = b.range(0, vocab - 1);
    let table = b.row(vocab * beats * GROUP, 16);
    let ids = b.values(9, 20);
    let at = ids + b.range(0, 8) as u32;
    b.state.vmem_mut()[at as usize] = id as i32;
    Instr {
        a: b.aux(&halfwords(&table)),
        b: at,
        c: b.room(n),
        n: n as u16,
        k: beats as u16,
        sh: b.range(0, 10) as u8,
        aux: vocab as u32,
        ..Default::default()
    }
}

pub(super) fn store(b: &mut Builder) -> Instr {
    let n = GROUP * b.range(1, 20);
    let from = b.values(n, 32);
    let to = b.range(0, 5000) as u32;
    b.limits.aux_write_low = to;
    b.limits.aux_write_high = to + n as u32 / 16;
    Instr { a: from, c: to, n: n as u16, ..Default::default() }
}

/// A residual row, at most 26 bits.
fn residual(b: &mut Builder) -> (Vec<i32>, u32) {
    let n = if b.chance(5) { 8192 } else { b.range(1, 600) };
    (b.row(n, 26), if b.chance(10) { u32::MAX } else { b.range(1, 100_000) as u32 })
}

pub(super) fn sumsq(b: &mut Builder) -> Instr {
    let (row, eps) = residual(b);
    let c = b.range(0, b.config.scalars - 1) as u32;
    Instr { a: b.put(&row), c, n: row.len() as u16, aux: eps, ..Default::default() }
}

pub(super) fn normq(b: &mut Builder) -> Instr {
    let (row, eps) = residual(b);
    let ss = row.iter().fold(u64::from(eps), |s, &x| s + i64::from(x).pow(2) as u64);
    let Rsqrt { r, e } = rsqrt(ss);
    let scalar = b.range(0, b.config.scalars - 1);
    b.state.scalars_mut()[scalar].r = r;
    b.state.scalars_mut()[scalar].k = e as u8;
    let (m, sh) = (b.range(0, b.config.block - 1), b.range(0, 47) as u8);
    let wide = b.chance(40);
    let a = b.put(&row);
    let (c, x) = match wide {
        true if b.chance(50) => (a, 0),
        true => (b.room(row.len()), 0),
        false => b.act(m + 1, row.len()),
    };
    Instr {
        a,
        b: b.values(row.len(), 16),
        c,
        n: row.len() as u16,
        m: if wide { 0 } else { m as u16 },
        flags: if wide { FLAG_VMEM } else { 0 },
        sh,
        x,
        aux: scalar as u32,
        ..Default::default()
    }
}

pub(super) fn silu(b: &mut Builder) -> Instr {
    let n = b.range(1, 1200);
    let (m, col) = (b.range(0, b.config.block - 1), COLS * b.range(0, 2));
    let (c, x) = b.act(m + 1, col + n);
    let gate_bits = b.pick(&[17, 18, 25, 32]);
    let edges = b.chance(30);
    let (gate, up) = if edges {
        // Gates of which sigmoid is 1, so that the products are `up` before the shift: around the ends of exponents.
        let near = |b: &mut Builder| {
            let e = b.range(0, 12) as u32;
            let end = b.pick(&[255, -257, 127 * 2, -128 * 2]) * (1 << e) / 2;
            end + b.range(0, 4) as i32 - 2
        };
        let usual = b.range(1, 16) as u32;
        let often = b.pick(&[0, 1, 20, 100]);
        let up = (0..n).map(|_| if b.chance(often) { near(b) } else { b.signed(usual) as i32 }).collect();
        (vec![1 << 16; n], up)
    } else {
        (b.row(n, gate_bits), b.row(n, 32))
    };
    Instr {
        a: b.put(&gate),
        b: b.put(&up),
        c,
        n: n as u16,
        m: m as u16,
        sh: if edges { 16 } else { b.range(0, 40) as u8 },
        x,
        aux: col as u32,
        ..Default::default()
    }
}

pub(super) fn radd(b: &mut Builder) -> Instr {
    let n = b.range(1, 600);
    let (a, other) = (b.values(n, 26), b.values(n, 32));
    let c = if b.chance(50) { a } else { b.room(n) };
    Instr { a, b: other, c, n: n as u16, ..Default::default() }
}

pub(super) fn argmax(b: &mut Builder) -> Instr {
    let n = b.range(1, 600);
    let a = b.values(n, 32);
    if b.chance(30) {
        let low = b.pick(&[i32::MIN, -5]);
        b.state.vmem_mut()[a as usize..][..n].fill(low);
    }
    let value = b.signed(32) as i32;
    b.state.set_result(b.rng.range(0, 1000) as u32, value);
    let flags = if b.chance(50) { FLAG_FIRST } else { 0 };
    Instr { flags, a, n: n as u16, aux: b.range(1001, 100_000) as u32, ..Default::default() }
}
