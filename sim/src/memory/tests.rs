//! Random traffic against a byte array, and the rules one by one.

use super::*;
use std::collections::VecDeque;
use std::error::Error;
use std::ops::Range;

pub(in crate::memory) type Outcome = Result<(), Box<dyn Error>>;

pub(in crate::memory) const SIZE: usize = 1 << 16;

struct Write {
    addr: usize,
    beats: Vec<(Beat, u64)>,
    sent: usize,
}

/// A correct master that issues random bursts, several at a time, never two that overlap when one
/// of them writes, and compares every beat it reads.
struct Master {
    rng: Rng,
    expected: Vec<u8>,
    /// Percent of cycles in which the master itself is slow.
    slow: u8,
    ar: Option<(usize, u8)>,
    reads: VecDeque<(Range<usize>, usize)>,
    aw: Option<(usize, u8)>,
    writes: VecDeque<Write>,
    finishing: VecDeque<Write>,
    w_offered: bool,
    checked: usize,
}

impl Master {
    fn new(seed: u64, slow: u8, expected: Vec<u8>) -> Self {
        Self {
            rng: Rng::new(seed ^ 0x5555),
            expected,
            slow,
            ar: None,
            reads: VecDeque::new(),
            aw: None,
            writes: VecDeque::new(),
            finishing: VecDeque::new(),
            w_offered: false,
            checked: 0,
        }
    }

    fn burst(&mut self) -> Range<usize> {
        let start = self.rng.range(0, SIZE as u64 / 64 - 1) as usize;
        let room = 64 - start % 64;
        let beats = self.rng.range(1, (room as u64).min(20)) as usize;
        start * 64..(start + beats) * 64
    }

    fn clash(&self, burst: &Range<usize>, with_reads: bool) -> bool {
        let hit = |r: &Range<usize>| r.start < burst.end && burst.start < r.end;
        let writes = self.writes.iter().chain(&self.finishing);
        writes.into_iter().any(|w| hit(&(w.addr..w.addr + w.beats.len() * 64)))
            || (with_reads && self.reads.iter().any(|(r, _)| hit(r)))
    }

    /// New bursts, where there is none whose address waits.
    fn begin(&mut self) {
        if self.ar.is_none() && !self.rng.percent(self.slow) {
            let b = self.burst();
            if !self.clash(&b, false) {
                self.ar = Some((b.start, (b.len() / 64 - 1) as u8));
                self.reads.push_back((b, 0));
            }
        }
        if self.aw.is_none() && !self.rng.percent(self.slow) {
            let b = self.burst();
            if !self.clash(&b, true) {
                self.aw = Some((b.start, (b.len() / 64 - 1) as u8));
                let beats = (0..b.len() / 64)
                    .map(|_| {
                        let data = std::array::from_fn(|_| self.rng.next_u64() as u32);
                        let strobe = if self.rng.percent(60) { u64::MAX } else { self.rng.next_u64() };
                        (data, strobe)
                    })
                    .collect();
                self.writes.push_back(Write { addr: b.start, beats, sent: 0 });
            }
        }
    }

    /// One clock; `more` allows new bursts.
    fn clock(&mut self, memory: &mut dyn MemoryModel, more: bool) {
        if more {
            self.begin();
        }
        let out = memory.outputs().clone();
        let mut m = MasterOut::idle();
        (m.rready, m.bready) = (!self.rng.percent(self.slow), !self.rng.percent(self.slow));
        if let Some((addr, len)) = self.ar {
            (m.arvalid, m.araddr, m.arlen) = (true, addr as u64, len);
        }
        if let Some((addr, len)) = self.aw {
            (m.awvalid, m.awaddr, m.awlen) = (true, addr as u64, len);
        }
        // Data may be offered before their address has been accepted.
        if let Some(w) = self.writes.front() {
            self.w_offered = self.w_offered || !self.rng.percent(self.slow);
            if self.w_offered {
                m.wvalid = true;
                m.wdata = &w.beats[w.sent].0;
                m.wstrb = w.beats[w.sent].1;
                m.wlast = w.sent + 1 == w.beats.len();
            }
        }
        memory.step(&m);
        let (w_moved, b_moved) = (m.wvalid && out.wready, m.bready && out.bvalid);
        if out.arready {
            self.ar = None;
        }
        if out.awready {
            self.aw = None;
        }
        if out.rvalid && m.rready {
            self.check_beat(&out);
        }
        if b_moved {
            self.retire(out.bresp);
        }
        if w_moved && let Some(w) = self.writes.front_mut() {
            self.w_offered = false;
            w.sent += 1;
            if w.sent == w.beats.len() {
                self.finishing.extend(self.writes.pop_front());
            }
        }
    }

