//! The matrix unit with its channel readers (`hw/rtl/mat`, `hw/rtl/mem`) and buffers: every write of every operation
//! against a scalar reference, with ideal and stalling memories.

#[path = "mat/bench.rs"]
mod bench;
#[path = "mat/cases.rs"]
mod cases;
#[path = "mat/faults.rs"]
mod faults;
#[path = "mat/rates.rs"]
mod rates;
#[path = "mat/reference.rs"]
mod reference;

use accllm_hw::isa::Op;
use bench::{Bench, Outcome, Pace};
use cases::{MODES, Mode, fill, operation};

/// Score row that leaves room for all lane steps.
fn score_row(b: &Bench) -> u32 {
    (b.cfg.sbuf / (b.cfg.lane_rows / b.cfg.lanes)) as u32
}

/// Runs `count` operations back to back and checks all they wrote.
fn round(config: &str, seed: u64, modes: &[Mode], count: usize, rows: Option<usize>) -> Outcome {
    let pace = match seed % 3 {
        0 => Pace::Ideal(20),
        1 => Pace::Ideal(1),
        _ => Pace::Stalling(seed),
    };
    let mut b = Bench::new(config, pace, seed)?;
    let row = score_row(&b);
    b.constants(if seed % 2 == 0 { 64 } else { 128 }, row)?;
    fill(&mut b, seed % 4 == 3)?;
    let mut uops = Vec::new();
    for i in 0..count {
        let mode = modes[b.rng.range(0, modes.len() as u64 - 1) as usize];
        let long = b.rng.percent(15);
        let mut u = operation(&mut b, mode, rows, long);
        u.seq = i as u32 + 7;
        if b.rng.percent(5) {
            match b.rng.range(0, 2) {
                0 => u.n = 0,
                1 => u.m = 0,
                _ => (u.k, u.sh) = if u.op == Op::MATK { (u.k, u.sh) } else { (0, 0) },
            }
        }
        uops.push(u);
    }
    let gap = [0, 3, 40][b.rng.range(0, 2) as usize];
    b.run(&uops, gap, 400_000).and_then(|()| b.check(&uops)).map_err(|e| format!("{config} seed {seed}: {e}").into())
}

/// Every mode alone, with 1 to all lane rows.
fn modes(config: &str, seeds: u64) -> Outcome {
    let all = accllm_hw::config::find(config)?.lane_rows;
    for (i, mode) in MODES.iter().enumerate() {
        for seed in 0..seeds {
            let rows = match seed % 6 {
                0 => Some(1),
                1 => Some(2),
                2 => Some(all),
                3 => Some(all - 1),
                _ => None,
            };
            round(config, 100 * i as u64 + seed, &[*mode], 6, rows)?;
        }
    }
    Ok(())
}

/// All modes mixed, back to back.
fn mixed(config: &str, seeds: u64) -> Outcome {
    (0..seeds).try_for_each(|seed| round(config, 5000 + seed, &MODES, 30, None))
}

#[test]
fn tiny_modes() -> Outcome {
    modes("tiny", 12)
}

#[test]
fn tiny_mixed() -> Outcome {
    mixed("tiny", 24)
}

#[test]
fn edge_modes() -> Outcome {
    modes("edge", 6)
}

#[test]
fn edge_mixed() -> Outcome {
    mixed("edge", 8)
}

#[test]
#[ignore = "long"]
fn u280_modes() -> Outcome {
    modes("u280", 6)
}

#[test]
#[ignore = "long"]
fn u280_mixed() -> Outcome {
    mixed("u280", 4)
}
