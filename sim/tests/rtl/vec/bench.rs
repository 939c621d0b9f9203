//! The bench: `tb_vec`, with the test as auxiliary memory, channels' write slaves, score buffer and matrix unit.

mod observe;

use crate::config::named;
use accllm_hw::config::Config;
use accllm_hw::isa::{FLAG_FIRST, Instr, Op};
use accllm_sim::golden::testgen::Case;
use accllm_sim::golden::{Image, Limits, Memory, Port as MemoryPort, State, Write};
use accllm_sim::memory::Rng;
use accllm_sim::verilate::{Design, Model, OptLevel, Port, VerilateSpec};
use observe::Ready;
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::sync::Mutex;

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Cycles after which an operation counts as hung.
const PATIENCE: u64 = 200_000;

/// Chances in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// That a handshake of the auxiliary port or a channel does not move.
    pub stall: u8,
    /// That the matrix unit writes to vector memory.
    pub contention: u8,
}

impl Pace {
    /// Nothing ever waits.
    pub const FREE: Self = Self { stall: 0, contention: 0 };
    /// Much waits.
    pub const ROUGH: Self = Self { stall: 40, contention: 30 };
}

/// A fault as reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    pub code: u32,
    pub pc: u32,
    pub info: u32,
}

/// What an operation did.
#[derive(Debug)]
pub struct Run {
    /// Element writes, sorted.
    pub writes: Vec<Write>,
    pub fault: Option<Reported>,
    /// Cycles from the start to `done`.
    pub cycles: u64,
    /// Time spent in the design.
    pub seconds: f64,
}

macro_rules! ports {
    ($($name:ident),+) => {
        struct Ports { $($name: Port,)+ }
        impl Ports {
            fn resolve(m: &Model) -> Outcome<Self> {
                Ok(Self { $($name: m.port(stringify!($name))?,)+ })
            }
        }
    };
}

ports!(
    rst,
    clear,
    start_valid,
    start_ready,
    uop,
    consts,
    done,
    busy,
    fault_valid,
    fault_code,
    fault_pc,
    fault_info,
    seq,
    write_low,
    write_high,
    mw_valid,
    mw_addr,
    mw_mask,
    mw_data,
    vw_fire,
    vw_addr,
    vw_mask,
    vw_data,
    va_valid,
    va_addr,
    va_lanes,
    va_banks,
    va_even,
    va_odd,
    va_exp,
    sb_r_en,
    sb_r_lane,
    sb_r_addr,
    sb_r_data,
    sb_s_en,
    sb_s_lane,
    sb_s_addr,
    sb_s_data,
    vs_w_en,
    vs_w_addr,
    vs_w_f0,
    vs_w_f1,
    vs_w_f2,
    vs_w_f3,
    ts_valid,
    ts_addr,
    ts_f0,
    ts_f1,
    ts_f2,
    ts_f3,
    m_addr,
    m_q_sum,
    rq_valid,
    rq_ready,
    rq_beat,
    rq_beats,
    rd_valid,
    rd_ready,
    rd_data,
    wq_valid,
    wq_ready,
    wq_beat,
    wq_data,
    w_idle,
    base,
    awvalid,
    awready,
    awaddr,
    awlen,
    wvalid,
    wready,
    wdata,
    wstrb,
    wlast,
    bvalid,
    bready,
    bresp,
    result_valid,
    result_index,
    result_value
);

/// A channel's write slave.
#[derive(Default)]
struct Slave {
    addresses: VecDeque<u64>,
    data: VecDeque<(u64, [u32; 16])>,
    /// Cycles from which responses may be given.
    responses: VecDeque<u64>,
    offered: bool,
}

