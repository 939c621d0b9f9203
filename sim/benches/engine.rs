//! How fast the simulation of a streaming engine is: matrix operations of one token, one after the other, as in decode.
//!
//!     cargo bench -p accllm-sim --bench engine -- [CONFIG] [ideal|hbm2|none]... [--cycles N] [--no-asserts] [--trace]
//!
//! Prints kcycles/s (*measured*) for each memory model; `none` answers no requests, and so shows what an idle engine
//! costs.

use accllm_hw::config::{BEAT_BYTES, Config, find};
use accllm_hw::isa::{Instr, Op};
use accllm_sim::engine::{EngineDesign, EngineSpec, Silent};
use accllm_sim::golden::Limits;
use accllm_sim::memory::{Hbm2, Ideal, MemoryModel, Rng, Store};
use std::error::Error;
use std::time::Instant;

/// Columns of the weights: value beats of a row.
const K: u16 = 16;
/// Beats of a channel that hold weights; larger than the caches of this computer for many channels.
const BEATS: u32 = 1 << 15;
const AUX: u64 = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = "u280".to_owned();
    let (mut memories, mut cycles, mut asserts, mut trace) = (Vec::new(), 200_000, true, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => {}
            "--no-asserts" => asserts = false,
            "--trace" => trace = true,
            "--cycles" => cycles = args.next().ok_or("--cycles needs a number")?.parse()?,
            "ideal" | "hbm2" | "none" => memories.push(arg),
            _ => config = arg,
        }
    }
    if memories.is_empty() {
        memories = ["ideal", "hbm2"].map(str::to_owned).into();
    }
    let config = find(&config)?;
    let start = Instant::now();
    let design = EngineSpec::new(config).asserts(asserts).trace(trace).design()?;
    println!("{}: built or found in {:.1} s", config.name, start.elapsed().as_secs_f64());
    memories.iter().try_for_each(|m| run(&design, config, m, cycles))
}

/// Steps of one operation: as many as fit the weights of a channel eight times, parameters included.
fn steps() -> u16 {
    ((BEATS / 8 - 64) / (u32::from(K) + 1)) as u16
}

fn memory(kind: &str, port: u64, channels: u64) -> Result<Box<dyn MemoryModel>, Box<dyn Error>> {
    let mut store = Store::new(AUX.max(u64::from(BEATS) * BEAT_BYTES as u64))?;
    let mut rng = Rng::new(port);
    let bytes: Vec<u8> = (0..u64::from(BEATS) * 8).flat_map(|_| rng.next_u64().to_le_bytes()).collect();
    store.write(0, &bytes)?;
    Ok(match kind {
        "hbm2" if port == channels => Box::new(Hbm2::ddr4(store)?),
        "hbm2" => Box::new(Hbm2::hbm2(store, port)?),
        _ => Box::new(Ideal::new(store, 30)),
    })
}

fn run(design: &EngineDesign, config: &Config, kind: &str, cycles: u64) -> Result<(), Box<dyn Error>> {
    let channels = config.channels as u64;
    let memories = (0..=channels).map(|p| memory(kind, p, channels)).collect::<Result<_, _>>()?;
    let mut engine = design.engine(memories)?;
    engine.set_limits(&Limits::open(BEATS, AUX as u32 / 64))?;
    if kind == "none" {
        let start = (Instant::now(), processor());
        engine.idle(cycles)?;
        report(kind, cycles, 0.0, start);
        return Ok(());
    }
    let n = steps();
    let rounds = (cycles / u64::from(BEATS)).max(1);
    let loop_of = |a: u32, n: u64| Instr { op: Op::LOOP as u8, a, n: n as u16, ..Instr::default() };
    let mut program = vec![loop_of(10, rounds)];
    program.extend((0..8).map(|i| Instr {
        op: Op::MATW as u8,
        a: i * (BEATS / 8),
        n,
        k: K,
        m: 1,
        x: 1,
        c: i * 4096,
        ..Instr::default()
    }));
    program.push(Instr { op: Op::ENDLOOP as u8, ..Instr::default() });
    program.push(Instr { op: Op::END as u8, ..Instr::default() });
    engine.load_program(0, &program)?;
    let start = (Instant::now(), processor());
    let result = engine.run([0; 15], u64::MAX, &mut Silent)?;
    if let Some(fault) = result.fault() {
        return Err(fault.into());
    }
    report(kind, result.cycles, result.counters.mat_busy as f64 / result.cycles as f64, start);
    Ok(())
}

/// Seconds that this thread has had a processor, where the system tells.
fn processor() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

fn report(kind: &str, cycles: u64, busy: f64, (start, before): (Instant, Option<f64>)) {
    let wall = start.elapsed().as_secs_f64();
    // On a computer with other work the processor's time says more.
    let own = processor().zip(before).map_or(wall, |(now, before)| now - before);
    let speed = |seconds: f64| cycles as f64 / seconds / 1e3;
    println!(
        "{kind}: {cycles} cycles in {wall:.2} s, {:.1} kcycles/s ({:.1} a second of processor time), tiles busy {:.1}%",
        speed(wall),
        speed(own),
        100.0 * busy
    );
}
