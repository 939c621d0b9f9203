//! The whole core through the engine, against the golden executor: a small layer, every class of fault, waves.

use accllm_hw::beat::WeightFormat;
use accllm_hw::config::{Config, find};
use accllm_hw::isa::{ARGS, FLAG_FIRST, FLAG_I32, Instr, Op, Unit};
use accllm_sim::engine::{Engine, EngineDesign, EngineError, EngineSpec, Observer, RunReport, Silent};
use accllm_sim::golden::testgen::Weights;
use accllm_sim::golden::{Executed, Golden, Image, Limits, Memory, Port, Program};
use accllm_sim::lockstep::{Lockstep, Nowhere};
use accllm_sim::memory::{Channel, Fault, Ideal, MemoryModel, POISON, Rng, StallConfig, Stalling, Store};
use accllm_sim::verilate::OptLevel;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::{Mutex, OnceLock};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Where the program lies in auxiliary memory, beats.
pub const PROGRAM: u32 = 4096;
const AUX: u32 = 8192;
const CHANNEL: u32 = 4096;
/// The writable part of channels and of auxiliary memory.
const KV: u32 = 2048;
const OUT: u32 = 6000;

/// Byte address of a port's memory; the auxiliary one's is the last.
fn base(port: usize) -> u64 {
    [0x1000, 0x40, 0x8_0c0][port % 3]
}

pub fn config() -> Outcome<&'static Config> {
    Ok(find("tiny")?)
}

/// The built design of a configuration; the library is loaded once.
fn design(config: &Config) -> Outcome<EngineDesign> {
    static DESIGNS: OnceLock<Mutex<HashMap<Config, EngineDesign>>> = OnceLock::new();
    let mut designs = DESIGNS.get_or_init(Mutex::default).lock().map_err(|_| "poisoned")?;
    if !designs.contains_key(config) {
        // A random one runs shortly, so it is built quickly.
        let opt = if find(&config.name).is_ok() { OptLevel::Fast } else { OptLevel::Quick };
        designs.insert(*config, EngineSpec::new(config).opt(opt).design()?);
    }
    Ok(designs[config].clone())
}

fn port(config: &Config, i: usize) -> Port {
    if i == config.channels { Port::Aux } else { Port::Channel(i) }
}

pub fn limits() -> Limits {
    Limits {
        channel_limit: CHANNEL,
        write_low: KV,
        write_high: CHANNEL,
        aux_limit: AUX,
        aux_write_low: OUT,
        aux_write_high: AUX,
        work: u64::MAX,
    }
}

fn memory(seed: u64) -> Outcome<Box<dyn MemoryModel>> {
    let store = Store::new(1 << 20)?;
    Ok(match seed {
        0 => Box::new(Ideal::new(store, 40)),
        _ => Box::new(Stalling::new(store, StallConfig::new(seed))?),
    })
}

/// Fills the memories with an image and sets the map.
pub fn prepare(engine: &mut Engine, image: &Image) -> Outcome {
    let config = *engine.config();
    for i in 0..=config.channels {
        image.copy_to(port(&config, i), engine.memory_mut(i).store_mut(), base(i))?;
    }
    let bases: Vec<u64> = (0..config.channels).map(base).collect();
    engine.set_bases(&bases, base(config.channels))?;
    engine.set_limits(&limits())?;
    Ok(engine.set_watchdog(3000)?)
}

/// Ideal memories for seed 0, else ones that stall.
pub fn memories(config: &Config, seed: u64) -> Outcome<Vec<Box<dyn MemoryModel>>> {
    (0..=config.channels as u64).map(|i| memory(seed * (i + 1))).collect()
}

pub fn engine(config: &Config, image: &Image, seed: u64) -> Outcome<Engine> {
    let mut engine = design(config)?.engine(memories(config, seed)?)?;
    prepare(&mut engine, image)?;
    Ok(engine)
}

/// Puts semaphores between operations wherever the unit changes, and holds the prefetcher back where K or V are read.
#[derive(Default)]
struct Asm(Vec<Instr>);

