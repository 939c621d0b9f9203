//! SOFTMAX and ATTQ on groups of query heads: every size, masks and factors at their limits, and operations that follow
//! each other closely, so that the scan of the next one runs beside the one before.

use super::bench::{Bench, Outcome, Pace};
use accllm_hw::config::{Config, find};
use accllm_hw::isa::{ARGS, FLAG_WIDE, Instr, Op};
use accllm_sim::golden::testgen::{Case, case};
use accllm_sim::golden::{Constant, Executed, FaultCode, Golden, Program, Write};
use std::collections::BTreeMap;

const CONFIGS: [&str; 3] = ["tiny", "edge", "u280"];

/// A case of `op` for each size of a group, narrow and wide where the operation knows both.
fn every_size(config: &Config, op: Op) -> Vec<Case> {
    let kinds = if op == Op::SOFTMAX { 2 } else { 1 };
    let mut found = BTreeMap::new();
    for seed in 0..2000 {
        let Some(case) = case(config, op, seed) else { break };
        let key = (case.state.constant(Constant::Gqa), case.instr.flags & FLAG_WIDE);
        found.entry(key).or_insert(case);
        if found.len() == 16 * kinds {
            break;
        }
    }
    assert_eq!(found.len(), 16 * kinds, "sizes that no case has");
    found.into_values().collect()
}

/// What the golden executor writes.
fn golden(case: &Case, all: &[Instr]) -> Outcome<Vec<Write>> {
    let mut golden = Golden::with_limits(&case.config, case.limits);
    golden.state = case.state.clone();
    let end = Instr { op: Op::END as u8, ..Default::default() };
    let program: Vec<_> = all.iter().copied().chain([end]).collect();
    let mut records: Vec<Executed> = Vec::new();
    golden.run(&Program::from_instrs(&program), [0; ARGS], &mut case.image.clone(), &mut records)?;
    let mut writes: Vec<_> = records.into_iter().flat_map(|r| r.writes).collect();
    writes.sort_unstable();
    Ok(writes)
}

fn same(b: &mut Bench, case: &Case, what: &str) -> Outcome {
    let want = golden(case, &[case.instr])?;
    let run = b.run_case(case)?;
    assert_eq!(run.fault, None, "{what}: {}", case.describe());
    assert!(run.writes == want, "{what}: {}", case.describe());
    Ok(())
}

/// Names and makes variants of a SOFTMAX: what it sees, and the factors and scores at their limits.
fn variants(case: &Case) -> Vec<(&'static str, Case)> {
    let with = |change: &dyn Fn(&mut Case)| {
        let mut case = case.clone();
        change(&mut case);
        case
    };
    let (sinks, ring) = (case.state.constant(Constant::NSink), case.state.constant(Constant::Ring));
    let scores = |case: &mut Case, value: i32| case.state.score_mut().fill(value);
    vec![
        ("as it is", case.clone()),
        ("the first token", with(&|c| (c.instr.a, c.instr.b) = (0, 0))),
        ("the last sink", with(&|c| (c.instr.a, c.instr.b) = (sinks.saturating_sub(1), 0))),
        ("the first slot of the window", with(&|c| (c.instr.a, c.instr.b) = (sinks, 0))),
        ("one window token", with(&|c| c.state.set_constant(Constant::NWindow, 1))),
        ("none of the sinks", with(&|c| c.state.set_constant(Constant::NSink, 0))),
        (
            "a whole sink region",
            with(&|c| {
                let sinks = c.state.constant(Constant::SinkPad);
                c.state.set_constant(Constant::NSink, sinks);
                c.instr.a = sinks + ring;
            }),
        ),
        ("sinks only", with(&|c| c.state.set_constant(Constant::NWindow, 0))),
        (
            "nothing",
            with(&|c| {
                c.state.set_constant(Constant::NWindow, 0);
                c.state.set_constant(Constant::NSink, 0);
            }),
        ),
        (
            "a full ring, wrapped",
            with(&|c| {
                c.state.set_constant(Constant::NWindow, ring);
                (c.instr.a, c.instr.b) = (sinks + 3 * ring, ring);
            }),
        ),
        ("least scores", with(&|c| scores(c, i32::MIN))),
        ("largest scores", with(&|c| scores(c, i32::MAX))),
        (
            "factors of 0 and of the largest",
            with(&|c| {
                // The largest scale with which the factor keeps to 25 bits.
                for (i, s) in c.state.scalars_mut().iter_mut().enumerate() {
                    s.scale = if i % 3 == 0 { 0 } else { 511 };
                }
                (c.instr.k, c.instr.sh) = (u16::MAX, 30);
            }),
        ),
        (
            "everything saturated",
            with(&|c| {
                c.state.scalars_mut().iter_mut().for_each(|s| s.scale = 511);
                (c.instr.k, c.instr.sh) = (u16::MAX, 0);
            }),
        ),
        ("everything 0", with(&|c| c.instr.sh = 63)),
    ]
}

