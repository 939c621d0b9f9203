//! The bench: `tb_mat` with a memory per channel, a sequencer that starts operations with random gaps, and a scalar file.

use super::reference::{Space, Uop, World, Write};
use accllm_hw::beat::Beat;
use accllm_hw::config::{CONFIGS, Config, Name};
use accllm_sim::memory::{Fault, Ideal, MasterOut, MemoryModel, Rng, StallConfig, Stalling, Store};
use accllm_sim::verilate::{Design, Model, OptLevel, Port, VerilateSpec};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{LazyLock, Mutex};
use std::time::Instant;

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Base of a channel's memory: a beat, not a page.
fn base(channel: usize) -> u64 {
    64 * (5 + 3 * channel as u64)
}

/// How the memories behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Always ready, first beat after that many cycles.
    Ideal(u64),
    /// Irregular, by this seed.
    Stalling(u64),
}

struct Ports {
    rst: Port,
    clear: Port,
    stop: Port,
    start: [(Port, Port, Port); 2],
    uops: [Port; 2],
    arvalid: Port,
    arready: Port,
    araddr: Port,
    arlen: Port,
    rvalid: Port,
    rready: Port,
    rdata: Port,
    rresp: Port,
    rlast: Port,
    qs: (Port, Port, Port),
    mw: [Port; 4],
    ms: [Port; 5],
    seq: Port,
    fault: [Port; 4],
    stats: [Port; 4],
}

/// A fault as reported: code, pc, info.
pub type Reported = (u64, u64, u64);

pub struct Bench {
    pub cfg: &'static Config,
    pub m: Model,
    pub memory: Vec<Box<dyn MemoryModel>>,
    pub rng: Rng,
    pub hdp: usize,
    pub score_row: u32,
    pub q_sum: Vec<i16>,
    /// Element writes by operation (seq).
    pub writes: BTreeMap<u32, Vec<Write>>,
    /// Cycle of each end.
    pub done: Vec<u64>,
    pub fault: Option<Reported>,
    pub cycle: u64,
    /// Cycles in which tiles computed, beats, results were waited for, and without operation.
    pub stats: [u64; 4],
    /// Cycles that the prefetcher starts before the matrix unit.
    pub lead: u64,
    /// Time spent in the model.
    pub seconds: f64,
    beats: Vec<Vec<Beat>>,
    act: Vec<Vec<[i8; 256]>>,
    /// By word and lane.
    exponents: Vec<Vec<u8>>,
    sum_asked: Option<usize>,
    taken: [bool; 2],
    /// Reads of beats that nobody wrote, before this run.
    unwritten: Vec<u64>,
    p: Ports,
}

/// `tiny` with as many accumulator entries as `u280`, tiles that are far away, and data registers that never hold, as they
/// are synthesized.
static DEEP: LazyLock<Config> = LazyLock::new(|| Config {
    name: Name::from("deep").unwrap_or_default(),
    lane_rows: 64,
    link: 3,
    ..CONFIGS[0]
});

/// A named configuration, `deep`, or a random one.
pub fn config(name: &str) -> Outcome<&'static Config> {
    if name == DEEP.name.as_str() { Ok(&DEEP) } else { crate::config::named(name) }
}

fn design(name: &str, opt: OptLevel, asserts: bool) -> Outcome<Design> {
    static DESIGNS: Mutex<BTreeMap<(String, bool), Design>> = Mutex::new(BTreeMap::new());
    let mut designs = DESIGNS.lock().map_err(|_| "a build panicked")?;
    let key = (name.to_owned(), asserts);
    if let Some(d) = designs.get(&key) {
        return Ok(d.clone());
    }
    let c = config(name)?;
    let used = [
        "pkg/",
        "buf/act_buf",
        "buf/score_buf",
        "mem/delay_line",
        "mem/stream_fifo",
        "mem/chan_reader",
        "mem/prefetch",
        "mat/",
    ];
    let list = include_str!("../../../../hw/rtl/files.f");
    let mut sources = vec!["hw/rtl/lint.vlt".to_owned()];
    let files = list.lines().filter(|l| used.iter().any(|u| l.starts_with(u)));
    sources.extend(files.map(|l| format!("hw/rtl/{l}")));
    sources.push("hw/rtl/tb/tb_mat.sv".to_owned());
    let d = VerilateSpec::new("tb_mat", sources)
        .opt(opt)
        .asserts(asserts)
        .param("CHANNELS", c.channels)
        .param("LANES", c.lanes)
        .param("VEC", c.vec)
        .param("FIFO", c.fifo)
        .param("BURST", c.burst)
        .param("VMEM", c.vmem)
        .param("ACT", c.act)
        .param("SBUF", c.sbuf)
        .param("SCALARS", c.scalars)
        .param("LANE_ROWS", c.lane_rows)
        .param("LINK", c.link)
        .param("HOLD", usize::from(name != DEEP.name.as_str()))
        .load()?;
    designs.insert(key, d.clone());
    Ok(d)
}