impl Asm {
    fn op(&mut self, op: Op, i: Instr) -> &mut Self {
        let mut i = Instr { op: op as u8, ..i };
        let unit = op.info().unit;
        let last = self
            .0
            .iter_mut()
            .rev()
            .find(|p| Op::from_code(p.op).is_some_and(|o| o.info().unit != Unit::Control));
        if let (Some(p), true) = (last, unit != Unit::Control) {
            let before = Op::from_code(p.op).map(|o| o.info().unit);
            if before != Some(unit) {
                let s = if unit == Unit::Matrix { 1 } else { 2 };
                p.signal[0] = s;
                i.wait[0] = s;
                if matches!(op, Op::MATK | Op::MATV) {
                    p.signal[1] = 3;
                    i.prefetch_wait = 3;
                }
            }
        }
        self.0.push(i);
        self
    }

    fn setc(&mut self, values: &[u32]) {
        for (x, &a) in values.iter().enumerate() {
            self.op(Op::SETC, Instr { a, x: x as u8, ..Default::default() });
        }
    }
}

/// Addresses of the layer in vector memory.
mod at {
    pub const X: u32 = 0;
    pub const G: u32 = 256;
    pub const Q: u32 = 512;
    pub const K: u32 = 768;
    pub const V: u32 = 896;
    pub const TURN: u32 = 1024;
    pub const ATT: u32 = 1280;
    pub const O: u32 = 1536;
    pub const GATE: u32 = 2048;
    pub const UP: u32 = 2304;
    pub const DOWN: u32 = 2560;
    pub const IDS: u32 = 3072;
    pub const LOGITS: u32 = 3200;
}

/// The KV cache of one head of 64 with a window ring of 64 slots.
struct Cache {
    sink_pad: u32,
    sink_steps: u32,
    window_steps: u32,
    v_dim: u32,
    v_steps: u32,
}

impl Cache {
    const RING: u32 = 64;

    fn new(config: &Config) -> Self {
        let sink_pad = config.slot_block(64) as u32;
        let slots = (config.channels * config.tokens_per_beat(64)) as u32;
        let v_dim = config.v_dim(64) as u32;
        let v_steps = v_dim / (4 * config.channels as u32);
        Self { sink_pad, sink_steps: sink_pad / slots, window_steps: Self::RING / slots, v_dim, v_steps }
    }

    /// Beats of the sink region: a parameter beat in front of 8 beats of two tokens.
    fn sink_beats(&self) -> u32 {
        self.sink_steps.div_ceil(8) * 9
    }

    fn k_beats(&self) -> u32 {
        self.sink_beats() + self.window_steps.div_ceil(8) * 9
    }

    fn blocks(&self) -> u32 {
        (self.sink_pad + Self::RING) / 32
    }

    fn v_beats(&self) -> u32 {
        self.blocks() * self.v_steps
    }

    /// SETC 0..8.
    fn constants(&self) -> [u32; 9] {
        let row = self.sink_pad + Self::RING;
        [64, 4, 40, Self::RING, self.sink_pad, 2, row, self.sink_beats(), self.v_dim]
    }
}

/// A layer's program in the making.
struct Layer {
    p: Asm,
    weights: BTreeMap<&'static str, Instr>,
    kv: Cache,
    /// First beats of K and V.
    kc: u32,
    vc: u32,
}

impl Layer {
    /// MATW of a weight: input at the word `b`, output at `c`.
    fn matw(&mut self, name: &str, b: u32, c: u32) {
        self.p.op(Op::MATW, Instr { b, c, ..self.weights[name] });
    }

    fn norm(&mut self, sh: u8) {
        let i = Instr::default;
        self.p.op(Op::SUMSQ, Instr { a: at::X, n: 96, c: 0, aux: 1, ..i() });
        self.p.op(Op::NORMQ, Instr { a: at::X, b: at::G, n: 96, sh, x: 1, ..i() });
    }

    /// Q, K and V, rotated, for a vector word of `vec` elements.
    fn project(&mut self, vec: usize) {
        let i = Instr::default;
        self.norm(24);
        self.matw("q", 0, at::Q);
        self.matw("k", 0, at::K);
        self.matw("v", 0, at::V);
        for (a, n) in [(at::Q, 2u16), (at::K, 1)] {
            self.p.op(Op::ROPE, Instr { a, b: at::TURN, c: a, n, ..i() });
            self.p.op(Op::HADW, Instr { a, c: a, n: 64 * n, ..i() });
            for k in [8, 16, 32].into_iter().filter(|&k| usize::from(k) >= vec.min(32)) {
                let (sh, flags) = if k == 32 { (3, 1) } else { (0, 0) };
                self.p.op(Op::HADX, Instr { a, c: a, n: 64 * n, k, sh, flags, ..i() });
            }
        }
    }

