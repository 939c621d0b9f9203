//! The matrix unit with its channel readers (`hw/rtl/mat`, `hw/rtl/mem`) and buffers: every write of every operation
//! against a scalar reference, with ideal and stalling memories.

mod bench;
mod cases;
mod faults;
mod rates;
mod reference;

use accllm_hw::beat::WeightFormat;
use accllm_hw::isa::{FLAG_WIDE, Op};
use accllm_hw::sizes::PADDED_HEADS;
use bench::{Bench, Outcome, Pace};
use cases::{MODES, Mode, fill, operation};
use reference::Uop;

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
    b.constants(PADDED_HEADS[(seed + seed / 3) as usize % 3], row)?;
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
    b.run(&uops, gap, 400_000)
        .and_then(|()| b.check(&uops))
        .map_err(|e| format!("{config} seed {seed}: {e}").into())
}

/// Every mode alone, with 1 to all lane rows.
fn modes(config: &str, seeds: u64) -> Outcome {
    let all = bench::config(config)?.lane_rows;
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

/// All modes on a configuration that nobody chose.
pub fn on_random(config: &str, seed: u64) -> Outcome {
    (3 * seed..3 * seed + 3).try_for_each(|seed| round(config, seed, &MODES, 20, None))
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
fn u280_modes() -> Outcome {
    modes("u280", 6)
}

#[test]
fn u280_mixed() -> Outcome {
    mixed("u280", 4)
}

/// Sums of V beyond 32 bits: all blocks read the same word of -128 and beats of -8.
#[test]
fn sums_of_v_saturate() -> Outcome {
    let mut b = Bench::new("tiny", Pace::Ideal(5), 1)?;
    b.fill(700, |_| [0x88; 64])?;
    b.fill_act(2, |_| -128)?;
    let u = Uop { n: 300, k: 300, sh: 2, m: 2, aux: 16, flags: FLAG_WIDE, ..Uop::new(Op::MATV) };
    let narrow = Uop { flags: 0, c: 64, seq: 1, m: 4, ..u };
    b.run(&[u, narrow], 0, 10_000)?;
    assert!(b.writes[&0].iter().all(|w| w.2 == i32::MAX));
    assert!(b.writes[&1].iter().all(|w| w.2 == 300 * 32 * 1024));
    b.check(&[u, narrow])
}

/// Rows that come faster than they are written fill the entries; their parameters must stay.
#[test]
fn parameters_stay_until_their_rows_are_written() -> Outcome {
    let mut b = Bench::new("deep", Pace::Ideal(5), 3)?;
    fill(&mut b, false)?;
    let uops: Vec<Uop> = (0..6)
        .map(|seq| Uop { seq, n: 130, k: 1, m: 2, x: 1, aux: 512, a: 50 * seq, ..Uop::new(Op::MATW) })
        .collect();
    b.run(&uops, 0, 10_000)?;
    assert!(b.stats[2] > 100, "never waited for the vector memory: {:?}", b.stats);
    b.check(&uops)
}

/// Beats that are there before the operation: scores must wait for the sums of the queries.
#[test]
fn scores_wait_for_q_sums() -> Outcome {
    for seed in 0..4 {
        let mut b = Bench::new("tiny", Pace::Ideal(5), seed)?;
        let row = score_row(&b);
        b.constants(64, row)?;
        fill(&mut b, false)?;
        b.lead = 100;
        let uops: Vec<Uop> = (0..8)
            .map(|seq| Uop { seq, n: 2, m: 32, aux: 30 * seq, ..Uop::new(Op::MATK) })
            .chain([Uop { seq: 8, flags: WeightFormat::W4.code(), n: 2, k: 1, m: 1, ..Uop::new(Op::MATW) }])
            .collect();
        b.run(&uops, seed, 10_000)?;
        b.check(&uops)?;
    }
    Ok(())
}