/// A memory for each channel.
fn memories(channels: usize, pace: Pace) -> Outcome<Vec<Box<dyn MemoryModel>>> {
    (0..channels)
        .map(|c| -> Outcome<Box<dyn MemoryModel>> {
            let store = Store::new(8 << 20)?;
            Ok(match pace {
                Pace::Ideal(latency) => Box::new(Ideal::new(store, latency)),
                Pace::Stalling(s) => Box::new(Stalling::new(store, StallConfig::new(s * 1000 + c as u64))?),
            })
        })
        .collect()
}

impl Ports {
    fn resolve(m: &Model) -> Outcome<Self> {
        let p = |n: &str| m.port(n);
        let axi = |n: &str| m.port(&format!("m_axi_{n}"));
        Ok(Self {
            rst: p("rst")?,
            clear: p("clear")?,
            stop: p("stop")?,
            start: [
                (p("pf_valid")?, p("pf_ready")?, p("pf_done")?),
                (p("mat_valid")?, p("mat_ready")?, p("mat_done")?),
            ],
            uops: [m.port_shaped("pf_uop", 288, 1)?, m.port_shaped("mat_uop", 288, 1)?],
            arvalid: axi("arvalid")?,
            arready: axi("arready")?,
            araddr: axi("araddr")?,
            arlen: axi("arlen")?,
            rvalid: axi("rvalid")?,
            rready: axi("rready")?,
            rdata: axi("rdata")?,
            rresp: axi("rresp")?,
            rlast: axi("rlast")?,
            qs: (p("qs_en")?, p("qs_addr")?, p("qs_data")?),
            mw: [p("mw_valid")?, p("mw_addr")?, p("mw_mask")?, p("mw_data")?],
            ms: [p("ms_valid")?, p("ms_row")?, p("ms_lanes")?, p("ms_banks")?, p("ms_data")?],
            seq: p("seq")?,
            fault: [p("fault_valid")?, p("fault_code")?, p("fault_pc")?, p("fault_info")?],
            stats: [p("stat_busy")?, p("stat_stream")?, p("stat_out")?, p("stat_idle")?],
        })
    }
}

impl Bench {
    /// A bench after reset with empty memories.
    pub fn new(config: &str, pace: Pace, seed: u64) -> Outcome<Self> {
        Self::build(config, pace, seed, OptLevel::Quick, true)
    }

    pub fn build(config: &str, pace: Pace, seed: u64, opt: OptLevel, asserts: bool) -> Outcome<Self> {
        let cfg = self::config(config)?;
        let m = design(config, opt, asserts)?.model()?;
        let memory = memories(cfg.channels, pace)?;
        let p = Ports::resolve(&m)?;
        let bases = m.port("base")?;
        let mut b = Self {
            cfg,
            m,
            memory,
            rng: Rng::new(seed),
            hdp: 64,
            score_row: 0,
            q_sum: vec![0; cfg.scalars],
            writes: BTreeMap::new(),
            done: Vec::new(),
            fault: None,
            cycle: 0,
            stats: [0; 4],
            lead: 0,
            seconds: 0.0,
            beats: vec![Vec::new(); cfg.channels],
            act: vec![vec![[0; 256]; cfg.lanes]; cfg.act],
            exponents: vec![vec![0; cfg.lanes]; cfg.act],
            sum_asked: None,
            taken: [false; 2],
            unwritten: Vec::new(),
            p,
        };
        b.m.set_u64(b.p.rst, 1);
        b.m.cycles(3)?;
        b.m.set_u64(b.p.rst, 0);
        for c in 0..cfg.channels {
            b.m.set_u64_at(bases, c, base(c));
        }
        b.set("channel_limit", 1 << 16)?;
        b.drive();
        Ok(b)
    }