fn softmax_of_every_size(config: &str) -> Outcome {
    let mut b = Bench::new(config, Pace::FREE, 20)?;
    for case in every_size(b.cfg, Op::SOFTMAX) {
        for (what, case) in variants(&case) {
            same(&mut b, &case, what)?;
        }
    }
    Ok(())
}

#[test]
fn softmax_of_every_size_at_tiny() -> Outcome {
    softmax_of_every_size("tiny")
}

#[test]
fn softmax_of_every_size_at_edge() -> Outcome {
    softmax_of_every_size("edge")
}

#[test]
fn softmax_of_every_size_at_u280() -> Outcome {
    softmax_of_every_size("u280")
}

#[test]
fn attq_of_every_size() -> Outcome {
    for config in CONFIGS {
        let mut b = Bench::new(config, Pace::FREE, 21)?;
        for case in every_size(b.cfg, Op::ATTQ) {
            same(&mut b, &case, "as it is")?;
        }
    }
    Ok(())
}

/// The scan takes an operation while the one before still runs, whatever that is.
#[test]
fn one_after_the_other() -> Outcome {
    for config in CONFIGS {
        let mut b = Bench::new(config, Pace::FREE, 22)?;
        let (mut close, mut apart) = (0, 0);
        for case in every_size(b.cfg, Op::SOFTMAX) {
            let i = case.instr;
            let first = Instr { m: 0, ..i };
            let early = Instr { a: 0, b: 0, ..i };
            let none = Instr { op: Op::RADD as u8, ..Default::default() };
            let add = Instr { n: 96, ..none };
            let all = [i, first, none, early, add, i, i, add, none, first];
            let want = golden(&case, &all)?;
            let (writes, cycles) = b.run_all(&case, &all)?;
            assert!(writes == want, "{}", case.describe());
            close += cycles;
            for i in all {
                apart += b.run_case(&Case { instr: i, ..case.clone() })?.cycles;
            }
        }
        println!("{config}: {close} cycles one after the other, {apart} apart");
        assert!(close < apart);
    }
    Ok(())
}

/// An ATTQ may begin before the sums of the SOFTMAX before it are inverted, but not one that needs them: its scalars
/// begin with those, end with the first of them, begin with the last, lie right before or right after.
#[test]
fn attq_after_softmax() -> Outcome {
    for config in CONFIGS {
        let mut b = Bench::new(config, Pace::FREE, 24)?;
        let (mut near, mut far) = (0, 0);
        for case in every_size(b.cfg, Op::SOFTMAX) {
            let i = case.instr;
            let gqa = case.state.constant(Constant::Gqa);
            let at = (i.aux & 0xffff) + u32::from(i.m);
            let attq = |b| Instr { op: Op::ATTQ as u8, b, n: 32, k: 3, sh: 5, x: 1, ..Default::default() };
            let fits = |&first: &u32| first + gqa <= b.cfg.scalars as u32;
            let firsts =
                [Some(at), at.checked_sub(gqa - 1), Some(at + gqa - 1), at.checked_sub(gqa), Some(at + gqa)];
            for first in firsts.into_iter().flatten().filter(fits).collect::<Vec<_>>() {
                let all = [i, attq(first), i, attq(first), attq(first)];
                let want = golden(&case, &all)?;
                let (writes, cycles) = b.run_all(&case, &all)?;
                assert!(writes == want, "scalars from {first}: {}", case.describe());
                *(if first.abs_diff(at) < gqa { &mut near } else { &mut far }) += cycles;
            }
        }
        println!("{config}: {near} cycles with the same scalars, {far} with others");
        assert!(near > 0 && far > 0);
    }
    Ok(())
}