    /// The new token into the cache, and attention.
    fn attend(&mut self) {
        let i = Instr::default;
        let pos = |i: Instr| Instr { regs: [0, 2, 0, 0, 1], ..i };
        self.p.op(Op::STATK, Instr { a: at::K, c: 8, n: 1, ..i() });
        self.p.op(
            Op::QK,
            pos(Instr { a: at::K, c: self.kc, n: 1, k: self.kv.k_beats() as u16, aux: 8, ..i() }),
        );
        self.p.op(
            Op::QV,
            pos(Instr {
                a: at::V,
                c: self.vc,
                n: 1,
                k: self.kv.v_beats() as u16,
                sh: 9,
                aux: self.kv.blocks(),
                ..i()
            }),
        );
        self.p.op(Op::STATQ, Instr { a: at::Q, c: 16, n: 2, k: 2, ..i() });
        self.p.op(Op::QQ, Instr { a: at::Q, b: 16, c: 8, n: 2, k: 2, x: 1, ..i() });
        self.p.op(
            Op::MATK,
            Instr { a: self.kc, b: 8, c: 0, n: self.kv.sink_steps as u16, m: 2, aux: 16, ..i() },
        );
        self.p.op(
            Op::MATK,
            Instr {
                a: self.kc + self.kv.sink_beats(),
                b: 8,
                c: self.kv.sink_pad,
                n: self.kv.window_steps as u16,
                m: 2,
                aux: 16,
                ..i()
            },
        );
        let aux = 16 << 16 | 16;
        self.p
            .op(Op::SOFTMAX, Instr { c: 32, n: 64, k: 900, sh: 22, x: 1, aux, regs: [1, 2, 0, 0, 0], ..i() });
        let (n, sh) = (self.kv.blocks() as u16, self.kv.v_steps as u8);
        self.p.op(
            Op::MATV,
            Instr { a: self.vc, b: 32, c: at::ATT, n, m: 2, k: n, sh, x: 1, aux: self.kv.v_dim, ..i() },
        );
        self.p.op(Op::ATTQ, Instr { a: at::ATT, b: 16, c: 48, n: 64, k: 300, sh: 14, x: 1, ..i() });
        self.matw("o", 48, at::O);
        self.p.op(Op::RADD, Instr { a: at::X, b: at::O, c: at::X, n: 96, ..i() });
    }

    /// Feed-forward, final norm and head.
    fn finish(&mut self) {
        let i = Instr::default;
        self.norm(23);
        self.matw("gate", 0, at::GATE);
        self.matw("up", 0, at::UP);
        self.p.op(Op::SILU, Instr { a: at::GATE, b: at::UP, c: 60, n: 160, sh: 12, x: 1, ..i() });
        self.matw("down", 60, at::DOWN);
        self.p.op(Op::RADD, Instr { a: at::X, b: at::DOWN, c: at::X, n: 96, ..i() });
        self.norm(24);
        self.matw("head", 0, at::LOGITS);
        self.p.op(Op::ARGMAX, Instr { a: at::LOGITS, n: 64, flags: FLAG_FIRST, ..i() });
        self.p.op(Op::STORE, Instr { a: at::LOGITS, c: OUT, n: 64, regs: [0, 0, 4, 0, 0], ..i() });
    }
}