    pub fn set(&mut self, port: &str, value: u64) -> Outcome {
        let p = self.m.port(port)?;
        self.m.set_u64(p, value);
        Ok(())
    }

    pub fn get(&self, port: &str) -> Outcome<u64> {
        Ok(self.m.get_u64(self.m.port(port)?))
    }

    /// Sets the unit constants.
    pub fn constants(&mut self, hdp: usize, score_row: u32) -> Outcome {
        self.hdp = hdp;
        self.score_row = score_row;
        self.set("hdp", hdp as u64)?;
        self.set("score_row", score_row.into())
    }

    /// Fills every channel's memory.
    pub fn fill(&mut self, count: usize, mut beat: impl FnMut(&mut Rng) -> Beat) -> Outcome {
        for c in 0..self.cfg.channels {
            self.beats[c] = (0..count).map(|_| beat(&mut self.rng)).collect();
            let bytes: Vec<u8> = self.beats[c].iter().flatten().copied().collect();
            self.memory[c].store_mut().write(base(c), &bytes)?;
        }
        Ok(())
    }

    /// Writes activation words through the vector unit's port, in random portions.
    pub fn fill_act(&mut self, words: usize, mut value: impl FnMut(&mut Rng) -> i8) -> Outcome {
        let (cfg, per) = (self.cfg, self.cfg.vec / 4);
        let [valid, addr, lanes, banks, even, odd] =
            ["w_valid", "w_addr", "w_lanes", "w_banks", "w_even", "w_odd"].map(|n| self.m.port(n));
        let (valid, addr, lanes, banks, data) = (valid?, addr?, lanes?, banks?, [even?, odd?]);
        let exponent = self.m.port("w_exp")?;
        for word in 0..words {
            for lane in 0..cfg.lanes {
                let e = self.rng.range(0, 8) as u8;
                self.exponents[word][lane] = e;
                for group in 0..64 / per {
                    let bytes: Vec<i8> = (0..cfg.vec).map(|_| value(&mut self.rng)).collect();
                    let other: Vec<u8> = (0..cfg.vec).map(|_| self.rng.next_u64() as u8).collect();
                    self.act[word][lane][group * cfg.vec..][..cfg.vec].copy_from_slice(&bytes);
                    self.m.set_u64(valid, 1);
                    self.m.set_u64(addr, word as u64);
                    self.m.set_u64(lanes, 1 << lane);
                    // Taken with bank 0 only.
                    let stray = self.rng.range(0, 15);
                    self.m.set_u64(exponent, if group == 0 { e.into() } else { stray });
                    self.m.set_u64(banks, ((1u64 << per) - 1) << (group * per));
                    for (i, port) in data.into_iter().enumerate() {
                        for (j, w) in self.m.words_mut(port, 0).iter_mut().enumerate() {
                            let byte = |k: usize| {
                                if lane % 2 == i { bytes[4 * j + k] as u8 } else { other[4 * j + k] }
                            };
                            *w = u32::from_le_bytes(std::array::from_fn(byte));
                        }
                    }
                    self.clock()?;
                }
            }
        }
        self.m.set_u64(valid, 0);
        self.clock()
    }

    fn drive(&mut self) {
        let (mut arready, mut rvalid, mut rlast) = (0, 0, 0);
        for c in 0..self.cfg.channels {
            let out = self.memory[c].outputs();
            arready |= u64::from(out.arready) << c;
            rvalid |= u64::from(out.rvalid) << c;
            rlast |= u64::from(out.rlast) << c;
            if out.rvalid {
                self.m.words_mut(self.p.rdata, c).copy_from_slice(&out.rdata);
                self.m.set_u64_at(self.p.rresp, c, out.rresp.into());
            }
        }
        self.m.set_u64(self.p.arready, arready);
        self.m.set_u64(self.p.rvalid, rvalid);
        self.m.set_u64(self.p.rlast, rlast);
    }

