//! Random cases of every opcode: every write of the design equals one of the golden executor, and the other way round.

use super::bench::{Bench, Outcome, Pace};
use accllm_hw::isa::{OPS, Op, Unit};
use accllm_sim::golden::Write;
use accllm_sim::golden::testgen::case;

fn differences(got: &[Write], want: &[Write]) -> String {
    let extra = got.iter().filter(|w| want.binary_search(w).is_err());
    let missing = want.iter().filter(|w| got.binary_search(w).is_err());
    let list = |it: &mut dyn Iterator<Item = &Write>| {
        let all: Vec<_> = it.map(|w| format!("{}[{:#x}] = {}", w.space, w.address, w.value)).collect();
        format!("{} ({})", all[..all.len().min(12)].join(", "), all.len())
    };
    format!("wrote {}\ninstead of {}", list(&mut { extra }), list(&mut { missing }))
}

/// Runs `count` cases of each of `ops`.
fn check(config: &str, pace: Pace, ops: &[Op], seeds: std::ops::Range<u64>) -> Outcome {
    let mut b = Bench::new(config, pace, seeds.start)?;
    for seed in seeds {
        for &op in ops {
            let case = case(b.cfg, op, seed).ok_or("no such case")?;
            let (_, _, record) = case.golden()?;
            let mut want = record.writes;
            want.sort_unstable();
            want.dedup();
            let run = b.run_case(&case).map_err(|e| format!("seed {seed}: {}: {e}", case.describe()))?;
            assert_eq!(run.fault, None, "seed {seed}: {}", case.describe());
            if run.writes != want {
                return Err(format!(
                    "seed {seed}: {}:\n{}",
                    case.describe(),
                    differences(&run.writes, &want)
                )
                .into());
            }
        }
    }
    Ok(())
}

fn vector_ops() -> Vec<Op> {
    OPS.iter().filter(|i| i.unit == Unit::Vector).map(|i| i.op).collect()
}

macro_rules! every_op {
    ($($name:ident = $op:ident;)+) => {
        $(
            #[test]
            fn $name() -> Outcome {
                check("tiny", Pace::FREE, &[Op::$op], 0..60)?;
                check("tiny", Pace::ROUGH, &[Op::$op], 60..140)
            }
        )+

        #[test]
        fn no_op_is_forgotten() {
            assert_eq!(vector_ops(), [$(Op::$op),+]);
        }
    };
}

every_op! {
    load = LOAD;
    embed = EMBED;
    sumsq = SUMSQ;
    normq = NORMQ;
    rope = ROPE;
    hadw = HADW;
    hadx = HADX;
    statk = STATK;
    statq = STATQ;
    qk = QK;
    qv = QV;
    qq = QQ;
    softmax = SOFTMAX;
    attq = ATTQ;
    silu = SILU;
    radd = RADD;
    argmax = ARGMAX;
    store = STORE;
}

/// All operations on a configuration that nobody chose.
pub fn on_random(config: &str, seed: u64) -> Outcome {
    check(config, Pace::FREE, &vector_ops(), seed..seed + 3)?;
    check(config, Pace::ROUGH, &vector_ops(), seed + 3..seed + 9)
}

#[test]
fn all_ops_at_edge() -> Outcome {
    check("edge", Pace::FREE, &vector_ops(), 0..25)?;
    check("edge", Pace::ROUGH, &vector_ops(), 25..60)
}

#[test]
fn all_ops_at_u280() -> Outcome {
    check("u280", Pace::FREE, &vector_ops(), 0..15)?;
    check("u280", Pace::ROUGH, &vector_ops(), 15..35)
}

#[test]
fn the_matrix_unit_reads_q_sum() -> Outcome {
    let mut b = Bench::new("tiny", Pace::FREE, 1)?;
    for seed in 0..10 {
        let case = case(b.cfg, Op::QQ, seed).ok_or("no such case")?;
        b.run_case(&case)?;
        for i in 0..b.cfg.scalars {
            assert_eq!(b.matrix_q_sum(i)?, b.state.scalars()[i].q_sum, "entry {i}");
        }
    }
    Ok(())
}

#[test]
fn heads_of_v_with_a_gap_between_them() -> Outcome {
    for config in ["tiny", "u280"] {
        let mut b = Bench::new(config, Pace::FREE, 2)?;
        for seed in 0..12 {
            let mut case = case(b.cfg, Op::QV, seed).ok_or("no such case")?;
            case.instr.k += 5;
            case.limits.write_high += 5 * u32::from(case.instr.n);
            let mut want = case.golden()?.2.writes;
            want.sort_unstable();
            let run = b.run_case(&case)?;
            assert!(run.fault.is_none() && run.writes == want, "seed {seed}: {}", case.describe());
        }
    }
    Ok(())
}
