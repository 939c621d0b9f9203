//! Head instructions against formulas on wide integers.

use super::*;
use accllm_hw::fixed::rotate_head;
use accllm_hw::isa::FLAG_FINAL;
use accllm_hw::sizes::PADDED_HEADS;
use accllm_hw::tables::{Recip, recip};

fn constant(case: &Case, which: Constant) -> usize {
    case.state.constant(which) as usize
}

fn to(base: u32, i: usize) -> (Space, u64) {
    (Space::Vmem, u64::from(base) + i as u64)
}

#[test]
fn rope() {
    check(Op::ROPE, 60, |case| {
        let (i, hdp) = (case.instr, constant(case, Constant::Hdp));
        let half = hdp / 2;
        let in16 = |j| i128::from(clamp(vmem(case, i.a, j), -32768, 32767));
        (0..usize::from(i.n) * hdp)
            .map(|j| {
                let (head, d) = (j / hdp * hdp, j % half);
                let (a, b) = (in16(head + d), in16(head + half + d));
                let (cos, sin) = (vmem(case, i.b, d), vmem(case, i.b, half + d));
                let v = if j % hdp < half { a * cos - b * sin } else { b * cos + a * sin };
                (to(i.c, j), round(v, 14) as i32)
            })
            .collect()
    });
}

#[test]
fn hadamard_stages() {
    // Sylvester: entry (r, c) is -1 to the number of common one bits.
    let sign = |r: usize, c: usize| if (r & c).count_ones().is_multiple_of(2) { 1 } else { -1 };
    check(Op::HADW, 40, |case| {
        let (i, v) = (case.instr, case.config.vec);
        let sum = |j: usize| (0..v).map(|c| sign(j % v, c) * vmem(case, i.a, j / v * v + c)).sum::<i128>();
        (0..usize::from(i.n)).map(|j| (to(i.c, j), sum(j) as i32)).collect()
    });
    check(Op::HADX, 40, |case| {
        let (i, half) = (case.instr, usize::from(case.instr.k));
        (0..usize::from(i.n))
            .map(|j| {
                let (low, high) = (vmem(case, i.a, j & !half), vmem(case, i.a, j | half));
                let v = if j & half == 0 { low + high } else { low - high };
                let last = i.flags & FLAG_FINAL != 0;
                (to(i.c, j), if last { clamp(round(v, i.sh), -32768, 32767) } else { v as i32 })
            })
            .collect()
    });
}

#[test]
fn rope_and_hadamard_make_the_rotation_of_a_head() {
    for config in CONFIGS.iter() {
        for hdp in PADDED_HEADS {
            let mut golden = Golden::with_limits(config, Limits::open(0, 0));
            golden.state.set_constant(Constant::Hdp, hdp as u32);
            let y: Vec<i32> = (0..hdp as i32).map(|i| (i * 30011) % 40009 - 20000).collect();
            let rope = accllm_hw::rope::Rope::plain(10000.0);
            let (cos, sin) = accllm_hw::fixed::rope_row(1_000_003, &rope, hdp - 10, hdp);
            let table: Vec<i32> = cos.iter().chain(&sin).map(|&v| v.into()).collect();
            golden.state.vmem_mut()[..hdp].copy_from_slice(&y);
            golden.state.vmem_mut()[hdp..2 * hdp].copy_from_slice(&table);
            let mut program = vec![
                Instr { b: hdp as u32, n: 1, ..instr(Op::ROPE) },
                Instr { n: hdp as u16, ..instr(Op::HADW) },
            ];
            let mut k = config.vec;
            while k < hdp {
                let last = 2 * k == hdp;
                let (flags, sh) = if last { (FLAG_FINAL, 3) } else { (0, 0) };
                program.push(Instr { n: hdp as u16, k: k as u16, flags, sh, ..instr(Op::HADX) });
                k *= 2;
            }
            program.push(end());
            let mut image = Image::new(config.channels);
            golden.run(&Program::from_instrs(&program), [0; 15], &mut image, &mut Silent).unwrap();
            let mut want = vec![0; hdp];
            rotate_head(&y, &cos, &sin, 3, &mut want);
            assert_eq!(golden.state.vmem()[..hdp], want);
        }
    }
}

#[test]
fn key_statistics() {
    check(Op::STATK, 60, |case| {
        let (i, hdp) = (case.instr, constant(case, Constant::Hdp));
        let mut out = Expected::new();
        for h in 0..usize::from(i.n) {
            let head: Vec<i128> = (0..hdp).map(|d| vmem(case, i.a, h * hdp + d)).collect();
            let (min, max) = (*head.iter().min().unwrap(), *head.iter().max().unwrap());
            let s = ((max - min + 14) / 15).max(1);
            let Recip { r, k } = recip(s as u32);
            let at = u64::from(i.c) + h as u64;
            let base = clamp(min + 8 * s, -32768, 32767);
            for (f, v) in
                [(Field::Scale, s as i32), (Field::Base, base), (Field::R, r.into()), (Field::K, k as i32)]
            {
                out.insert((Space::Scalar(f), at), v);
            }
        }
        out
    });
}