/// Random weights in the image, and the operands of their instructions.
fn weights(config: &Config, rng: &mut Rng, image: &mut Image) -> Outcome<BTreeMap<&'static str, Instr>> {
    let mut beat = 0u32;
    let mut weights = BTreeMap::new();
    for (name, format, rows, cols) in [
        ("q", WeightFormat::W2Sparse, 128, 96),
        ("k", WeightFormat::W2Sparse, 64, 96),
        ("v", WeightFormat::W4, 64, 96),
        ("o", WeightFormat::W4, 96, 128),
        ("gate", WeightFormat::W2Dense, 160, 96),
        ("up", WeightFormat::W2Sparse, 160, 96),
        ("down", WeightFormat::W4, 96, 160),
        ("head", WeightFormat::W4, 64, 96),
    ] {
        let w = Weights::random(rng, format, rows, cols);
        let streams = w.streams(config);
        for (c, beats) in streams.iter().enumerate() {
            image.put(Port::Channel(c), beat.into(), beats)?;
        }
        let (n, k) = (w.steps(config) as u16, w.beats_per_row() as u16);
        weights.insert(name, Instr { a: beat, n, k, x: 1, m: 1, flags: format.code(), ..Default::default() });
        beat += streams[0].len() as u32;
    }
    assert!(beat < KV);
    Ok(weights)
}

/// One layer of 96 elements, 2 query heads and 1 KV head of 64, 160 hidden elements, a head of 64 rows; and its image.
/// Register 1 is the position, 2 the ring pointer, 3 the number of tokens, 4 the beat for the logits.
pub fn layer(config: &Config, seed: u64) -> Outcome<(Vec<Instr>, Image)> {
    let mut rng = Rng::new(seed);
    let mut image = Image::with_fill(config.channels, POISON);
    let weights = weights(config, &mut rng, &mut image)?;
    let mut bytes = |n: usize, mask: u8| -> Vec<u8> { (0..n).map(|_| rng.next_u64() as u8 & mask).collect() };
    image.put_bytes(Port::Aux, 0, &bytes(6 * 64, 0xff))?; // norm constants and turns
    image.put_bytes(Port::Aux, 64, &bytes(3 * 64 * 32, 0xff))?; // embedding of 32 tokens
    let ids: Vec<u8> = (0..64u32).flat_map(|i| ((i * 7 + seed as u32) % 32).to_le_bytes()).collect();
    image.put_bytes(Port::Aux, 40, &ids)?;
    // The K and V areas are never blank when a model is set up.
    for c in 0..config.channels {
        image.put_bytes(Port::Channel(c), KV.into(), &vec![0; 64 * 51])?;
    }

    let i = Instr::default;
    let kv = Cache::new(config);
    let mut layer = Layer { p: Asm::default(), weights, kc: KV, vc: KV + kv.k_beats(), kv };
    let p = &mut layer.p;
    p.setc(&layer.kv.constants());
    p.op(Op::LOAD, Instr { a: 0, c: at::G, n: 96, ..i() });
    p.op(Op::LOAD, Instr { a: 3, c: at::TURN, n: 64, ..i() });
    p.op(Op::LOAD, Instr { a: 40, c: at::IDS, n: 64, flags: FLAG_I32, ..i() });
    let open = p.0.len();
    p.op(Op::LOOP, Instr { regs: [0, 0, 0, 3, 0], ..i() });
    p.op(
        Op::EMBED,
        Instr { a: 64, b: at::IDS, c: at::X, n: 96, k: 3, sh: 6, aux: 32, regs: [0, 1, 0, 0, 0], ..i() },
    );
    layer.project(config.vec);
    layer.attend();
    layer.finish();
    let p = &mut layer.p;
    for (x, b) in [(1, 1), (2, 1), (4, 4)] {
        p.op(Op::ADD, Instr { b, x, regs: [x, 0, 0, 0, 0], ..i() });
    }
    p.op(Op::ENDLOOP, i());
    p.0[open].a = p.0.len() as u32;
    p.op(Op::END, i());
    Ok((layer.p.0, image))
}

