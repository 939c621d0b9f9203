//! The timing model against the RTL: random programs of one operation.
//!
//! `TIMING_CONFIG=u280 TIMING_MEMORY=hbm2 TIMING_OP=MATW TIMING_COUNT=50 cargo test -p accllm-sim --test timing -- --ignored
//! --nocapture measure` prints the error of every probe; `smallN` is the random small configuration N.

use accllm_hw::config::{Config, find, random};
use accllm_hw::isa::Op;
use accllm_sim::engine::{Engine, EngineSpec, Silent};
use accllm_sim::golden::Limits;
use accllm_sim::memory::{MemoryKind, Store};
use accllm_sim::timing::probe::{BEATS, WRITABLE, operations, probe};
use accllm_sim::timing::{Memories, Timing};
use accllm_sim::verilate::OptLevel;
use std::error::Error;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn engine(config: &Config, kind: MemoryKind) -> Outcome<Engine> {
    let memory = |p: usize| -> Outcome<_> {
        Ok(kind.model(Store::new(u64::from(BEATS) * 64)?, p as u64, p == config.channels, config.mhz)?)
    };
    let memories = (0..=config.channels).map(memory).collect::<Outcome<_>>()?;
    let opt = if find(&config.name).is_ok() { OptLevel::Fast } else { OptLevel::Quick };
    let mut engine = EngineSpec::new(config).opt(opt).build(memories)?;
    engine.set_limits(&Limits {
        channel_limit: BEATS,
        write_low: WRITABLE,
        write_high: BEATS,
        aux_limit: BEATS,
        aux_write_low: WRITABLE,
        aux_write_high: BEATS,
        work: u64::MAX,
    })?;
    Ok(engine)
}

/// Cycles of a run.
#[derive(Debug, Clone, Copy)]
struct Cycles {
    rtl: u64,
    model: u64,
}

impl Cycles {
    fn error(self) -> i64 {
        self.model as i64 - self.rtl as i64
    }
}

/// Runs a probe twice, with and without loading the program.
fn run(engine: &mut Engine, kind: MemoryKind, op: Op, seed: u64, verbose: bool) -> Outcome<[Cycles; 2]> {
    let config = *engine.config();
    let mut memories = Memories::of(kind, &config)?;
    let p = probe(op, &config, seed);
    engine.load_program(0, &p.code)?;
    let mut out = [Cycles { rtl: 0, model: 0 }; 2];
    for (load, out) in [true, false].into_iter().zip(&mut out) {
        let rtl = engine.run([0; 15], 10_000_000, &mut Silent)?;
        if let Some(fault) = rtl.fault() {
            return Err(format!("{op:?}, seed {seed}: {fault}; {:?}", p.code).into());
        }
        memories.age = engine.began();
        let timing = Timing::new(&config, &memories);
        let model = if load { timing.loading(0) } else { timing }.run(&p.code, [0; 15])?;
        *out = Cycles { rtl: rtl.cycles, model: model.cycles() };
        if verbose && !load {
            let at = p.code.iter().position(|i| i.op == op as u8).unwrap_or(0);
            let consts: Vec<_> = p.code[..9].iter().map(|i| i.a).collect();
            println!(
                "{op:?} {seed}: {out:?} ({:+}) rounds {} {:?} {consts:?}",
                out.error(),
                p.code[at - 1].n,
                p.code[at]
            );
            println!("   {:?}\n   {:?}", rtl.counters, model.counters);
        }
    }
    Ok(out)
}

/// The errors of `count` probes of each operation: in all, and the worst in cycles.
fn errors(config: &Config, kind: MemoryKind, op: Op, count: u64) -> Outcome<(f64, i64)> {
    let mut engine = engine(config, kind)?;
    let verbose = std::env::var("TIMING_VERBOSE").is_ok();
    let (mut worst, mut sum, mut all) = (0, 0, Vec::new());
    let mut rtl = 0;
    for seed in 0..count {
        let [_, c] = run(&mut engine, kind, op, seed, verbose)?;
        sum += c.error();
        rtl += c.rtl;
        all.push(c.error());
        if c.error().abs() > i64::abs(worst) {
            worst = c.error();
        }
    }
    let relative = sum as f64 / rtl as f64;
    println!("{}, {}, {op:?}: {:+.3}%, {all:?}", config.name, kind.name(), 100.0 * relative);
    Ok((relative, worst))
}

/// Every formula against the RTL.
#[test]
fn operations_take_the_cycles_of_the_rtl() -> Outcome {
    let config = find("tiny")?;
    for op in operations() {
        let (relative, worst) = errors(config, MemoryKind::Ideal, op, 4)?;
        assert!(relative.abs() < 0.01 && worst.abs() < 50, "{op:?}: {relative}, {worst} cycles");
    }
    Ok(())
}

#[test]
#[ignore = "a measurement, not a check"]
fn measure() -> Outcome {
    let variable = |name: &str| std::env::var(name).ok();
    let name = variable("TIMING_CONFIG").unwrap_or("tiny".into());
    let config = match name.strip_prefix("small") {
        Some(seed) => random::small(seed.parse()?),
        None => *find(&name)?,
    };
    println!("{config:?}");
    let kind = if variable("TIMING_MEMORY").as_deref() == Some("hbm2") {
        MemoryKind::HBM2
    } else {
        MemoryKind::Ideal
    };
    let count = variable("TIMING_COUNT").map_or(Ok(20), |c| c.parse())?;
    let only = variable("TIMING_OP");
    for op in operations() {
        if only.as_ref().is_none_or(|o| *o == format!("{op:?}")) {
            errors(&config, kind, op, count)?;
        }
    }
    Ok(())
}
