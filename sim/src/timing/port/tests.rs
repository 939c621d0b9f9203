//! A port against the detailed memory, beat by beat.

use super::*;
use crate::memory::hbm2::{DDR4, HBM2, HBM2E, Hbm2, Params};
use crate::memory::{BEAT_BYTES, MasterOut, MemoryModel, Rng, Store};
use crate::timing::memory::Pace;

/// What is asked of a memory: cycle from which it is offered, first beat, beats; writes are one beat.
#[derive(Debug, Clone, Copy)]
struct Ask {
    at: u64,
    beat: u64,
    beats: u64,
    write: bool,
}

const SIZE: u64 = 64 << 20;
const BEAT: u64 = BEAT_BYTES as u64;

/// Cycles of the last beat of every read and of the answer to every write, in the detailed model.
fn detailed(params: &Params, asks: &[Ask]) -> [Vec<u64>; 2] {
    let mut memory = Hbm2::new(Store::new(SIZE).unwrap(), params, 0.3).unwrap();
    let reads: Vec<Ask> = asks.iter().copied().filter(|a| !a.write).collect();
    let writes: Vec<Ask> = asks.iter().copied().filter(|a| a.write).collect();
    let (mut r, mut aw, mut w) = (0, 0, 0);
    let mut out = [Vec::new(), Vec::new()];
    let mut cycle = 0;
    while out[0].len() < reads.len() || out[1].len() < writes.len() {
        let read = reads.get(r).filter(|a| a.at <= cycle);
        let address = writes.get(aw).filter(|a| a.at <= cycle + 1);
        let data = w < aw && writes[w].at <= cycle;
        let m = MasterOut {
            arvalid: read.is_some(),
            araddr: read.map_or(0, |a| a.beat * BEAT),
            arlen: read.map_or(0, |a| a.beats as u8 - 1),
            awvalid: address.is_some(),
            awaddr: address.map_or(0, |a| a.beat * BEAT),
            wvalid: data,
            wlast: data,
            wstrb: u64::MAX,
            ..MasterOut::idle()
        };
        let o = memory.outputs().clone();
        if o.rvalid && o.rlast {
            out[0].push(cycle);
        }
        if o.bvalid {
            out[1].push(cycle);
        }
        r += usize::from(o.arready && m.arvalid);
        aw += usize::from(o.awready && m.awvalid);
        w += usize::from(o.wready && m.wvalid);
        memory.step(&m);
        cycle += 1;
        assert!(cycle < 10_000_000);
    }
    out
}

/// The same of the port.
fn modelled(params: &Params, asks: &[Ask]) -> [Vec<u64>; 2] {
    let mut port = Port::new(&Pace::Dram(Box::new(params.clone()), 0.3).behind().unwrap(), 0);
    let mut reads: VecDeque<Ask> = asks.iter().copied().filter(|a| !a.write).collect();
    let mut writes: VecDeque<Ask> = asks.iter().copied().filter(|a| a.write).collect();
    let (mut ends, mut count) = (Vec::new(), 0);
    while !reads.is_empty() || !writes.is_empty() {
        let now = port.now;
        if let Some(w) = writes.pop_front_if(|w| w.at <= now) {
            port.write(now, w.beat * BEAT);
        }
        if !port.waits()
            && (ends.is_empty() || port.accepted < now)
            && let Some(r) = reads.pop_front_if(|r| r.at <= now)
        {
            port.read(now, r.beat * BEAT, r.beats);
            count += r.beats;
            ends.push(count);
        }
        port.advance(now + 1);
    }
    port.settle();
    let mut cycles = Vec::new();
    for run in &port.arrivals.come {
        cycles.extend((0..run.beats).map(|i| run.first + i));
    }
    [ends.iter().map(|e| cycles[*e as usize - 1]).collect(), port.answers.into()]
}

/// A stream of bursts that are asked for at a pace of `every` cycles, and writes at random, `share` of the bursts.
fn stream(seed: u64, bursts: u64, beats: u64, every: u64, share: f64) -> Vec<Ask> {
    let mut random = Rng::new(seed);
    let mut asks = Vec::new();
    let start = random.range(0, 1000) * 64;
    for i in 0..bursts {
        let at = 20 + i * every;
        asks.push(Ask { at, beat: start + i * beats, beats, write: false });
        if (random.range(0, 999) as f64) < share * 1000.0 {
            for j in 0..random.range(1, 4) {
                let at = at + j * 4 + random.range(0, every.saturating_sub(16).max(1));
                asks.push(Ask { at, beat: 500_000 + random.range(0, 20_000), beats: 1, write: true });
            }
        }
    }
    asks.sort_by_key(|a| a.at);
    // The bus takes an address a cycle.
    for i in 1..asks.len() {
        asks[i].at = asks[i].at.max(asks[i - 1].at + 1);
    }
    asks
}

