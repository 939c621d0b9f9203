//! Cycles: beats per cycle with an ideal memory, and simulation speed.

use super::bench::{Bench, Outcome, Pace};
use super::cases::{BEATS, fill};
use super::reference::Uop;
use accllm_hw::beat::WeightFormat;
use accllm_hw::isa::Op;
use accllm_sim::verilate::OptLevel;

/// Cycles from start to done, and the cycles that the tiles need at least.
fn cycles(b: &mut Bench, uops: &[Uop]) -> Outcome<(u64, u64)> {
    let from = b.cycle;
    b.run(uops, 0, 200_000)?;
    b.check(uops)?;
    let need = |u: &Uop| {
        let beats = u.beats(b.hdp).1;
        let values = match u.op {
            Op::MATW => u64::from(u.n) * u64::from(u.k),
            Op::MATK => u.n.into(),
            _ => u64::from(u.n) * u64::from(u.sh),
        };
        let halves = if u.op == Op::MATW && u.format() == WeightFormat::W2Dense { 2 } else { 1 };
        beats - values + values * halves * u.rows().div_ceil(b.cfg.lanes) as u64
    };
    Ok((b.done.last().unwrap_or(&from) - from, uops.iter().map(need).sum()))
}

fn weights(format: WeightFormat, n: u32, k: u16, m: u32) -> Uop {
    Uop { flags: format.code(), n, k, m, x: m as u8, aux: 8192, ..Uop::new(Op::MATW) }
}

/// Every operation keeps the tiles busy all the time, but for filling and draining once: 20 cycles of memory, 60 of stages.
fn rates(config: &str) -> Outcome {
    use WeightFormat::{W2Dense, W2Sparse, W4};
    let mut b = Bench::new(config, Pace::Ideal(20), 1)?;
    let lanes = b.cfg.lanes as u32;
    let row = super::score_row(&b);
    b.constants(64, row)?;
    fill(&mut b, false)?;
    let steps = (row as usize / (2 * b.cfg.channels)).min(200) as u32;
    let keys = Uop { n: steps, m: lanes, ..Uop::new(Op::MATK) };
    let values = Uop { n: 30, sh: 8, m: 1, k: 30, x: 1, aux: 1024, ..Uop::new(Op::MATV) };
    for u in [
        weights(W2Sparse, 100, 8, 1),
        weights(W2Sparse, 500, 1, 1),
        weights(W2Dense, 60, 8, 1),
        weights(W4, 60, 8, 1),
        weights(W4, 300, 1, 1),
        weights(W2Sparse, 60, 8, 2 * lanes),
        weights(W2Dense, 60, 8, 2 * lanes - 1),
        keys,
        Uop { m: 3 * lanes, ..keys },
        values,
        Uop { m: 3, ..values },
    ] {
        let (took, need) = cycles(&mut b, &[u])?;
        println!("{config}: {took} cycles, {need} busy: {u:?}");
        assert!(took <= need + 80, "{config}: {took} cycles instead of {need}: {u:?}");
    }
    // Short operations one after the other cost a few cycles each.
    let short: Vec<Uop> = (0..24).map(|seq| Uop { seq, ..weights(W2Sparse, 8, 2, 1) }).collect();
    let (took, need) = cycles(&mut b, &short)?;
    println!("{config}: 24 short ones: {took} cycles, {need} busy");
    assert!(took <= need + 24 * 4 + 80, "{config}: {took} cycles instead of {need}");
    Ok(())
}

#[test]
fn tiny_rates() -> Outcome {
    rates("tiny")
}

#[test]
fn edge_rates() -> Outcome {
    rates("edge")
}

#[test]
fn u280_rates() -> Outcome {
    rates("u280")
}

/// `cargo test --release -p accllm-sim --test rtl -- --ignored --nocapture mat::rates::speed`
#[test]
#[ignore = "a measurement, not a check"]
fn speed() -> Outcome {
    for config in ["tiny", "edge", "u280"] {
        let mut b = Bench::build(config, Pace::Ideal(20), 1, OptLevel::Fast, false)?;
        let row = super::score_row(&b);
        b.constants(64, row)?;
        fill(&mut b, false)?;
        let decode = weights(WeightFormat::W2Sparse, 100, 10, 1);
        let prefill = weights(WeightFormat::W2Sparse, 100, 10, 4 * b.cfg.lanes as u32);
        let keys =
            Uop { n: (row as usize / (2 * b.cfg.channels)).min(200) as u32, m: 2, ..Uop::new(Op::MATK) };
        assert!(decode.beats(64).0 <= BEATS as u64);
        for (name, u) in [("2:4, one token", decode), ("2:4, block", prefill), ("keys", keys)] {
            let seconds = b.seconds;
            let (clock, from, stats) = (std::time::Instant::now(), b.cycle, b.stats);
            let uops: Vec<Uop> =
                (0..if config == "u280" { 8 } else { 40 }).map(|seq| Uop { seq, ..u }).collect();
            b.run(&uops, 0, 1_000_000)?;
            let n = (b.cycle - from) as f64 / 1e3;
            println!(
                "{config} {name}: {:.0} kcycles/s in the model, {:.0} with memories; tiles busy {:.0} %",
                n / (b.seconds - seconds),
                n / clock.elapsed().as_secs_f64(),
                (b.stats[0] - stats[0]) as f64 / n / 10.0
            );
        }
    }
    Ok(())
}