    /// One clock.
    pub fn clock(&mut self) -> Outcome {
        let start = Instant::now();
        self.m.fall()?;
        self.seconds += start.elapsed().as_secs_f64();
        let (arvalid, rready) = (self.m.get_u64(self.p.arvalid), self.m.get_u64(self.p.rready));
        for c in 0..self.cfg.channels {
            self.memory[c].step(&MasterOut {
                arvalid: arvalid >> c & 1 != 0,
                araddr: self.m.get_u64_at(self.p.araddr, c),
                arlen: self.m.get_u64_at(self.p.arlen, c) as u8,
                rready: rready >> c & 1 != 0,
                ..MasterOut::idle()
            });
        }
        self.record();
        let start = Instant::now();
        self.m.rise()?;
        self.seconds += start.elapsed().as_secs_f64();
        if let Some(i) = self.sum_asked.take() {
            self.m.set_u64(self.p.qs.2, u64::from(self.q_sum[i] as u16));
        }
        self.drive();
        self.cycle += 1;
        Ok(())
    }

    fn record(&mut self) {
        if self.m.get_u64(self.p.qs.0) != 0 {
            self.sum_asked = Some(self.m.get_u64(self.p.qs.1) as usize);
        }
        for (s, p) in self.stats.iter_mut().zip(self.p.stats) {
            *s += self.m.get_u64(p);
        }
        let seq = self.m.get_u64(self.p.seq) as u32;
        let [valid, addr, mask, data] = self.p.mw;
        if self.m.get_u64(valid) != 0 {
            let (addr, mask) = (self.m.get_u64(addr) as u32, self.m.get_u64(mask));
            let list = self.writes.entry(seq).or_default();
            for e in (0..self.cfg.vec).filter(|e| mask >> e & 1 != 0) {
                let value = self.m.words(data, 0)[e] as i32;
                list.push((Space::Vmem, addr * self.cfg.vec as u32 + e as u32, value));
            }
        }
        let [valid, row, lanes, banks, data] = self.p.ms;
        if self.m.get_u64(valid) != 0 {
            let nb = self.cfg.score_banks();
            let (row, lanes, banks) = (self.m.get_u64(row), self.m.get_u64(lanes), self.m.get_u64(banks));
            let list = self.writes.entry(seq).or_default();
            for lane in (0..self.cfg.lanes).filter(|l| lanes >> l & 1 != 0) {
                for b in (0..nb).filter(|b| banks >> b & 1 != 0) {
                    let value = self.m.get_u64_at(data, lane * nb + b) as i32;
                    list.push((Space::Score(lane), row as u32 * nb as u32 + b as u32, value));
                }
            }
        }
        for (taken, (valid, ready, _)) in self.taken.iter_mut().zip(self.p.start) {
            *taken = self.m.get_u64(valid) & self.m.get_u64(ready) != 0;
        }
        if self.m.get_u64(self.p.start[1].2) != 0 {
            self.done.push(self.cycle);
        }
        if self.fault.is_none() && self.m.get_u64(self.p.fault[0]) != 0 {
            let [_, code, pc, info] = self.p.fault.map(|p| self.m.get_u64(p));
            self.fault = Some((code, pc, info));
        }
    }

    /// Runs operations, starting each with a gap of up to `gap` cycles, until all are done or a fault comes.
    pub fn run(&mut self, uops: &[Uop], gap: u64, limit: u64) -> Outcome {
        self.writes.clear();
        self.done.clear();
        self.fault = None;
        self.unwritten = self.memory.iter().map(|m| m.store().unwritten_reads()).collect();
        let (mut next, mut wait) = ([0; 2], [0, self.lead]);
        let end = self.cycle + limit;
        while self.done.len() < uops.len() && self.fault.is_none() {
            if self.cycle > end {
                for (valid, ..) in self.p.start {
                    self.m.set_u64(valid, 0);
                }
                let done = self.done.len();
                return Err(format!("no end after {limit} cycles: {done} of {} done", uops.len()).into());
            }
            for i in 0..2 {
                let offer = next[i] < uops.len() && wait[i] == 0;
                wait[i] = wait[i].saturating_sub(1);
                if offer {
                    self.m.words_mut(self.p.uops[i], 0).copy_from_slice(&uops[next[i]].words());
                }
                self.m.set_u64(self.p.start[i].0, offer.into());
            }
            self.clock()?;
            for i in 0..2 {
                if self.taken[i] {
                    next[i] += 1;
                    wait[i] = self.rng.range(0, gap);
                }
            }
        }
        for (valid, ..) in self.p.start {
            self.m.set_u64(valid, 0);
        }
        Ok(())
    }

