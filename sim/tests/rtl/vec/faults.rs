//! Operands out of order: the same faults as the golden executor's, nothing written outside, and life after `clear`.

use super::bench::{Bench, Outcome, Pace};
use accllm_hw::isa::{FLAG_VMEM, Instr, OPS, Op, Unit};
use accllm_sim::golden::testgen::{Case, case};
use accllm_sim::golden::{Constant, FaultCode, Space, Write};
use accllm_sim::memory::Rng;

/// An address beside, near the end of, or far outside a buffer of `size`.
fn strange(rng: &mut Rng, old: u32, size: usize) -> u32 {
    match rng.range(0, 6) {
        0 => old ^ (1 << rng.range(0, 6)),
        1 => (size as u32).wrapping_sub(rng.range(0, 600) as u32),
        2 => size as u32 + rng.range(0, 64) as u32,
        3 => u32::MAX - rng.range(0, 600) as u32,
        4 => 1 << rng.range(0, 31),
        5 => rng.next_u64() as u32,
        _ => old.wrapping_add(rng.range(0, 2 * size as u64) as u32),
    }
}

fn change_constant(rng: &mut Rng, case: &mut Case) {
    let all = [
        Constant::Hdp,
        Constant::NSink,
        Constant::NWindow,
        Constant::Ring,
        Constant::SinkPad,
        Constant::Gqa,
        Constant::ScoreRow,
        Constant::KWindow,
        Constant::VDim,
    ];
    let which = all[rng.range(0, 8) as usize];
    let value = match rng.range(0, 4) {
        0 => 0,
        1 => rng.range(1, 200) as u32,
        2 => 32 * rng.range(0, 40) as u32,
        3 => rng.next_u64() as u32,
        _ => u32::MAX,
    };
    case.state.set_constant(which, value);
}

/// Changes one operand or constant; its name.
fn change(rng: &mut Rng, case: &mut Case) -> &'static str {
    let (config, i) = (case.config, &mut case.instr);
    match rng.range(0, 9) {
        0 => {
            i.a = strange(rng, i.a, config.vmem);
            "a"
        }
        1 => {
            i.b = strange(rng, i.b, config.vmem);
            "b"
        }
        2 => {
            let op = Op::from_code(i.op);
            let act = [Op::NORMQ, Op::QQ, Op::SOFTMAX, Op::ATTQ, Op::SILU].map(Some).contains(&op)
                && !(op == Some(Op::NORMQ) && i.flags & FLAG_VMEM != 0);
            let scalar = [Op::SUMSQ, Op::STATK, Op::STATQ].map(Some).contains(&op);
            let size = match (act, scalar) {
                (true, _) => config.act,
                (_, true) => config.scalars,
                _ => config.vmem,
            };
            i.c = strange(rng, i.c, size);
            "c"
        }
        3 => {
            i.n = if rng.percent(50) { rng.range(0, 70) } else { rng.next_u64() } as u16;
            "n"
        }
        4 => {
            i.m = if rng.percent(50) { rng.range(0, 200) } else { rng.next_u64() } as u16;
            "m"
        }
        5 => {
            i.k = if rng.percent(50) { rng.range(0, 100) } else { rng.next_u64() } as u16;
            "k"
        }
        6 => {
            i.sh = rng.next_u64() as u8;
            "sh"
        }
        7 => {
            i.x = rng.next_u64() as u8;
            "x"
        }
        8 => {
            i.aux = strange(rng, i.aux, config.scalars);
            "aux"
        }
        _ => {
            change_constant(rng, case);
            "a constant"
        }
    }
}

/// Whether a write lies where this operation may write.
fn inside(b: &Bench, case: &Case, w: &Write) -> bool {
    let (c, l) = (&case.config, &case.limits);
    match w.space {
        Space::Vmem => w.address < c.vmem as u64,
        Space::Act(_) => w.address < c.act as u64 * 256,
        Space::Exponent(_) => w.address < c.act as u64,
        Space::Scalar(_) => w.address < c.scalars as u64,
        Space::Channel(_) => (u64::from(l.write_low)..u64::from(l.write_high)).contains(&(w.address / 64)),
        // The auxiliary port checks its own range.
        Space::Aux | Space::Result => true,
        Space::Score(_) => b.cfg.sbuf == 0,
    }
}

