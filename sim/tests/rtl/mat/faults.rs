//! Faults of the matrix unit and its readers, and work after them.

use super::bench::{Bench, Outcome, Pace};
use super::cases::{BEATS, MODES, Mode, fill, operation};
use super::reference::Uop;
use accllm_hw::beat::WeightFormat;
use accllm_hw::isa::Op;
use accllm_hw::regs::FAULTS;

fn code(name: &str) -> u64 {
    FAULTS.iter().find(|f| f.1 == name).map_or(0, |f| f.0.into())
}

fn bench(seed: u64) -> Outcome<Bench> {
    let pace = if seed.is_multiple_of(2) { Pace::Ideal(20) } else { Pace::Stalling(seed) };
    let mut b = Bench::new("tiny", pace, seed)?;
    b.constants(64, super::score_row(&b))?;
    fill(&mut b, false)?;
    Ok(b)
}

/// Runs `bad` after some good operations: the fault must name it. Then clears and runs good ones again.
fn check(seed: u64, bad: Uop, fault: &str, info: Option<u64>) -> Outcome {
    let mut b = bench(seed)?;
    let mut uops: Vec<Uop> = (0..3).map(|_| operation(&mut b, Mode::Keys, None, false)).collect();
    uops.push(bad);
    uops.extend((0..3).map(|_| operation(&mut b, Mode::Keys, None, false)));
    for (i, u) in uops.iter_mut().enumerate() {
        (u.seq, u.pc) = (i as u32, 100 + i as u16);
    }
    b.run(&uops, 0, 100_000)?;
    let (got, pc, at) = b.fault.ok_or_else(|| format!("no fault: {bad:?}"))?;
    assert_eq!((got, pc), (code(fault), 103), "seed {seed}: {bad:?}");
    if let Some(info) = info {
        assert_eq!(at, info, "{bad:?}");
    }
    assert!(b.done.len() <= 3, "{bad:?}");
    recover(&mut b)
}

/// After `clear` everything works as after reset.
fn recover(b: &mut Bench) -> Outcome {
    b.clear()?;
    assert_eq!(b.get("busy")?, 0);
    let mut uops: Vec<Uop> =
        MODES.iter().map(|&m| operation(b, m, None, false)).filter(|u| u.beats(64).0 > 0).collect();
    for (i, u) in uops.iter_mut().enumerate() {
        u.seq = 50 + i as u32;
    }
    b.run(&uops, 0, 100_000)?;
    b.check(&uops)
}

fn weights() -> Uop {
    Uop { n: 3, k: 2, m: 1, x: 1, aux: 8, ..Uop::new(Op::MATW) }
}

fn keys() -> Uop {
    Uop { n: 3, m: 1, ..Uop::new(Op::MATK) }
}

fn values() -> Uop {
    Uop { n: 3, k: 3, sh: 2, m: 1, x: 1, aux: 16, ..Uop::new(Op::MATV) }
}

#[test]
fn addresses_outside_a_buffer() -> Outcome {
    let cases = [
        (Uop { b: 511, ..weights() }, Some(512)),
        (Uop { b: u32::MAX, ..weights() }, Some(u32::MAX.into())),
        (Uop { b: 512, ..keys() }, Some(512)),
        (Uop { b: 511, m: 3, ..keys() }, Some(512)),
        (Uop { b: 511, ..values() }, Some(512)),
        (Uop { c: (1 << 16) - 8, n: 5, ..weights() }, Some(1 << 16)),
        (Uop { c: 8, m: 2, aux: u32::MAX - 7, ..weights() }, None),
        (Uop { c: 0xffff_fff8, ..weights() }, None),
        (Uop { c: (1 << 16) - 8, ..values() }, Some(1 << 16)),
        (Uop { c: 4, ..weights() }, None),
        (Uop { aux: 12, ..values() }, None),
        (Uop { c: 4096, ..keys() }, Some(4096)),
        (Uop { c: 4088, ..keys() }, Some(4096)),
        (Uop { c: 2, ..keys() }, Some(2)),
        (Uop { aux: 256, ..keys() }, Some(256)),
        (Uop { aux: 255, m: 2, ..keys() }, Some(256)),
        (Uop { m: 33, ..keys() }, Some(33)),
        (Uop { m: 17, flags: 4, ..values() }, Some(34)),
        (Uop { m: 0x8000_0001, flags: 4, ..values() }, None),
    ];
    for (i, (u, info)) in cases.into_iter().enumerate() {
        check(i as u64, u, "ONCHIP_RANGE", info)?;
    }
    Ok(())
}