fn query_scalar(case: &Case, base: u32, h: usize) -> u64 {
    let (i, g) = (case.instr, constant(case, Constant::Gqa));
    u64::from(base) + (h / g * usize::from(i.k) + usize::from(i.m) * g + h % g) as u64
}

#[test]
fn queries() {
    check(Op::STATQ, 60, |case| {
        let (i, hdp) = (case.instr, constant(case, Constant::Hdp));
        let mut out = Expected::new();
        for h in 0..usize::from(i.n) {
            let top = (0..hdp).map(|d| vmem(case, i.a, h * hdp + d).abs()).max().unwrap();
            let s = ((top + 126) / 127).max(1);
            let Recip { r, k } = recip(s as u32);
            let at = query_scalar(case, i.c, h);
            out.insert((Space::Scalar(Field::Scale), at), s as i32);
            out.insert((Space::Scalar(Field::R), at), r.into());
            out.insert((Space::Scalar(Field::K), at), k as i32);
        }
        out
    });
    check(Op::QQ, 60, |case| {
        let (i, hdp, g) = (case.instr, constant(case, Constant::Hdp), constant(case, Constant::Gqa));
        let mut out = Expected::new();
        for h in 0..usize::from(i.n) {
            let at = query_scalar(case, i.b, h);
            let s = case.state.scalars()[at as usize];
            let code = |d| clamp(round(vmem(case, i.a, h * hdp + d) * i128::from(s.r), 15 + s.k), -127, 127);
            let sum: i32 = (0..hdp).map(code).sum();
            out.insert((Space::Scalar(Field::QSum), at), sum);
            let row = usize::from(i.m) * g + h % g;
            for col in 0..hdp.max(128) {
                // The KV head selects the word as if each had 256 columns.
                put_act(&mut out, act(case, i.c, i.x, row, h / g * 256 + col), code(col % hdp), 0);
            }
        }
        out
    });
}

/// `(position is a sink, slot in its region)`.
fn slot(case: &Case) -> (bool, usize) {
    let (p, ring) = (usize::from(case.instr.m), constant(case, Constant::Ring));
    let sinks = constant(case, Constant::NSink);
    if p < sinks { (true, p) } else { (false, (p - sinks) % ring) }
}

#[test]
fn keys_are_appended() {
    check(Op::QK, 60, |case| {
        let (i, hdp, c) = (case.instr, constant(case, Constant::Hdp), case.config.channels);
        let (sink, w) = slot(case);
        let (tpb, beats) = ((128 / hdp).max(1), hdp.div_ceil(128));
        let (step, channel, g) = (w / (c * tpb), w / tpb % c, w % tpb);
        let space = Space::Channel(channel as u8);
        let mut out = Expected::new();
        for h in 0..usize::from(i.n) {
            let s = case.state.scalars()[i.aux as usize + h];
            let region = if sink { 0 } else { constant(case, Constant::KWindow) };
            let head = i.c as usize + h * usize::from(i.k) + region;
            let per = 16 / tpb;
            let params = head + step / per * (per * beats + 1);
            let result = step * tpb + g;
            let word = u32::from(s.scale) | u32::from(s.base as u16) << 16;
            for (b, v) in word.to_le_bytes().into_iter().enumerate() {
                out.insert((space, (params * 64 + result % 16 * 4 + b) as u64), v.into());
            }
            let code = |d: usize| {
                let v = vmem(case, i.a, h * hdp + d) - i128::from(s.base);
                clamp(round(v * i128::from(s.r), 15 + s.k), -8, 7) as u8 & 15
            };
            // Element g*hdp + d is nibble 4s + q with s, q its position in a group of 32 and the group; 128 elements a beat.
            for (part, s) in (0..beats).flat_map(|part| (0..32).map(move |s| (part, s))) {
                for q in (0..4).step_by(2).filter(|q| (g * hdp..(g + 1) * hdp).contains(&(q * 32))) {
                    let d = part * 128 + q * 32 + s - g * hdp;
                    let byte = code(d) | code(d + 32) << 4;
                    let at = (params + 1 + step % per * beats + part) * 64 + 2 * s + q / 2;
                    out.insert((space, at as u64), byte.into());
                }
            }
        }
        out
    });
}

#[test]
fn values_are_appended() {
    check(Op::QV, 60, |case| {
        let (i, c) = (case.instr, case.config.channels);
        let dim = constant(case, Constant::VDim);
        let (sink, w) = slot(case);
        let slot = if sink { w } else { constant(case, Constant::SinkPad) + w };
        let mut out = Expected::new();
        for h in 0..usize::from(i.n) {
            for d in (0..dim).step_by(2) {
                let code = |d: usize| clamp(round(vmem(case, i.a, h * dim + d), i.sh), -8, 7) as u8 & 15;
                let (step, channel) = (d / (4 * c), d / 4 % c);
                let beat = i.c as usize + h * usize::from(i.k) + step * i.aux as usize + slot / 32;
                let byte = beat * 64 + slot % 32 * 2 + d % 4 / 2;
                let both = code(d) | code(d + 1) << 4;
                out.insert((Space::Channel(channel as u8), byte as u64), both.into());
            }
        }
        out
    });
}