    fn check_beat(&mut self, out: &SlaveOut) {
        assert_eq!(out.rresp, resp::OKAY);
        let (range, done) = self.reads.front_mut().expect("data for a read nobody asked for");
        let at = range.start + *done;
        *done += 64;
        let bytes: Vec<u8> = out.rdata.iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!(bytes, self.expected[at..at + 64], "read at {at:#x}");
        assert_eq!(out.rlast, at + 64 == range.end);
        self.checked += 1;
        if out.rlast {
            self.reads.pop_front();
        }
    }

    fn retire(&mut self, code: u8) {
        assert_eq!(code, resp::OKAY);
        let w = self.finishing.pop_front().expect("a response before the last write beat");
        for (i, (data, strobe)) in w.beats.iter().enumerate() {
            for (lane, byte) in data.iter().flat_map(|w| w.to_le_bytes()).enumerate() {
                if strobe >> lane & 1 != 0 {
                    self.expected[w.addr + i * 64 + lane] = byte;
                }
            }
        }
    }

    fn done(&self) -> bool {
        self.reads.is_empty() && self.writes.is_empty() && self.finishing.is_empty()
    }
}

/// Runs traffic, drains it, compares everything; returns the number of cycles.
pub(in crate::memory) fn traffic(memory: &mut dyn MemoryModel, seed: u64, slow: u8) -> Outcome {
    let mut image = vec![0; SIZE];
    let mut rng = Rng::new(seed);
    image.iter_mut().for_each(|b| *b = rng.next_u64() as u8);
    memory.store_mut().write(0, &image)?;
    let mut master = Master::new(seed, slow, image);
    for _ in 0..6000 {
        master.clock(memory, true);
    }
    for _ in 0..20_000 {
        if master.done() {
            break;
        }
        master.clock(memory, false);
    }
    assert!(master.done() && memory.idle());
    assert!(master.checked > 500, "only {} beats were read", master.checked);
    let mut now = vec![0; SIZE];
    memory.store().read(0, &mut now)?;
    assert!(now == master.expected, "seed {seed}: contents differ");
    assert!(memory.violations().is_empty(), "{:?}", memory.violations());
    assert_eq!(memory.counters().read_beats as usize, master.checked);
    assert_eq!((memory.store().unwritten_reads(), memory.counters().error_beats), (0, 0));
    Ok(())
}

fn store() -> Result<Store, StoreError> {
    Store::new(SIZE as u64)
}

#[test]
fn ideal_memory_keeps_data() -> Outcome {
    for seed in 0..6 {
        traffic(&mut Ideal::new(store()?, 1 + 13 * (seed % 3)), seed, [0, 20, 60][seed as usize % 3])?;
    }
    Ok(())
}

#[test]
fn stalling_never_changes_data() -> Outcome {
    for seed in 0..20 {
        let mut config = StallConfig::new(seed);
        config.latency = [1..=1, 1..=60, 20..=300][seed as usize % 3].clone();
        config.stall_percent = [[0; 5], [30; 5], [5, 60, 5, 60, 40], [60; 5]][seed as usize % 4];
        config.outstanding = 1 + seed as usize % 8;
        config.late_commit = seed % 2 == 0;
        if config.stall_percent[0] == 60 || config.latency.start() > &1 {
            config.outstanding += 8;
        }
        traffic(&mut Stalling::new(store()?, config)?, seed, [0, 20, 50][seed as usize % 3])?;
    }
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_cycles() -> Outcome {
    let run = |seed| -> Result<Counters, Box<dyn Error>> {
        let mut memory = Stalling::new(store()?, StallConfig::new(seed))?;
        traffic(&mut memory, 1, 20)?;
        Ok(*memory.counters())
    };
    assert_eq!(run(5)?, run(5)?);
    assert_ne!(run(5)?, run(6)?);
    Ok(())
}

fn read(addr: u64, len: u8) -> MasterOut<'static> {
    MasterOut { arvalid: true, araddr: addr, arlen: len, ..MasterOut::idle() }
}

/// Reads one burst and returns (cycles from address to first data, response codes).
fn read_burst(memory: &mut dyn MemoryModel, addr: u64, len: u8) -> (u64, Vec<u8>) {
    while !memory.outputs().arready {
        memory.step(&MasterOut::idle());
    }
    memory.step(&read(addr, len));
    let (mut wait, mut codes) = (1, Vec::new());
    for _ in 0..1000 {
        let out = memory.outputs().clone();
        memory.step(&MasterOut::idle());
        if out.rvalid {
            codes.push(out.rresp);
            if out.rlast {
                break;
            }
        } else if codes.is_empty() {
            wait += 1;
        }
    }
    (wait, codes)
}