/// Runs both sides and compares every write and the memories; returns the report.
fn compare(
    engine: &mut Engine,
    golden: &mut Golden,
    image: &mut Image,
    p: &[Instr],
    args: [u32; ARGS],
) -> Outcome<RunReport> {
    engine.load_program(PROGRAM, p)?;
    let mut records: Vec<Executed> = Vec::new();
    let summary = golden.run(&Program::from_instrs(p), args, image, &mut records)?;
    let mut lockstep = Lockstep::new();
    records.into_iter().for_each(|r| lockstep.expect(r));
    let report = engine.run(args, 3_000_000, &mut lockstep)?;
    assert_eq!(report.fault(), None);
    let compared = lockstep.finish();
    if let Some(d) = compared.difference {
        return Err(d.message(&Nowhere).into());
    }
    assert_eq!(compared.tensors, summary.matrix + summary.vector);
    let c = report.counters;
    assert_eq!(c.instructions, summary.instructions);
    assert_eq!((c.mat_done, c.vec_done), (summary.matrix, summary.vector));
    assert_eq!((report.result_index, report.result_value), golden.state.result());
    assert_eq!(engine.violations(), Vec::<String>::new());
    let config = *engine.config();
    for i in 0..=config.channels {
        let port = port(&config, i);
        let beats = if port == Port::Aux { OUT..OUT + 64 } else { KV..KV + 64 };
        for beat in beats {
            let mut have = [0; 64];
            engine.memory(i).store().read(base(i) + 64 * u64::from(beat), &mut have)?;
            assert_eq!(have, image.read_beat(port, beat.into())?, "{port}, beat {beat}");
        }
    }
    Ok(report)
}

fn args(position: u32, ring: u32, tokens: u32, out: u32) -> [u32; ARGS] {
    let mut a = [0; ARGS];
    a[..4].copy_from_slice(&[position, ring, tokens, out]);
    a
}

pub fn layer_on(config: &Config, seeds: std::ops::Range<u64>) -> Outcome {
    for seed in seeds {
        let (program, mut image) = layer(config, seed)?;
        let mut engine = engine(config, &image, seed)?;
        let mut golden = Golden::with_limits(config, limits());
        for a in [args(0, 60, 3, 0), args(3, 63, 1, 12), args(4, 0, 5, 16)] {
            let r = compare(&mut engine, &mut golden, &mut image, &program, a)?;
            let c = r.counters;
            assert!(c.beats_read > 100 && c.beats_written > 10 && c.mat_busy > 10, "{c:?}");
        }
    }
    Ok(())
}

#[test]
fn a_layer_is_the_golden_executors() -> Outcome {
    layer_on(config()?, 0..4)
}

#[test]
fn a_layer_is_the_golden_executors_on_edge() -> Outcome {
    layer_on(find("edge")?, 0..2)
}

#[test]
fn a_layer_is_the_golden_executors_on_u280() -> Outcome {
    layer_on(find("u280")?, 0..2)
}

fn op(op: Op) -> Instr {
    Instr { op: op as u8, ..Default::default() }
}

/// A program of three operations; the second one (instruction 10) is the one that faults.
fn around(config: &Config, i: Instr) -> Vec<Instr> {
    let mut p = Asm::default();
    let kv = Cache::new(config);
    p.setc(&kv.constants());
    p.0.extend([Instr { c: 64, n: 32, ..op(Op::LOAD) }, i, op(Op::FENCE), op(Op::END)]);
    p.0
}