pub struct Bench {
    pub cfg: &'static Config,
    pub m: Model,
    pub rng: Rng,
    pub pace: Pace,
    /// Added to operand m of the next operation.
    pub offset_m: u32,
    /// Instruction index of the last case.
    pub last_pc: u32,
    /// Channel whose writes are answered with an error.
    pub broken: Option<usize>,
    /// What the design holds.
    pub state: State,
    pub limits: Limits,
    pub image: Image,
    score: Vec<i32>,
    writes: Vec<Write>,
    slaves: Vec<Slave>,
    /// Beats of the auxiliary port that are asked for: next, left.
    reading: (u64, u64),
    /// Cycles from which auxiliary writes are answered.
    aux_open: VecDeque<u64>,
    /// Lane and element that each read port of the score buffer asked for.
    score_asked: [Option<(usize, usize)>; 2],
    cycle: u64,
    spent: std::time::Duration,
    seq: u32,
    p: Ports,
}

fn design(name: &str, opt: OptLevel) -> Outcome<Design> {
    static DESIGNS: Mutex<BTreeMap<(String, bool), Design>> = Mutex::new(BTreeMap::new());
    let mut designs = DESIGNS.lock().map_err(|_| "a build panicked")?;
    let key = (name.to_owned(), opt == OptLevel::Fast);
    if let Some(d) = designs.get(&key) {
        return Ok(d.clone());
    }
    let c = named(name)?;
    let used = ["pkg/", "buf/vmem", "buf/scalar_file", "mem/chan_writer", "vec/"];
    let list = include_str!("../../../../hw/rtl/files.f");
    let mut sources = vec!["hw/rtl/lint.vlt".to_owned()];
    let files = list.lines().filter(|l| used.iter().any(|u| l.starts_with(u)));
    sources.extend(files.map(|l| format!("hw/rtl/{l}")));
    sources.push("hw/rtl/tb/tb_vec.sv".to_owned());
    let d = VerilateSpec::new("tb_vec", sources)
        .opt(opt)
        .param("CHANNELS", c.channels)
        .param("LANES", c.lanes)
        .param("VEC", c.vec)
        .param("VMEM", c.vmem)
        .param("ACT", c.act)
        .param("SBUF", c.sbuf)
        .param("SCALARS", c.scalars)
        .load()?;
    designs.insert(key, d.clone());
    Ok(d)
}

impl Bench {
    /// A bench after reset.
    pub fn new(config: &str, pace: Pace, seed: u64) -> Outcome<Self> {
        Self::build(config, pace, seed, OptLevel::Quick)
    }

    pub fn build(config: &str, pace: Pace, seed: u64, opt: OptLevel) -> Outcome<Self> {
        let cfg = named(config)?;
        let mut m = design(config, opt)?.model()?;
        let p = Ports::resolve(&m)?;
        let channels = cfg.channels;
        for c in 0..channels {
            m.set_u64_at(p.base, c, 64 * (5 + 3 * c as u64));
        }
        m.set_u64(p.rst, 1);
        m.cycles(2)?;
        m.set_u64(p.rst, 0);
        Ok(Self {
            cfg,
            m,
            rng: Rng::new(seed),
            pace,
            offset_m: 0,
            last_pc: 0,
            broken: None,
            state: State::new(cfg),
            limits: Limits::open(0, 0),
            image: Image::new(channels),
            score: vec![0; cfg.sbuf * cfg.lanes],
            writes: Vec::new(),
            slaves: (0..channels).map(|_| Slave::default()).collect(),
            reading: (0, 0),
            aux_open: VecDeque::new(),
            score_asked: [None; 2],
            cycle: 0,
            spent: std::time::Duration::ZERO,
            seq: 0,
            p,
        })
    }

    fn go(&mut self) -> bool {
        !self.rng.percent(self.pace.stall)
    }

    fn wait(&mut self) -> u64 {
        if self.pace.stall == 0 { 1 } else { self.rng.range(1, 30) }
    }

