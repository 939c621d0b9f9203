//! Benchmarks: decode and prefill of whole models on the RTL.

pub mod shapes;

use crate::device::{Device as _, MemoryKind, Verilator, VerilatorOptions};
use crate::engine::Work;
use crate::perf::Figures;
use crate::{Error, Result};
use accllm_compiler::image::ModelSource as _;
use accllm_compiler::image::fill_image;
use accllm_compiler::{Program, Settings, Step};
use accllm_hw::config::find;
use accllm_quant::model::LambdaShape;
use std::time::Instant;

/// What to measure.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Options {
    pub shape: String,
    pub config: String,
    pub context: Option<u64>,
    pub prompt: Option<usize>,
    pub tokens: usize,
    pub memory: MemoryKind,
    pub layers: Option<usize>,
    pub lambda: LambdaShape,
    pub block: Option<usize>,
    pub prob_wide: bool,
    pub h_wide: bool,
    pub seed: u64,
}

/// A phase.
#[derive(Debug, serde::Serialize)]
#[allow(missing_docs)]
pub struct Phase {
    pub phase: &'static str,
    pub figures: Option<Figures>,
    pub seconds: f64,
}

/// Runs a benchmark.
///
/// # Errors
/// No such shape or configuration, or the RTL cannot be built or run.
pub fn run(o: &Options) -> Result<Vec<Phase>> {
    let config = find(&o.config).map_err(Error::Argument)?;
    let named = shapes::SHAPES.iter().find(|s| s.name == o.shape);
    let named = named.ok_or_else(|| {
        Error::Argument(format!("no shape '{}'; there are: {}", o.shape, shapes::names().join(", ")))
    })?;
    let start = Instant::now();
    let source = named.model(o.layers.unwrap_or(named.layers()), o.lambda, (o.prob_wide, o.h_wide), o.seed);
    let settings = Settings { lambda: o.lambda, block: o.block };
    let program = Program::compile(&source.spec(), config, &settings)?;
    eprintln!("compiled {:.1}", start.elapsed().as_secs_f64());
    program.check()?;
    eprintln!("checked {:.1}", start.elapsed().as_secs_f64());
    let mut image = fill_image(&program, &source, &|_| {})?;
    eprintln!("filled {:.1}", start.elapsed().as_secs_f64());
    let mut out = Vec::new();
    let mut runs: Vec<(&'static str, u64, Vec<usize>)> = Vec::new();
    let block = program.layout.shape.block;
    if let Some(n) = o.prompt {
        runs.push(("prefill", 0, (0..n).step_by(block).map(|at| block.min(n - at)).collect()));
    }
    if o.context.is_some() || o.prompt.is_none() {
        let full = (o.lambda.n_sink + o.lambda.n_window) as u64;
        runs.push(("decode", o.context.unwrap_or(full), vec![1; o.tokens]));
    }
    for (phase, context, steps) in runs {
        source.fill_cache(&program, &mut image, context)?;
        eprintln!("cache {:.1}", start.elapsed().as_secs_f64());
        let options = VerilatorOptions { memory: o.memory, trace: true, wave: None, rtl: None };
        let mut device = Verilator::new(&program, &image, &options)?;
        let begin = Instant::now();
        let (mut work, mut position) = (Work::default(), context);
        let count = steps.len();
        for (i, n) in steps.into_iter().enumerate() {
            let tokens: Vec<u32> = (0..n as u32).map(|t| (t * 7919 + 13) % source.vocab as u32).collect();
            let args = program.layout.args(Step {
                position,
                tokens: n,
                head: i + 1 == count || phase == "decode",
            })?;
            let io = program.layout.io_block(position, &tokens)?;
            device.write_aux(program.layout.aux.ids, &io)?;
            let outcome = device.run(args)?;
            work.add(n, outcome.counters);
            position += n as u64;
        }
        out.push(Phase {
            phase,
            figures: Figures::new(&work, config),
            seconds: begin.elapsed().as_secs_f64(),
        });
    }
    Ok(out)
}