/// Name, instruction, fault of a memory, STATUS, FAULT_INFO.
type FaultCase = (&'static str, Instr, Option<(usize, Fault)>, u32, Option<u32>);

fn fault_cases() -> Vec<FaultCase> {
    let matw = |a: u32| Instr { a, n: 40, m: 1, k: 1, x: 1, c: 512, ..op(Op::MATW) };
    let store = |c: u32| Instr { c, n: 64, ..op(Op::STORE) };
    let qk = |c: u32| Instr { c, n: 1, m: 2, k: 27, ..op(Op::QK) };
    let qv = |c: u32| Instr { c, n: 1, m: 2, k: 24, aux: 3, ..op(Op::QV) };
    let error = |port: usize, from: u32, to: u32| {
        let at = |beat: u32| base(port) + 64 * u64::from(beat);
        Some((port, Fault::SlaveError(at(from)..at(to))))
    };
    let hang = |port: usize, channel: Channel| Some((port, Fault::Hang { channel, from_cycle: 0 }));
    vec![
        ("out-of-map read", matw(CHANNEL - 10), None, 3, Some(CHANNEL - 10)),
        ("far out-of-map read", matw(u32::MAX), None, 3, Some(u32::MAX)),
        ("out-of-map K write", qk(KV - 27), None, 4, None),
        ("out-of-map V write", qv(CHANNEL), None, 4, None),
        ("auxiliary read", Instr { a: AUX, c: 64, n: 32, ..op(Op::LOAD) }, None, 5, None),
        ("auxiliary write", store(OUT - 1), None, 5, Some(OUT - 1)),
        ("auxiliary write above", store(AUX - 3), None, 5, Some(AUX)),
        ("token", Instr { a: 64, b: 64, c: 0, n: 32, k: 3, ..op(Op::EMBED) }, None, 5, None),
        ("vector memory", Instr { a: 65536 - 32, c: 0, n: 64, ..op(Op::HADW) }, None, 6, None),
        ("matrix output", Instr { c: 65536 - 16, ..matw(0) }, None, 6, None),
        ("channel 0 error", matw(0), error(0, 20, 21), 7, Some(0)),
        ("channel 1 error", matw(0), error(1, 41, 42), 7, Some(1)),
        ("channel 1 write error", qv(KV), error(1, KV, KV + 200), 8, Some(1)),
        (
            "auxiliary read error",
            Instr { a: 100, c: 64, n: 512, ..op(Op::LOAD) },
            error(2, 110, 111),
            9,
            None,
        ),
        ("auxiliary write error", store(OUT), error(2, OUT, OUT + 1), 9, None),
        ("dead channel AR", matw(0), hang(0, Channel::Ar), 10, None),
        ("dead channel R", matw(0), hang(1, Channel::R), 10, None),
        ("dead channel AW", qv(KV), hang(1, Channel::Aw), 10, None),
        ("dead channel W", qv(KV), hang(0, Channel::W), 10, None),
        ("dead channel B", qk(KV), hang(1, Channel::B), 10, None),
        ("dead auxiliary B", store(OUT), hang(2, Channel::B), 10, None),
        ("semaphore", Instr { wait: [5, 0], ..matw(0) }, None, 10, None),
    ]
}

/// Nothing outside the writable ranges has changed.
fn unchanged(e: &Engine, config: &Config, image: &Image, name: &str) -> Outcome {
    for i in 0..=config.channels {
        let which = port(config, i);
        let low = if which == Port::Aux { PROGRAM } else { KV };
        for (beat, want) in image.written(which).filter(|b| b.0 < low.into()) {
            let mut have = [0; 64];
            e.memory(i).store().read(base(i) + 64 * beat, &mut have)?;
            assert_eq!(have, *want, "{name}: {which} beat {beat}");
        }
    }
    Ok(())
}

/// An engine whose memory has the fault. The first run does not reach it: it is there after the program has been loaded.
fn faulty(config: &Config, image: &Image, seed: u64, fault: Option<&(usize, Fault)>) -> Outcome<Engine> {
    let mut e = engine(config, image, seed)?;
    if let Some((port, fault)) = fault {
        e.load_program(PROGRAM, &around(config, op(Op::LOAD)))?;
        assert!(e.run(args(0, 0, 0, 0), 10_000, &mut Silent)?.ok());
        if !matches!((port, fault), (2, Fault::Hang { channel: Channel::R | Channel::Ar, .. })) {
            e.memory_mut(*port).inject(fault.clone());
        }
    }
    Ok(e)
}

#[test]
fn every_class_of_fault_stops_in_bounded_time_and_a_good_run_follows() -> Outcome {
    let config = config()?;
    for seed in 0..3 {
        let (program, image) = layer(config, seed)?;
        for (name, i, fault, code, info) in &fault_cases() {
            let mut e = faulty(config, &image, seed, fault.as_ref())?;
            e.load_program(PROGRAM, &around(config, *i))?;
            let r = e.run(args(0, 0, 0, 0), 12_000, &mut Silent).map_err(|e| format!("{name}: {e}"))?;
            assert_eq!((r.status, r.fault_pc), (*code, 10), "{name}, seed {seed}: {:?}", r.fault());
            if let Some(info) = info {
                assert_eq!(r.fault_info, *info, "{name}, seed {seed}");
            }
            assert!(
                r.cycles < if *code == 10 { 9_000 } else { 4_000 },
                "{name}, seed {seed}: {} cycles",
                r.cycles
            );
            assert_eq!(e.violations(), Vec::<String>::new(), "{name}");
            unchanged(&e, config, &image, name)?;
            if matches!(fault, Some((_, Fault::Hang { .. } | Fault::SlaveError(_)))) {
                let port = fault.as_ref().map_or(0, |f| f.0);
                e.replace_memory(port, memory(seed)?)?;
            }
            // A good run on the same engine; its memories as at the beginning.
            prepare(&mut e, &image)?;
            let mut golden = Golden::with_limits(config, limits());
            compare(&mut e, &mut golden, &mut image.clone(), &program, args(0, 0, 2, 0))
                .map_err(|e| format!("after {name}: {e}"))?;
        }
    }
    Ok(())
}

#[test]
fn a_run_that_does_not_end_names_what_waits() -> Outcome {
    let config = config()?;
    let (_, image) = layer(config, 0)?;
    let mut e = engine(config, &image, 0)?;
    e.set_watchdog(0)?;
    e.load_program(PROGRAM, &around(config, Instr { wait: [5, 0], ..op(Op::MATW) }))?;
    let error = e.run([0; ARGS], 5_000, &mut Silent).err().ok_or("it ended")?;
    let text = error.to_string();
    assert!(matches!(error, EngineError::Hang { .. }), "{text}");
    assert!(text.contains("instruction 10") && text.contains("semaphore"), "{text}");
    // A reset gets it going again.
    e.reset()?;
    prepare(&mut e, &image)?;
    e.load_program(PROGRAM, &around(config, op(Op::LOAD)))?;
    assert!(e.run([0; ARGS], 5_000, &mut Silent)?.ok());
    Ok(())
}

#[test]
#[ignore = "builds a second model, needs the lz4 and zlib headers"]
fn waves_of_a_run() -> Outcome {
    let config = config()?;
    let (program, image) = layer(config, 0)?;
    let memories = (0..=config.channels).map(|_| memory(0)).collect::<Outcome<_>>()?;
    let mut e = EngineSpec::new(config).opt(OptLevel::Quick).waves(true).build(memories)?;
    prepare(&mut e, &image)?;
    e.load_program(PROGRAM, &program)?;
    let path = std::env::temp_dir().join(format!("accllm-core-{}.fst", std::process::id()));
    e.open_waves(&path)?;
    assert!(e.run(args(0, 0, 1, 0), 100_000, &mut Silent)?.ok());
    e.close_waves()?;
    let size = std::fs::metadata(&path)?.len();
    std::fs::remove_file(&path)?;
    println!("{size} bytes of waves");
    assert!(size > 10_000);
    Ok(())
}

/// Nanoseconds that this thread has computed.
fn cpu_time() -> Outcome<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_whitespace().next().unwrap_or_default().parse()?)
}