fn strange_operands(config: &str, seeds: std::ops::Range<u64>) -> Outcome {
    let mut b = Bench::new(config, Pace { stall: 20, contention: 10 }, seeds.start)?;
    let mut rng = Rng::new(seeds.start);
    let (mut faults, mut fine) = (0, 0);
    for seed in seeds {
        for op in OPS.iter().filter(|i| i.unit == Unit::Vector).map(|i| i.op) {
            let mut case = case(b.cfg, op, seed).ok_or("no such case")?;
            let what = change(&mut rng, &mut case);
            if case.instr.check(op).is_err() {
                continue; // an operand that this instruction does not have
            }
            let golden = case.golden();
            if golden.as_ref().is_err_and(|f| {
                f.code == FaultCode::AuxRange && !(op == Op::EMBED && f.message.starts_with("token"))
            }) {
                continue; // found by the auxiliary port, which is not here
            }
            let run =
                b.run_case(&case).map_err(|e| format!("seed {seed}, {what}: {}: {e}", case.describe()))?;
            let context = || format!("seed {seed}, {what} changed: {}", case.describe());
            assert!(run.writes.iter().all(|w| inside(&b, &case, w)), "{}", context());
            match golden {
                Ok((_, _, record)) => {
                    assert_eq!(run.fault, None, "{}", context());
                    fine += 1;
                    // Scalars that do not belong to the row leave the widths of docs/numerics.md section 4; and
                    // outputs that overlap inputs are not defined.
                    let foreign = match op {
                        Op::NORMQ | Op::SOFTMAX => matches!(what, "a" | "b" | "c" | "m" | "aux" | "n"),
                        Op::RADD | Op::ROPE | Op::HADW | Op::HADX => !matches!(what, "sh"),
                        _ => false,
                    };
                    let mut want = record.writes;
                    want.sort_unstable();
                    want.dedup();
                    let mut got = run.writes;
                    got.dedup();
                    // Overlapping outputs: only the addresses are certain.
                    let unique =
                        want.windows(2).all(|w| (w[0].space, w[0].address) != (w[1].space, w[1].address));
                    if !foreign && unique {
                        assert!(got == want, "other writes: {}", context());
                    }
                }
                Err(f) => {
                    let got = run.fault.ok_or_else(|| format!("no fault, instead of {f}: {}", context()))?;
                    assert_eq!(got.code, f.code.number(), "instead of {f}: {}", context());
                    assert_eq!(got.pc, b.last_pc, "{}", context());
                    faults += 1;
                    b.clear()?;
                }
            }
        }
    }
    println!("{config}: {faults} faults, {fine} operations without");
    assert!(faults > 50 && fine > 50);
    Ok(())
}

#[test]
fn strange_operands_at_tiny() -> Outcome {
    strange_operands("tiny", 0..160)
}

#[test]
fn strange_operands_at_edge() -> Outcome {
    strange_operands("edge", 1000..1060)
}

#[test]
fn strange_operands_at_u280() -> Outcome {
    strange_operands("u280", 2000..2030)
}

#[test]
fn an_error_response_is_a_fault() -> Outcome {
    for (config, channel) in [("tiny", 1), ("u280", 17)] {
        let mut b = Bench::new(config, Pace::ROUGH, 3)?;
        for seed in 0..6 {
            let case = case(b.cfg, Op::QV, seed).ok_or("no such case")?;
            b.broken = Some(channel);
            let fault = b.run_case(&case)?.fault.ok_or("no fault")?;
            assert_eq!((fault.code, fault.pc), (FaultCode::AxiWrite.number(), b.last_pc));
            assert_eq!(fault.info, channel as u32);
            b.broken = None;
            b.clear()?;
            assert_eq!(b.run_case(&case)?.fault, None);
        }
    }
    Ok(())
}

#[test]
fn clear_ends_any_operation_at_any_time() -> Outcome {
    let mut b = Bench::new("tiny", Pace::ROUGH, 4)?;
    let mut rng = Rng::new(4);
    for seed in 0..25 {
        for op in OPS.iter().filter(|i| i.unit == Unit::Vector).map(|i| i.op) {
            let case = case(b.cfg, op, seed).ok_or("no such case")?;
            let (_, _, record) = case.golden()?;
            b.run_some(&case, rng.range(1, 60))?;
            b.clear()?;
            let mut want = record.writes;
            want.sort_unstable();
            want.dedup();
            let run = b.run_case(&case)?;
            assert!(run.fault.is_none() && run.writes == want, "seed {seed}: {}", case.describe());
        }
    }
    Ok(())
}

#[test]
fn positions_beyond_16_bits() -> Outcome {
    // m comes from a register then; the slots depend on the ring pointer only.
    let mut b = Bench::new("tiny", Pace::FREE, 5)?;
    for seed in 0..20 {
        for op in [Op::QK, Op::QV] {
            let case = case(b.cfg, op, seed).ok_or("no such case")?;
            let late = Case {
                instr: Instr { m: case.state.constant(Constant::NSink) as u16 + 3, ..case.instr },
                ..case
            };
            let (_, _, record) = late.golden()?;
            let mut want = record.writes;
            want.sort_unstable();
            b.offset_m = 1_000_000;
            let run = b.run_case(&late)?;
            assert!(run.fault.is_none() && run.writes == want, "seed {seed}: {}", late.describe());
        }
    }
    Ok(())
}

#[test]
fn a_token_beyond_the_vocabulary_is_a_fault() -> Outcome {
    let mut b = Bench::new("tiny", Pace::FREE, 6)?;
    for seed in 0..10 {
        let mut case = case(b.cfg, Op::EMBED, seed).ok_or("no such case")?;
        let id = case.state.vmem()[case.instr.b as usize] as u32;
        case.instr.aux = id + 1;
        assert_eq!(b.run_case(&case)?.fault, None);
        case.instr.aux = id;
        let fault = b.run_case(&case)?.fault.ok_or("no fault")?;
        assert_eq!((fault.code, fault.pc, fault.info), (FaultCode::AuxRange.number(), b.last_pc, id));
        b.clear()?;
    }
    Ok(())
}