    /// A write of a word of vector memory, as the matrix unit makes it.
    fn drive_matrix(&mut self, word: usize, mask: u64, data: &[i32]) {
        let (p, m) = (&self.p, &mut self.m);
        m.set_u64(p.mw_valid, 1);
        m.set_u64(p.mw_addr, word as u64);
        m.set_u64(p.mw_mask, mask);
        for (w, &d) in m.words_mut(p.mw_data, 0).iter_mut().zip(data) {
            *w = d as u32;
        }
    }

    /// Brings vector memory, scalars, scores and result of the design to `target`.
    pub fn sync(&mut self, target: &State) -> Outcome {
        let v = self.cfg.vec;
        if target.result() != self.state.result() {
            let (index, value) = target.result();
            let mut word = target.vmem()[..v].to_vec();
            word[0] = value;
            self.drive_matrix(0, 1, &word);
            self.tick()?;
            self.state.vmem_mut()[0] = value;
            self.m.set_u64(self.p.mw_valid, 0);
            let instr =
                Instr { op: Op::ARGMAX as u8, flags: FLAG_FIRST, n: 1, aux: index, ..Default::default() };
            let run = self.run(&instr, 0)?;
            assert_eq!(run.fault, None);
        }
        for word in 0..self.cfg.vmem / v {
            let (have, want) = (&self.state.vmem()[word * v..][..v], &target.vmem()[word * v..][..v]);
            if have != want {
                let want = want.to_vec();
                self.state.vmem_mut()[word * v..][..v].copy_from_slice(&want);
                self.drive_matrix(word, u64::MAX >> (64 - v), &want);
                self.tick()?;
            }
        }
        self.m.set_u64(self.p.mw_valid, 0);
        for i in 0..self.cfg.scalars {
            let s = target.scalars()[i];
            if s != self.state.scalars()[i] {
                let (p, m) = (&self.p, &mut self.m);
                m.set_u64(p.ts_valid, 1);
                m.set_u64(p.ts_addr, i as u64);
                m.set_u64(p.ts_f0, u64::from(s.scale) | u64::from(s.base as u16) << 16);
                m.set_u64(p.ts_f1, u64::from(s.r) | u64::from(s.k) << 16);
                m.set_u64(p.ts_f2, s.q_sum as u16 as u64);
                m.set_u64(p.ts_f3, u64::from(s.sum_r) | u64::from(s.sum_k) << 16);
                self.tick()?;
                self.state.scalars_mut()[i] = s;
            }
        }
        self.m.set_u64(self.p.ts_valid, 0);
        self.score = target.score().to_vec();
        for (i, &c) in target.constants().iter().enumerate() {
            self.m.words_mut(self.p.consts, 0)[i] = c;
        }
        Ok(())
    }

    /// Runs the instruction of a case on the inputs of the case.
    pub fn run_case(&mut self, case: &Case) -> Outcome<Run> {
        self.sync(&case.state)?;
        self.limits = case.limits;
        self.image = case.image.clone();
        self.last_pc = self.rng.range(0, 65535) as u32;
        self.run(&case.instr, self.last_pc)
    }

    /// Begins a case and leaves it alone after some cycles.
    pub fn run_some(&mut self, case: &Case, cycles: u64) -> Outcome {
        self.sync(&case.state)?;
        self.limits = case.limits;
        self.image = case.image.clone();
        self.start(&case.instr, 0);
        for i in 0..cycles {
            self.tick()?;
            // Taken in the first cycle.
            if i == 0 {
                self.m.set_u64(self.p.start_valid, 0);
            }
        }
        Ok(())
    }

    /// Offers an instruction.
    fn start(&mut self, i: &Instr, pc: u32) {
        let (p, m) = (&self.p, &mut self.m);
        m.set_u64(p.write_low, self.limits.write_low.into());
        m.set_u64(p.write_high, self.limits.write_high.into());
        let op = u32::from(i.flags) | u32::from(i.op) << 8 | pc << 16;
        let x = u32::from(i.x) | u32::from(i.sh) << 8 | u32::from(i.k) << 16;
        let token = u32::from(i.m) + std::mem::take(&mut self.offset_m);
        let words = [i.aux, x, token, i.n.into(), i.c, i.b, i.a, op, self.seq];
        m.words_mut(p.uop, 0).copy_from_slice(&words);
        m.set_u64(p.start_valid, 1);
    }

