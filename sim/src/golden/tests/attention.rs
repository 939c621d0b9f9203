//! SOFTMAX and ATTQ against formulas, and attention as a whole against real arithmetic.

use super::*;
use accllm_hw::isa::FLAG_WIDE;
use accllm_hw::tables::{Recip, exp2_neg, recip};

/// Slots that a query at `p` sees, by walking over the tokens.
fn visible(case: &Case, slots: usize) -> Vec<bool> {
    let get = |c| case.state.constant(c) as usize;
    let (p, sinks, window) = (case.instr.a as usize, get(Constant::NSink), get(Constant::NWindow));
    let mut out = vec![false; slots];
    for j in 0..=p {
        let slot = if j < sinks {
            j
        } else if j + window > p {
            get(Constant::SinkPad) + (j - sinks) % get(Constant::Ring)
        } else {
            continue;
        };
        if let Some(o) = out.get_mut(slot) {
            *o = true;
        }
    }
    out
}

#[test]
fn softmax() {
    check(Op::SOFTMAX, 120, |case| {
        let first = usize::from(case.instr.m);
        let rows = first..first + case.state.constant(Constant::Gqa) as usize;
        rows.flat_map(|m| softmax_row(case, m)).collect()
    });
}

/// What one row of a SOFTMAX writes.
fn softmax_row(case: &Case, m: usize) -> Expected {
    let (i, lanes) = (case.instr, case.config.lanes);
    let sink_pad = case.state.constant(Constant::SinkPad) as usize;
    let slots = sink_pad + usize::from(i.n);
    let row = m / lanes * case.state.constant(Constant::ScoreRow) as usize;
    let (window, sink) = ((i.aux & 0xffff) as usize + m, (i.aux >> 16) as usize + m);
    let z = |slot: usize| {
        let sc = i128::from(case.state.score()[(row + slot) * lanes + m % lanes]);
        let scale = case.state.scalars()[if slot < sink_pad { sink } else { window }].scale;
        round(sc * i128::from(scale) * i128::from(i.k), i.sh).clamp(i32::MIN.into(), i32::MAX.into())
    };
    let seen = visible(case, slots);
    let max = (0..slots).filter(|&s| seen[s]).map(z).max().unwrap_or(0);
    let wide = i.flags & FLAG_WIDE != 0;
    let (mut out, mut sum) = (Expected::new(), 0u32);
    for (slot, &seen) in seen.iter().enumerate() {
        let d = if seen { (max - z(slot)) as u64 } else { u64::MAX };
        let shift = d >> 12;
        let p = if shift >= 16 { 0 } else { round(exp2_neg((d & 4095) as u32).into(), shift as u8) };
        let p = if wide { p as i32 } else { round(p, 8) as i32 };
        sum += p as u32;
        for copy in 0..4 {
            let col = slot / 32 * 128 + copy * 32 + slot % 32;
            if wide {
                put_act(&mut out, act(case, i.c, i.x, 2 * m, col), (p + 128) / 256, 0);
                put_act(&mut out, act(case, i.c, i.x, 2 * m + 1, col), (p + 128) % 256 - 128, 0);
            } else {
                put_act(&mut out, act(case, i.c, i.x, m, col), p, 0);
            }
        }
    }
    let Recip { r, k } = recip(sum);
    out.insert((Space::Scalar(Field::SumR), window as u64), r.into());
    out.insert((Space::Scalar(Field::SumK), window as u64), k as i32);
    out
}

#[test]
fn nothing_in_sight_gives_probability_0() {
    let mut golden = Golden::with_limits(tiny(), Limits::open(0, 0));
    for (c, v) in [
        (Constant::NSink, 40),
        (Constant::Ring, 64),
        (Constant::NWindow, 64),
        (Constant::ScoreRow, 64),
        (Constant::Gqa, 1),
    ] {
        golden.state.set_constant(c, v);
    }
    golden.state.act_mut().fill(3);
    // No sink region, and a position before the window.
    let i = Instr { a: 5, n: 64, k: 1, x: 1, flags: FLAG_WIDE, ..instr(Op::SOFTMAX) };
    let mut image = Image::new(2);
    golden.run(&Program::from_instrs(&[i, end()]), [0; 15], &mut image, &mut Silent).unwrap();
    assert!(golden.state.act()[..512].iter().all(|&p| p == 0));
    assert_eq!((golden.state.scalars()[0].sum_r, golden.state.scalars()[0].sum_k), (32768, 0));
}

#[test]
fn attq() {
    check(Op::ATTQ, 60, |case| {
        let i = case.instr;
        let n = usize::from(i.n);
        let mut out = Expected::new();
        for g in 0..case.state.constant(Constant::Gqa) as usize {
            let s = case.state.scalars()[i.b as usize + g];
            let at = g * case.state.constant(Constant::VDim) as usize;
            let codes: Vec<i32> = (at..at + n)
                .map(|j| {
                    let o = round(vmem(case, i.a, j) * i128::from(s.sum_r), s.sum_k + 3);
                    clamp(round(o.clamp(-32768, 32767) * i128::from(i.k), i.sh), -128, 127)
                })
                .collect();
            put_codes(&mut out, case, i.m.into(), i.aux as usize + g * n.div_ceil(32) * 32, &codes, 0);
        }
        out
    });
}
