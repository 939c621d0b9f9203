//! The timing model against the RTL: random programs of one operation.
//!
//! `TIMING_CONFIG=u280 TIMING_MEMORY=hbm2 TIMING_OP=MATW TIMING_COUNT=50 cargo test -p accllm-sim --test timing -- --ignored
//! --nocapture measure` prints the error of every probe; `smallN` is the random small configuration N.

use accllm_hw::config::{find, random};
use accllm_hw::isa::Op;
use accllm_sim::memory::MemoryKind;
use accllm_sim::timing::probe::{operations, probe};
use accllm_sim::timing::rig::Rig;
use std::error::Error;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The errors of `count` probes: of all their cycles, and the worst in cycles.
fn errors(rig: &mut Rig, config: &accllm_hw::config::Config, op: Op, count: u64) -> Outcome<(f64, i64)> {
    let verbose = std::env::var("TIMING_VERBOSE").is_ok();
    let (mut rtl, mut all) = (0, Vec::new());
    for seed in 0..count {
        let p = probe(op, config, seed);
        let [_, both] = rig.run(&p)?;
        rtl += both.rtl.cycles;
        all.push(both.error());
        if verbose {
            let at = p.code.iter().position(|i| i.op == op as u8).unwrap_or(0);
            let consts: Vec<_> = p.code[..9].iter().map(|i| i.a).collect();
            println!(
                "{op:?} {seed} ({:+}): {} rounds of {:?}, {consts:?}",
                both.error(),
                p.code[at - 1].n,
                p.code[at]
            );
            println!("   {:?}\n   {:?}", both.rtl.counters, both.model.counters);
        }
    }
    let relative = all.iter().sum::<i64>() as f64 / rtl as f64;
    println!("{}, {op:?}: {:+.3}%, {all:?}", config.name, 100.0 * relative);
    Ok((relative, all.into_iter().max_by_key(|e| e.abs()).unwrap_or(0)))
}

/// Every formula against the RTL. DRAM keeps the rows that the program before has opened, in the model as in the RTL.
#[test]
fn operations_take_the_cycles_of_the_rtl() -> Outcome {
    let config = find("tiny")?;
    for (memory, most) in [(MemoryKind::Ideal, 1), (MemoryKind::HBM2, 1)] {
        let mut rig = Rig::new(config, memory)?;
        for op in operations() {
            let (_, worst) = errors(&mut rig, config, op, 6)?;
            assert!(worst.abs() <= most, "{op:?}, {} memory: {worst} cycles", memory.name());
        }
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
    let hbm2 = variable("TIMING_MEMORY").as_deref() == Some("hbm2");
    let mut rig = Rig::new(&config, if hbm2 { MemoryKind::HBM2 } else { MemoryKind::Ideal })?;
    let count = variable("TIMING_COUNT").map_or(Ok(20), |c| c.parse())?;
    let only = variable("TIMING_OP");
    for op in operations() {
        if only.as_ref().is_none_or(|o| *o == format!("{op:?}")) {
            errors(&mut rig, &config, op, count)?;
        }
    }
    Ok(())
}