    /// Runs one instruction to `done` or a fault; the state follows what the design wrote.
    pub fn run(&mut self, i: &Instr, pc: u32) -> Outcome<Run> {
        self.start(i, pc);
        self.writes.clear();
        let start = self.cycle;
        self.spent = std::time::Duration::ZERO;
        let mut started = false;
        let fault = loop {
            if !started {
                self.m.fall()?;
                started = self.m.get_u64(self.p.start_ready) != 0;
            }
            self.tick()?;
            let (p, m) = (&self.p, &mut self.m);
            if started {
                m.set_u64(p.start_valid, 0);
            }
            if m.get_u64(p.fault_valid) != 0 {
                let get = |port| m.get_u64(port) as u32;
                break Some(Reported {
                    code: get(p.fault_code),
                    pc: get(p.fault_pc),
                    info: get(p.fault_info),
                });
            }
            if m.get_u64(p.done) != 0 {
                assert_eq!(m.get_u64(p.seq), self.seq.into());
                break None;
            }
            if self.cycle - start > PATIENCE {
                return Err(format!("{i:?} does not end").into());
            }
        };
        let cycles = self.cycle - start;
        if fault.is_none() {
            assert!(
                self.slaves.iter().all(|s| s.responses.is_empty() && !s.offered),
                "done before the writes are"
            );
            assert!(self.aux_open.is_empty(), "done before the auxiliary writes are");
            assert_eq!(self.reading.1, 0, "beats left");
        }
        self.seq += 1;
        let mut writes = self.writes.clone();
        writes.sort_unstable();
        Ok(Run { writes, fault, cycles, seconds: self.spent.as_secs_f64() })
    }

    /// Runs instructions on the inputs of a case, each offered while the one before still runs: what
    /// they write, and their cycles.
    pub fn run_all(&mut self, case: &Case, all: &[Instr]) -> Outcome<(Vec<Write>, u64)> {
        self.sync(&case.state)?;
        self.limits = case.limits;
        self.image = case.image.clone();
        self.writes.clear();
        let (first, start) = (self.seq, self.cycle);
        let (mut taken, mut done) = (0, 0);
        while done < all.len() {
            if let Some(i) = all.get(taken) {
                self.start(i, taken as u32);
            }
            self.m.fall()?;
            let takes = taken < all.len() && self.m.get_u64(self.p.start_ready) != 0;
            self.tick()?;
            let (p, m) = (&self.p, &mut self.m);
            m.set_u64(p.start_valid, 0);
            assert_eq!(m.get_u64(p.fault_valid), 0, "{all:?}");
            taken += usize::from(takes);
            if m.get_u64(p.done) != 0 {
                assert_eq!(m.get_u64(p.seq), u64::from(first) + done as u64);
                done += 1;
            }
            self.seq = first + taken as u32;
            if self.cycle - start > PATIENCE {
                return Err(format!("{all:?} do not end").into());
            }
        }
        let mut writes = self.writes.clone();
        writes.sort_unstable();
        Ok((writes, self.cycle - start))
    }

    /// `clear`, and until all traffic has ended.
    pub fn clear(&mut self) -> Outcome {
        self.m.set_u64(self.p.start_valid, 0);
        self.m.set_u64(self.p.clear, 1);
        self.tick()?;
        self.m.set_u64(self.p.clear, 0);
        self.reading = (0, 0);
        for _ in 0..300 {
            self.tick()?;
        }
        assert!(self.slaves.iter().all(|s| s.responses.is_empty() && !s.offered));
        assert_eq!(self.m.get_u64(self.p.busy), 0);
        assert_eq!(self.m.get_u64(self.p.fault_valid), 0);
        Ok(())
    }