    /// What the operations have to write.
    pub fn expected(&self, uops: &[Uop]) -> Vec<Vec<Write>> {
        let world = World {
            cfg: self.cfg,
            hdp: self.hdp,
            score_row: self.score_row,
            memory: &self.beats,
            act: &self.act,
            exponents: &self.exponents,
            q_sum: &self.q_sum,
        };
        uops.iter().map(|u| world.run(u)).collect()
    }

    /// Compares everything written by the last run with the reference, and reads the score buffer back.
    pub fn check(&mut self, uops: &[Uop]) -> Outcome {
        if let Some(f) = self.fault {
            return Err(format!("fault {f:?}").into());
        }
        let mut scores = BTreeMap::new();
        for (u, mut want) in uops.iter().zip(self.expected(uops)) {
            let mut got = self.writes.remove(&u.seq).unwrap_or_default();
            got.sort_unstable();
            want.sort_unstable();
            if let Some((g, w)) = got.iter().zip(&want).find(|(g, w)| g != w) {
                return Err(format!("{u:?}\n wrote {g:?} instead of {w:?}").into());
            }
            if got.len() != want.len() {
                return Err(format!("{u:?}\n wrote {} elements instead of {}", got.len(), want.len()).into());
            }
            scores.extend(got.into_iter().map(|(s, at, v)| ((s, at), v)));
        }
        if !self.writes.is_empty() {
            return Err(format!("writes of operations that do not exist: {:?}", self.writes.keys()).into());
        }
        for (c, m) in self.memory.iter().enumerate() {
            let unwritten = m.store().unwritten_reads() - self.unwritten[c];
            if !m.violations().is_empty() || unwritten != 0 {
                let first = m.violations().first();
                return Err(format!("channel {c}: {first:?}, {unwritten} beats that nobody wrote").into());
            }
        }
        let [en, lane_port, addr, data] = ["r_en", "r_lane", "r_addr", "r_data"].map(|n| self.m.port(n));
        let (en, lane_port, addr, data) = (en?, lane_port?, addr?, data?);
        for ((space, at), value) in scores {
            let Space::Score(lane) = space else { continue };
            let v = self.cfg.vec as u32;
            self.m.set_u64(en, 1);
            self.m.set_u64(lane_port, lane as u64);
            self.m.set_u64(addr, u64::from(at / v * v));
            self.clock()?;
            self.m.set_u64(en, 0);
            // The buffer answers three cycles after the address (READ_LATENCY).
            self.clock()?;
            self.clock()?;
            self.m.fall()?;
            let got = self.m.words(data, 0)[(at % v) as usize] as i32;
            if got != value {
                return Err(format!("score buffer lane {lane} element {at} reads {got}, not {value}").into());
            }
        }
        Ok(())
    }

    /// The `clear` pulse after a fault, then waits until the readers are drained.
    pub fn clear(&mut self) -> Outcome {
        self.m.set_u64(self.p.stop, 1);
        for _ in 0..self.rng.range(0, 20) {
            self.clock()?;
        }
        self.m.set_u64(self.p.clear, 1);
        self.clock()?;
        self.m.set_u64(self.p.clear, 0);
        let end = self.cycle + 2000;
        loop {
            self.m.fall()?;
            if self.get("drained")? != 0 {
                break;
            }
            if self.cycle > end {
                return Err("the readers do not drain".into());
            }
            self.clock()?;
        }
        self.m.set_u64(self.p.stop, 0);
        self.clock()
    }

    /// Makes accesses to a beat of a channel fail.
    pub fn break_beat(&mut self, channel: usize, beat: u64) {
        let at = base(channel) + 64 * beat;
        self.memory[channel].inject(Fault::SlaveError(at..at + 64));
    }
}
