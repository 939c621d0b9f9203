//! Cycles: a word a cycle in every pass, and a fixed part that depends on how far the operation goes through the pipeline
//! (docs/rtl.md). Appending to the KV cache is bounded by what goes to the writers.

use super::bench::{Bench, Outcome, Pace};
use accllm_hw::isa::{FLAG_VMEM, OPS, Op, Unit};
use accllm_sim::golden::Constant;
use accllm_sim::golden::testgen::{Case, case};
use accllm_sim::verilate::OptLevel;

/// Cycles that the words of an operation take.
fn words(case: &Case, op: Op) -> u64 {
    let (i, v) = (&case.instr, case.config.vec as u64);
    let n = u64::from(i.n);
    let constant = |c| u64::from(case.state.constant(c));
    match op {
        Op::LOAD if i.flags & 1 == 1 => n / v.min(16),
        // A beat is taken in the cycle after its words.
        Op::STORE => n / 16 * (16 / v.min(16) + 1),
        Op::NORMQ if i.flags & FLAG_VMEM != 0 => n.div_ceil(v),
        Op::NORMQ | Op::SILU => n.next_multiple_of(32) / v,
        Op::ATTQ => constant(Constant::Gqa) * n.next_multiple_of(32) / v,
        Op::ROPE | Op::STATK | Op::STATQ | Op::QQ => n * constant(Constant::Hdp) / v,
        // The parameters of a head and its codes in eight pieces, of a wide head twice.
        Op::QK => {
            let hdp = constant(Constant::Hdp);
            n * (hdp / v).max(12 * hdp.div_ceil(128))
        }
        // A step of V goes to all channels in three cycles.
        Op::QV => {
            let step = 4 * case.config.channels as u64;
            n * constant(Constant::VDim) / step * (step / v).max(3)
        }
        // A scan, then two more cycles a row, but no less than it takes to fetch a row's factors.
        Op::SOFTMAX => {
            let (rows, words) = (constant(Constant::Gqa), (n + constant(Constant::SinkPad)) / v);
            words + rows * (words + 2).max(8)
        }
        _ => n.div_ceil(v),
    }
}

#[test]
fn a_word_a_cycle() -> Outcome {
    let mut slow = Vec::new();
    for (config, seeds) in [("tiny", 12), ("edge", 6), ("u280", 6)] {
        let mut b = Bench::new(config, Pace::FREE, 9)?;
        let mut line = format!("{config}: cycles beside the words:");
        for op in OPS.iter().filter(|i| i.unit == Unit::Vector).map(|i| i.op) {
            let (mut least, mut most) = (i64::MAX, i64::MIN);
            for seed in 0..seeds {
                let case = case(b.cfg, op, seed).ok_or("no such case")?;
                let run = b.run_case(&case)?;
                assert_eq!(run.fault, None);
                let over = run.cycles as i64 - words(&case, op) as i64;
                (least, most) = (least.min(over), most.max(over));
            }
            line += &format!(" {op:?} {least}");
            if most != least {
                line += &format!("..{most}");
            }
            let bound = match op {
                // The last block comes out after it has come in.
                Op::SILU => 34 + 256 / b.cfg.vec as i64,
                // The last head goes to its writer after it has come in, and must have arrived.
                Op::QK | Op::QV => 48,
                // The scan of the first row, and what follows the last one.
                Op::SOFTMAX => 48,
                // Its token is read before.
                Op::EMBED => 34,
                // Statistics, sums and their inverses.
                Op::STATK | Op::STATQ | Op::SUMSQ => 34,
                _ => 28,
            };
            if most > bound {
                slow.push(format!(
                    "{config}: {op:?} takes {most} cycles beside its words, more than {bound}"
                ));
            }
        }
        println!("{line}");
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
    Ok(())
}

/// Processor time of this thread in seconds (Linux; else the time of day).
fn seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let busy = stat.and_then(|s| s.split(' ').next().and_then(|n| n.parse::<f64>().ok()));
    let clock = || std::time::UNIX_EPOCH.elapsed().map_or(0.0, |d| d.as_secs_f64());
    busy.map_or_else(clock, |ns| ns / 1e9)
}

/// Simulation speed; run with `--ignored --nocapture`.
#[test]
#[ignore = "measures speed"]
fn speed() -> Outcome {
    for config in ["tiny", "edge", "u280"] {
        let mut b = Bench::build(config, Pace::FREE, 9, OptLevel::Fast)?;
        b.m.cycles(10_000)?;
        let start = seconds();
        let idle = 200_000;
        b.m.cycles(idle)?;
        let mut line = format!("{config}: kcycles/s idle {:.0}", idle as f64 / (seconds() - start) / 1e3);
        for op in OPS.iter().filter(|i| i.unit == Unit::Vector).map(|i| i.op) {
            // The longest of some cases, over and over, without the bench's own work.
            let cases = (0..12).filter_map(|s| case(b.cfg, op, s));
            let case = cases.max_by_key(|c| words(c, op)).ok_or("no such case")?;
            b.sync(&case.state)?;
            b.limits = case.limits;
            b.image = case.image.clone();
            let (mut busy, mut spent) = (0, 0.0);
            while busy < 20_000 {
                let run = b.run(&case.instr, 0)?;
                busy += run.cycles;
                spent += run.seconds;
            }
            line += &format!(" {op:?} {:.0}", busy as f64 / spent / 1e3);
        }
        println!("{line}");
    }
    Ok(())
}