    /// The matrix unit writes the vector memory.
    fn contend(&mut self) {
        // Sometimes an empty write, sometimes one to a word that nothing else uses.
        let word = self.cfg.vmem / self.cfg.vec - 1;
        let v = self.cfg.vec;
        let mask = if self.rng.percent(50) { 0 } else { self.rng.next_u64() & (u64::MAX >> (64 - v)) };
        let data: Vec<i32> = (0..v).map(|_| self.rng.next_u64() as i32).collect();
        self.drive_matrix(word, mask, &data);
        let at = word * v;
        let vmem = self.state.vmem_mut();
        data.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).for_each(|(i, &d)| vmem[at + i] = d);
    }

    /// One clock cycle of everything.
    pub fn tick(&mut self) -> Outcome {
        let busy = self.m.get_u64(self.p.busy) != 0;
        let contended = busy && self.rng.percent(self.pace.contention);
        if busy {
            if contended {
                self.contend();
            } else {
                self.m.set_u64(self.p.mw_valid, 0);
            }
        }
        let asks = self.go();
        let mut ready =
            Ready { reads: self.reading.1 > 0 && self.go(), writes: self.go(), ..Ready::default() };
        ready.asks = asks && self.reading.1 == 0;
        let channels: Vec<(bool, bool, bool)> =
            (0..self.cfg.channels).map(|_| (self.go(), self.go(), self.go())).collect();
        let now = self.cycle;
        let broken = self.broken;
        let (p, m) = (&self.p, &mut self.m);
        m.set_u64(p.rq_ready, ready.asks.into());
        m.set_u64(p.rd_valid, ready.reads.into());
        if ready.reads {
            let beat = self.image.read_beat(MemoryPort::Aux, self.reading.0)?;
            for (w, b) in m.words_mut(p.rd_data, 0).iter_mut().zip(beat.chunks_exact(4)) {
                *w = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            }
        }
        m.set_u64(p.wq_ready, ready.writes.into());
        m.set_u64(p.w_idle, self.aux_open.is_empty().into());
        for (c, (s, go)) in self.slaves.iter_mut().zip(&channels).enumerate() {
            ready.addresses |= u64::from(go.0) << c;
            ready.data |= u64::from(go.1) << c;
            s.offered = s.offered || (go.2 && s.responses.front().is_some_and(|&t| t <= now));
            ready.responses |= u64::from(s.offered) << c;
            m.set_u64_at(p.bresp, c, if broken == Some(c) { 2 } else { 0 });
        }
        m.set_u64(p.awready, ready.addresses);
        m.set_u64(p.wready, ready.data);
        m.set_u64(p.bvalid, ready.responses);
        let start = std::time::Instant::now();
        m.fall()?;
        self.spent += start.elapsed();
        self.observe(&ready)?;
        let start = std::time::Instant::now();
        self.m.rise()?;
        self.spent += start.elapsed();
        self.answer_score();
        self.cycle += 1;
        Ok(())
    }

    fn answer_score(&mut self) {
        let lanes = self.cfg.lanes;
        for (asked, data) in self.score_asked.iter_mut().zip([self.p.sb_r_data, self.p.sb_s_data]) {
            let Some((lane, at)) = asked.take() else { continue };
            for (i, w) in self.m.words_mut(data, 0).iter_mut().enumerate() {
                *w = self.score[(at + i) * lanes + lane] as u32;
            }
        }
    }

    /// `q_sum` as the matrix unit reads it.
    pub fn matrix_q_sum(&mut self, at: usize) -> Outcome<i16> {
        self.m.set_u64(self.p.m_addr, at as u64);
        self.tick()?;
        Ok(self.m.get_u64(self.p.m_q_sum) as u16 as i16)
    }
}