/// Prints the simulation speed per second of processor time: `cargo test -p accllm-sim --release --test rtl -- --ignored --nocapture speed`.
#[test]
#[ignore = "a measurement, not a check"]
fn speed_of_the_core() -> Outcome {
    struct Count(u64);
    impl Observer for Count {
        fn event(&mut self, _: u64, e: &accllm_sim::lockstep::Event<'_>) -> std::ops::ControlFlow<()> {
            self.0 += e.data.len() as u64;
            std::ops::ControlFlow::Continue(())
        }
        fn end(&mut self, _: u64, _: Unit, _: u64) -> std::ops::ControlFlow<()> {
            std::ops::ControlFlow::Continue(())
        }
    }
    let config = config()?;
    let (program, image) = layer(config, 1)?;
    for (what, asserts, trace) in
        [("asserts, trace", true, true), ("trace", false, true), ("plain", false, false)]
    {
        let memories = (0..=config.channels).map(|_| memory(0)).collect::<Outcome<_>>()?;
        let mut e = EngineSpec::new(config).asserts(asserts).trace(trace).build(memories)?;
        prepare(&mut e, &image)?;
        e.load_program(PROGRAM, &program)?;
        let mut count = Count(0);
        for observed in [false, true].into_iter().take(1 + usize::from(trace)) {
            let start = cpu_time()?;
            let a = args(0, 0, 60, 0);
            let r =
                if observed { e.run(a, 9_000_000, &mut count)? } else { e.run(a, 9_000_000, &mut Silent)? };
            let rate = r.cycles as f64 / (cpu_time()? - start) * 1e6;
            println!(
                "{what}, observed {observed}: {rate:.0} kcycles/s, {} cycles, {:?}",
                r.cycles,
                r.fault()
            );
            println!("  {:?}", r.counters);
        }
        println!("  {} elements seen", count.0);
    }
    Ok(())
}