#[test]
fn ideal_memory_has_its_latency_and_full_rate() -> Outcome {
    for latency in [1, 2, 40] {
        let mut memory = Ideal::new(store()?, latency);
        assert_eq!(read_burst(&mut memory, 0, 15), (latency, vec![0; 16]));
    }
    let mut memory = Ideal::new(store()?, 30);
    memory.step(&MasterOut::idle());
    for i in 0..1000 {
        memory.step(&if i % 16 == 0 { read(1024 * (i / 16 % 64), 15) } else { MasterOut::idle() });
    }
    assert_eq!(memory.counters().read_beats, 1000 - 30, "back-to-back bursts leave no gap");
    Ok(())
}

#[test]
fn errors_and_hangs() -> Outcome {
    let mut memory = Ideal::new(Store::new(SIZE as u64 - 64)?, 3);
    assert_eq!(read_burst(&mut memory, SIZE as u64 - 128, 1).1, [resp::OKAY, resp::DECERR]);
    assert_eq!(memory.store().unwritten_reads(), 1);
    memory.inject(Fault::SlaveError(130..131));
    assert_eq!(read_burst(&mut memory, 64, 2).1, [resp::OKAY, resp::SLVERR, resp::OKAY]);
    memory.step(&MasterOut { awvalid: true, awaddr: 64, awlen: 1, ..MasterOut::idle() });
    memory.step(&MasterOut { wvalid: true, wstrb: 1, ..MasterOut::idle() });
    memory.step(&MasterOut { wvalid: true, wstrb: 1, wlast: true, ..MasterOut::idle() });
    memory.step(&MasterOut::idle());
    memory.step(&MasterOut::idle());
    assert_eq!((memory.outputs().bvalid, memory.outputs().bresp), (true, resp::SLVERR));
    memory.step(&MasterOut::idle());
    assert!(memory.violations().is_empty() && memory.idle());
    memory.inject(Fault::Hang { channel: Channel::R, from_cycle: 0 });
    assert_eq!(read_burst(&mut memory, 0, 0).1, [] as [u8; 0]);
    memory.reset();
    assert!(memory.idle());
    Ok(())
}

#[test]
fn broken_rules_are_recorded() -> Outcome {
    let mut memory = Ideal::new(store()?, 3);
    memory.step(&read(0, 0)); // not ready yet: waits
    memory.step(&MasterOut::idle()); // dropped
    memory.step(&read(4096 - 64, 1));
    memory.step(&read(8, 0));
    memory.step(&MasterOut { awvalid: true, ..MasterOut::idle() });
    memory.step(&MasterOut { wvalid: true, ..MasterOut::idle() });
    memory.inject(Fault::Hang { channel: Channel::Ar, from_cycle: 0 });
    memory.step(&MasterOut::idle());
    memory.step(&read(64, 0));
    memory.step(&read(128, 0));
    let rules: Vec<(Channel, Rule)> =
        memory.violations().first().iter().map(|v| (v.channel, v.rule)).collect();
    let want = [
        (Channel::Ar, Rule::ValidDropped),
        (Channel::Ar, Rule::Crosses4K { addr: 4032, beats: 2 }),
        (Channel::Ar, Rule::Unaligned { addr: 8 }),
        (Channel::W, Rule::WlastMismatch { remaining: 1 }),
        (Channel::Ar, Rule::PayloadChanged),
    ];
    assert_eq!(rules, want);
    Ok(())
}

/// `cargo test -p accllm-sim --release memory -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a check"]
fn speed_of_a_streaming_port() -> Outcome {
    let mut ideal = Ideal::new(store()?, 30);
    let mut stalling = Stalling::new(store()?, StallConfig::new(1))?;
    let image = vec![1; SIZE];
    let models: [(&str, &mut dyn MemoryModel); 2] = [("ideal", &mut ideal), ("stalling", &mut stalling)];
    for (name, memory) in models {
        memory.store_mut().write(0, &image)?;
        let start = std::time::Instant::now();
        let n = 5_000_000u64;
        for i in 0..n {
            memory.step(&read(1024 * (i / 16 % 64), 15));
        }
        println!("{name}: {:.1} ns a step", start.elapsed().as_secs_f64() * 1e9 / n as f64);
    }
    Ok(())
}