/// The port says of each beat and answer the cycle in which the detailed model has it. Where writes come between reads,
/// rows may be opened in another order, a write may then just miss a turn of the bus, and only the mean is close: `off`
/// cycles for a burst that takes 64.
fn compare(what: &str, params: &Params, asks: &[Ask], off: u64) {
    let (detailed, modelled) = (detailed(params, asks), modelled(params, asks));
    for (detailed, modelled) in detailed.iter().zip(&modelled) {
        assert_eq!(detailed.len(), modelled.len(), "{what}");
        let far: u64 = detailed.iter().zip(modelled).map(|(d, m)| d.abs_diff(*m)).sum();
        let most = off * detailed.len() as u64;
        assert!(far <= most, "{what}: {far} cycles in all for {most}");
    }
}

#[test]
fn reads_and_writes_take_the_cycles_of_the_detailed_model() {
    let half = HBM2.behind(225.0, 7.0);
    for (name, params, slow) in
        [("HBM2", HBM2, 80), ("HBM2e", HBM2E, 80), ("DDR4", DDR4, 120), ("half", half, 300)]
    {
        for every in [60, 64, 70, 80, 120, 300] {
            for (share, off) in [(0.0, 0), (0.1, 16), (0.9, 16)] {
                // Writes between reads that come faster than the memory goes: the first difference grows.
                if share > 0.0 && every < slow {
                    continue;
                }
                let what = format!("{name}, bursts of 64 every {every}, writes {share}");
                compare(&what, &params, &stream(every, 150, 64, every, share), off);
            }
        }
        compare(&format!("{name}, short bursts"), &params, &stream(1, 600, 17, slow / 2, 0.0), 0);
        compare(&format!("{name}, short bursts and writes"), &params, &stream(1, 600, 17, slow / 2, 0.1), 16);
        compare(&format!("{name}, single beats"), &params, &stream(2, 600, 1, 2, 0.0), 0);
    }
}

#[test]
fn writes_alone_take_the_cycles_of_the_detailed_model() {
    let write = |at, beat| Ask { at, beat, beats: 1, write: true };
    for params in [HBM2, DDR4] {
        compare("in order", &params, &(0..2000).map(|i| write(20 + 4 * i, i)).collect::<Vec<_>>(), 0);
        compare(
            "at random",
            &params,
            &(0..1000).map(|i| write(20 + 60 * i, i * 137 % 90001)).collect::<Vec<_>>(),
            0,
        );
    }
}

/// What waits for all its beats before it asks again, as the vector unit does, gets the next ones in the cycles of the detailed model,
/// also where an earlier run has left rows open and refreshes have passed since.
#[test]
fn one_request_after_the_other() {
    for params in [HBM2, DDR4] {
        let mut asks: Vec<Ask> = Vec::new();
        let mut at = 20;
        for (beat, beats, pause) in
            [(0, 2, 0), (2, 4, 0), (90, 16, 3), (900, 8, 700), (907, 1, 5000), (908, 64, 0)]
        {
            asks.push(Ask { at: at + pause, beat, beats, write: false });
            at = detailed(&params, &asks)[0][asks.len() - 1] + 1;
        }
        let reads = detailed(&params, &asks)[0].clone();
        let mut behind = Pace::Dram(Box::new(params), 0.3).behind().unwrap();
        // A run for each two of them.
        for (asks, reads) in asks.chunks(2).zip(reads.chunks(2)) {
            let age = asks[0].at - 5;
            let mut port = Port::new(&behind, age);
            for (ask, read) in asks.iter().zip(reads) {
                port.read(ask.at - age, ask.beat * BEAT, ask.beats);
                port.settle();
                assert_eq!(port.pop_all().unwrap().1 + age, *read, "{ask:?}");
            }
            behind = port.behind();
        }
    }
}

#[test]
#[ignore = "a measurement, not a check"]
fn speed() {
    let mut port = Port::new(&Pace::Dram(Box::new(HBM2), 0.3).behind().unwrap(), 0);
    let begin = std::time::Instant::now();
    for i in 0..2_000_000u64 {
        while port.waits() {
            port.advance(port.now + 21);
        }
        port.read(port.accepted + 3, i * 64 * BEAT % SIZE, 64);
        port.pop(port.beats(), |_, _| {});
    }
    println!("{:.0} ns a burst of 64, {} cycles", begin.elapsed().as_nanos() as f64 / 2e6, port.now);
}