#[test]
fn illegal_operations() -> Outcome {
    check(1, Uop { flags: 3, ..weights() }, "ILLEGAL", None)?;
    let mut b = bench(2)?;
    b.set("hdp", 96)?;
    b.run(&[Uop { pc: 9, ..keys() }], 0, 10_000)?;
    assert_eq!(b.fault.map(|f| (f.0, f.1)), Some((code("ILLEGAL"), 9)));
    b.set("hdp", 64)?;
    recover(&mut b)
}

#[test]
fn beats_outside_the_limit() -> Outcome {
    let w4 = WeightFormat::W4.code();
    let cases = [
        (Uop { a: 1 << 16, ..weights() }, 1 << 16),
        (Uop { a: (1 << 16) - 6, ..weights() }, (1 << 16) - 6),
        (Uop { n: u32::MAX, k: u16::MAX, ..weights() }, 0),
        (Uop { flags: w4, n: 100, k: 2000, ..weights() }, 0),
        (Uop { a: u32::MAX, ..keys() }, u32::MAX.into()),
        (Uop { n: 65_000, ..keys() }, 0),
        (Uop { a: (1 << 16) - 5, ..values() }, (1 << 16) - 2),
    ];
    for (i, (u, at)) in cases.into_iter().enumerate() {
        // The matrix unit may see a bad score slot or row before the prefetcher has got there: keep those legal.
        check(i as u64, u, "READ_RANGE", Some(at))?;
    }
    // The last beats that may be read.
    let mut b = bench(8)?;
    b.set("channel_limit", BEATS as u64)?;
    let u = Uop { a: BEATS as u32 - 7, ..weights() };
    b.run(&[u], 0, 10_000)?;
    b.check(&[u])
}

#[test]
fn read_errors() -> Outcome {
    for seed in 0..12 {
        let mut b = bench(seed)?;
        let (channel, beat) = (b.rng.range(0, 1) as usize, b.rng.range(0, 200));
        b.break_beat(channel, 600 + beat);
        let uops: Vec<Uop> = (0..6).map(|i| Uop { seq: i, pc: 7, a: 600, n: 100, ..weights() }).collect();
        b.run(&uops, 3, 100_000)?;
        assert_eq!(b.fault, Some((code("AXI_READ"), 7, channel as u64)), "seed {seed}");
        b.clear()?;
        let good = [Uop { seq: 9, a: 1, n: 40, ..weights() }];
        b.run(&good, 0, 100_000)?;
        b.check(&good)?;
    }
    Ok(())
}

/// `clear` at any moment, with bursts on their way.
#[test]
fn clear_at_any_time() -> Outcome {
    for seed in 0..40 {
        let mut b = bench(seed)?;
        let mut uops: Vec<Uop> = (0..12)
            .map(|i| {
                let mode = MODES[b.rng.range(0, MODES.len() as u64 - 1) as usize];
                Uop { seq: i, ..operation(&mut b, mode, None, false) }
            })
            .collect();
        let limit = b.rng.range(1, 600);
        if b.run(&uops, 0, limit).is_ok() {
            b.check(&uops)?;
        }
        b.clear()?;
        uops.reverse();
        b.run(&uops, 2, 100_000)?;
        b.check(&uops).map_err(|e| format!("seed {seed}: {e}"))?;
    }
    Ok(())
}
