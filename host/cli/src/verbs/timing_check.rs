//! `accllm timing-check`.

use crate::args::{BenchMemory, BitsArg, TimingCheck as Arguments};
use crate::out::{Bars, Out, grouped};
use accllm_compiler::Settings;
use accllm_device::{MemoryKind, Result};
use accllm_hw::config::Config;
use accllm_lab::bench::Options;
use accllm_lab::timing::{OpError, Phase, StepError, by_operation, config, model, steps};
use serde::Serialize;

/// Tokens before those of a batch.
const BATCH_CONTEXT: u64 = 128;

/// The report.
#[derive(Serialize)]
struct Report {
    config: String,
    memory: &'static str,
    shape: Option<String>,
    operations: Vec<OpError>,
    steps: Vec<StepError>,
    /// The largest error of a step, as a share; null without steps.
    worst: Option<f64>,
}

/// Compares, and prints the errors.
pub fn run(args: &Arguments, out: &Out) -> Result<()> {
    let config = config(&args.config)?;
    let memory = match args.memory {
        BenchMemory::Ideal => MemoryKind::Ideal,
        BenchMemory::Hbm2 => MemoryKind::HBM2,
    };
    let operations = match args.probes {
        0 => Vec::new(),
        n => by_operation(&config, memory, n)?,
    };
    let steps = match &args.shape {
        None => Vec::new(),
        Some(shape) => whole(args, shape, &config, memory)?,
    };
    let worst = steps.iter().map(|s| s.cycles.error).max_by(|a, b| a.abs().total_cmp(&b.abs()));
    let report = Report {
        config: config.name.to_string(),
        memory: memory.name(),
        shape: args.shape.clone(),
        operations,
        steps,
        worst,
    };
    print(&report, out)?;
    out.report(&report)
}

fn whole(args: &Arguments, name: &str, config: &Config, memory: MemoryKind) -> Result<Vec<StepError>> {
    let random = &args.random;
    let (spec, lambda) = model(&Options {
        layers: random.layers,
        sinks: random.sinks,
        window: random.window,
        block: args.block,
        prob_wide: random.prob_bits.map(|b| b == BitsArg::Sixteen),
        seed: random.seed,
        memory,
        compare: false,
        estimate: true,
        ..Options::new(name, &args.config)
    })?;
    let settings = Settings { lambda, block: args.block, sequences: 1 };
    let decode = args.context.iter().map(|&context| Phase::Decode { context });
    let batch = args.batch.iter().map(|&sequences| Phase::Batch { sequences, context: BATCH_CONTEXT });
    let prefill = args.prompt.iter().map(|&prompt| Phase::Prefill { prompt });
    let mut phases: Vec<_> = decode.chain(batch).chain(prefill).collect();
    if phases.is_empty() {
        phases.push(Phase::Decode { context: BATCH_CONTEXT });
    }
    steps(&spec, config, &settings, memory, &phases, &Bars::default())
}

fn signed(share: f64) -> String {
    format!("{:+.3}%", 100.0 * share)
}

fn print(r: &Report, out: &Out) -> Result<()> {
    out.line(&format!("timing model against the RTL, '{}', {} memory", r.config, r.memory))?;
    if !r.operations.is_empty() {
        let header =
            format!("{:<9} {:>7} {:>12} {:>12} {:>9}", "operation", "probes", "RTL", "model", "error");
        out.line(&format!("  {header}   worst"))?;
    }
    for o in &r.operations {
        let (rtl, model) = (grouped(o.cycles.rtl), grouped(o.cycles.model));
        let worst = format!("{:+} cycles (probe {})", o.worst, o.seed);
        let error = signed(o.cycles.error);
        out.line(&format!("  {:<9} {:>7} {rtl:>12} {model:>12} {error:>9}   {worst}", o.op, o.probes))?;
    }
    for s in &r.steps {
        let what = match s.phase {
            Phase::Decode { context } => format!("decode after {context}"),
            Phase::Batch { sequences, context } => format!("{sequences} sequences after {context} each"),
            Phase::Prefill { prompt } => format!("prefill of {prompt}"),
        };
        let shape = r.shape.as_deref().unwrap_or_default();
        let (rtl, model, error) = (grouped(s.cycles.rtl), grouped(s.cycles.model), signed(s.cycles.error));
        let times = s.rtl_s / s.model_s.max(1e-9);
        let seconds = format!("{:.1} s and {:.1} ms ({times:.0} x)", s.rtl_s, 1e3 * s.model_s);
        out.line(&format!("{shape}, {what}: RTL {rtl}, model {model} cycles, {error}; {seconds}"))?;
        for o in &s.operations {
            let (rtl, model, error) =
                (grouped(o.cycles.rtl), grouped(o.cycles.model), signed(o.cycles.error));
            out.line(&format!("  {:<14} {rtl:>14} {model:>14} {error:>10}", o.operation))?;
        }
    }
    Ok(())
}
