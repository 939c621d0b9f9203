//! `accllm bench`.

use super::args::{Bench, BenchMemory};
use super::out::Out;
use accllm::Result;
use accllm::bench::{Options, run as measure};
use accllm::device::MemoryKind;
use accllm_quant::model::LambdaShape;

/// Measures.
pub fn run(args: &Bench, out: &Out) -> Result<()> {
    let options = Options {
        shape: args.shape.clone(),
        config: args.config.clone(),
        context: args.context,
        prompt: args.prompt,
        tokens: args.tokens,
        memory: match args.memory {
            BenchMemory::Ideal => MemoryKind::Ideal,
            BenchMemory::Hbm2 => MemoryKind::Hbm2,
        },
        layers: args.layers,
        lambda: LambdaShape { n_sink: args.sinks, n_window: args.window },
        block: args.block,
        prob_wide: args.prob_bits > 8,
        h_wide: args.h_bits > 8,
        seed: args.seed,
    };
    let report = measure(&options)?;
    for p in &report {
        out.line(&format!("{p:#?}"))?;
    }
    out.report(&report)
}
