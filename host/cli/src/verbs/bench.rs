//! `accllm bench`.

use super::bench_report::print;
use crate::args::{Bench as Arguments, BenchDevice, BenchMemory, BitsArg};
use crate::out::{Bars, Out};
use accllm_device::MemoryKind;
use accllm_device::timeline::Record;
use accllm_device::{Error, Result};
use accllm_hw::{card, config};
use accllm_lab::bench::{Bench, Options};

/// Runs a benchmark; fails where anything differed.
pub fn run(args: &Arguments, out: &Out) -> Result<()> {
    let options = options(args)?;
    let bars = Bars::default();
    let report = Bench::new(&options, &bars)?.run()?;
    print(&report, out)?;
    out.report(&report)?;
    match report.difference() {
        Some(difference) => Err(Error::Mismatch(difference.into())),
        None => Ok(()),
    }
}

fn options(args: &Arguments) -> Result<Options> {
    let random = &args.random;
    Ok(Options {
        shape: args.shape.clone(),
        config: args.config.clone(),
        context: args.context,
        batch: args.batch,
        prompt: args.prompt,
        tokens: args.tokens,
        memory: match (&args.card, args.memory) {
            (Some(card), _) => MemoryKind::of(&card::open(card)?, &config::open(&args.config)?),
            (None, BenchMemory::Ideal) => MemoryKind::Ideal,
            (None, BenchMemory::Hbm2) => MemoryKind::HBM2,
        },
        layers: random.layers,
        formats: None,
        sinks: random.sinks,
        window: random.window,
        block: args.block,
        prob_wide: random.prob_bits.map(|b| b == BitsArg::Sixteen),
        seed: random.seed,
        compare: !args.no_compare,
        timeline: args.trace.clone().map_or(Record::Off, Record::File),
        estimate: args.device == BenchDevice::Model,
    })
}