/// An operand or constant whose last row is at the end of its memory, or `by` further.
#[derive(Debug, Clone, Copy)]
enum End {
    Window,
    Sink,
    Score,
    Head,
    Sums,
    Size,
    Zero,
}

impl End {
    /// Those of an operation on `rows` rows.
    fn of(op: Op, rows: u32, lanes: usize) -> Vec<(Self, FaultCode)> {
        let memories = match op {
            Op::SOFTMAX if rows > lanes as u32 => vec![Self::Window, Self::Sink, Self::Score],
            Op::SOFTMAX => vec![Self::Window, Self::Sink],
            _ => vec![Self::Head, Self::Sums],
        };
        let memories = memories.into_iter().map(|end| (end, FaultCode::OnchipRange));
        memories.chain([Self::Size, Self::Zero].map(|end| (end, FaultCode::Illegal))).collect()
    }

    fn put(self, c: &mut Case, cfg: &Config, by: u32) {
        let gqa = c.state.constant(Constant::Gqa);
        let (rows, scalars) = (u32::from(c.instr.m) + gqa, cfg.scalars as u32);
        let vec = cfg.vec as u32;
        match self {
            Self::Window => c.instr.aux = c.instr.aux & !0xffff | (scalars - rows + by),
            Self::Sink => c.instr.aux = c.instr.aux & 0xffff | (scalars - rows + by) << 16,
            Self::Score => {
                let sink_pad = c.state.constant(Constant::SinkPad);
                let words = (cfg.sbuf as u32 - sink_pad - u32::from(c.instr.n)) / vec;
                let steps = (rows - 1) / cfg.lanes as u32;
                // As far apart as lane steps can be, or where there is one only, one word more than there is.
                let row = words.checked_div(steps).map_or(0, |w| (w + by) * vec);
                c.state.set_constant(Constant::ScoreRow, row);
            }
            Self::Head => c.instr.b = scalars - gqa + by,
            Self::Sums => {
                let stride = c.state.constant(Constant::VDim);
                let span = (gqa - 1) * stride + u32::from(c.instr.n).next_multiple_of(vec);
                c.instr.a = cfg.vmem as u32 - span + by * vec;
            }
            Self::Size if by > 0 => c.state.set_constant(Constant::Gqa, 16 * by + 1),
            Self::Size => {}
            Self::Zero => c.state.set_constant(Constant::Gqa, gqa * (1 - by)),
        }
    }
}

/// The last row decides: at the end of its memory it is fine, one further is a fault.
#[test]
fn the_last_row_is_checked() -> Outcome {
    for config in CONFIGS {
        let cfg = find(config)?;
        let mut b = Bench::new(config, Pace::FREE, 23)?;
        for seed in 0..12 {
            for op in [Op::SOFTMAX, Op::ATTQ] {
                let case = case(cfg, op, seed).ok_or("no such case")?;
                let rows = u32::from(case.instr.m) + case.state.constant(Constant::Gqa);
                for (end, code) in End::of(op, rows, cfg.lanes) {
                    let (mut good, mut bad) = (case.clone(), case.clone());
                    end.put(&mut good, cfg, 0);
                    end.put(&mut bad, cfg, 1);
                    same(&mut b, &good, "at the end")?;
                    let said = || format!("{end:?}: {}", bad.describe());
                    assert_eq!(bad.golden().err().map(|f| f.code), Some(code), "{}", said());
                    let fault = b.run_case(&bad)?.fault.ok_or_else(said)?;
                    assert_eq!(fault.code, code.number(), "{}", said());
                    b.clear()?;
                }
            }
        }
    }
    Ok(())
}
