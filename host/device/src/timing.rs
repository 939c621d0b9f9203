//! The timing model against the RTL: whole steps, as a token, a token of several sequences, a prompt.
//!
//! Cycles do not depend on data, so neither weights nor texts are made: the RTL runs on memories full of zeros.

use crate::progress::Progress;
use crate::timeline::{Operation, Record, operations};
use crate::{Device, Error, Result, Verilator, VerilatorOptions};
use accllm_compiler::{MemoryImage, ModelSpec, Program, Settings, Step};
use accllm_hw::config::Config;
use accllm_hw::isa::ARGS;
use accllm_sim::engine::opt_level;
use accllm_sim::memory::MemoryKind;
use accllm_sim::timeline::Summary;
use accllm_sim::timing::{Memories, Timing};
use serde::Serialize;
use std::time::Instant;

/// Cycles of RTL and model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cycles {
    /// *Simulated*.
    pub rtl: u64,
    /// *Estimated*.
    pub model: u64,
    /// Share of the RTL's by which the model's are too many.
    pub error: f64,
}

impl Cycles {
    /// Of both.
    pub fn new(rtl: u64, model: u64) -> Self {
        Self { rtl, model, error: (model as f64 - rtl as f64) / rtl.max(1) as f64 }
    }
}

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub enum Phase {
    /// A token with so many before it.
    Decode {
        /// Tokens before it.
        context: u64,
    },
    /// A token of each sequence.
    Batch {
        /// Sequences.
        sequences: usize,
        /// Tokens before it, in each.
        context: u64,
    },
    /// A prompt, from an empty cache.
    Prefill {
        /// Tokens.
        prompt: usize,
    },
}

impl Phase {
    fn sequences(self) -> usize {
        match self {
            Self::Batch { sequences, .. } => sequences,
            _ => 1,
        }
    }

    /// Arguments of its runs of the program.
    fn runs(self, program: &Program) -> Result<Vec<[u32; ARGS]>> {
        let layout = &program.layout;
        Ok(match self {
            Self::Decode { context } => {
                vec![layout.args(Step { position: context, tokens: 1, head: true })?]
            }
            Self::Batch { sequences, context } => vec![layout.batch_args(&vec![context; sequences])?],
            Self::Prefill { prompt } => {
                let block = layout.shape.block;
                let step = |at: usize| {
                    let tokens = block.min(prompt - at);
                    layout.args(Step { position: at as u64, tokens, head: at + tokens == prompt })
                };
                (0..prompt).step_by(block).map(step).collect::<std::result::Result<_, _>>()?
            }
        })
    }
}

/// An operation of a step: cycles of the matrix unit, waiting included, and of the vector unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OperationError {
    /// Name, as in `disasm`.
    pub operation: String,
    /// Cycles of the unit that does it.
    #[serde(flatten)]
    pub cycles: Cycles,
}

/// A step on both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepError {
    /// What ran.
    #[serde(flatten)]
    pub phase: Phase,
    /// Cycles of the whole.
    #[serde(flatten)]
    pub cycles: Cycles,
    /// By operation, in the order of the program.
    pub operations: Vec<OperationError>,
    /// Seconds of both, *measured*.
    pub rtl_s: f64,
    /// See [`StepError::rtl_s`].
    pub model_s: f64,
}

/// Runs each phase on the RTL and on the model.
///
/// # Errors
/// The model does not fit the configuration, or the RTL cannot be built or fails.
pub fn steps(
    spec: &ModelSpec,
    config: &Config,
    settings: &Settings,
    kind: MemoryKind,
    phases: &[Phase],
    progress: &dyn Progress,
) -> Result<Vec<StepError>> {
    let mut out = vec![None; phases.len()];
    let mut sequences: Vec<usize> = phases.iter().map(|p| p.sequences()).collect();
    sequences.sort_unstable();
    sequences.dedup();
    for n in sequences {
        let settings = Settings { sequences: n, ..*settings };
        let program = Program::compile(spec, config, &settings)?;
        let image = MemoryImage::blank(&program);
        for (phase, out) in phases.iter().zip(&mut out).filter(|(p, _)| p.sequences() == n) {
            *out = Some(step(&program, &image, kind, *phase, progress)?);
        }
    }
    Ok(out.into_iter().flatten().collect())
}

fn step(
    program: &Program,
    image: &MemoryImage,
    kind: MemoryKind,
    phase: Phase,
    progress: &dyn Progress,
) -> Result<StepError> {
    let options = VerilatorOptions {
        memory: kind,
        trace: true,
        timeline: Record::Sums,
        wave: None,
        rtl: None,
        opt: opt_level(&program.config),
    };
    progress.begin("RTL", 0);
    let mut rtl = Verilator::new(program, image, &options)?;
    let memories = Memories::of(kind, &program.config).map_err(fault)?;
    let mut left = memories.fresh().map_err(fault)?;
    let timing = Timing::new(&program.config, &memories);
    // The step of no tokens that loads the program: it opens rows of auxiliary memory.
    let loading = timing.clone().loading(program.layout.aux.program as u64);
    loading.run_on(&mut left, rtl.began(), &program.code, [0; ARGS]).map_err(fault)?;
    let (mut cycles, mut seconds, mut summary) = ([0; 2], [0.0; 2], Summary::default());
    for args in phase.runs(program)? {
        let begin = Instant::now();
        let counters = rtl.run(args)?.counters.unwrap_or_default();
        seconds[0] += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let report = timing.run_on(&mut left, rtl.began(), &program.code, args).map_err(fault)?;
        seconds[1] += begin.elapsed().as_secs_f64();
        cycles[0] += counters.cycles;
        cycles[1] += report.cycles();
        summary += &report.summary;
    }
    progress.end();
    let simulated = rtl.recorder().map(|r| r.operations()).unwrap_or_default();
    rtl.finish()?;
    let estimated = operations(&summary, &program.labels);
    let both = simulated.iter().zip(&estimated).map(|(rtl, model)| OperationError {
        operation: rtl.operation.clone(),
        cycles: Cycles::new(own(rtl), own(model)),
    });
    Ok(StepError {
        phase,
        cycles: Cycles::new(cycles[0], cycles[1]),
        operations: both.collect(),
        rtl_s: seconds[0],
        model_s: seconds[1],
    })
}

/// Cycles of the unit that does an operation.
fn own(o: &Operation) -> u64 {
    if o.matrix() > 0 { o.matrix() } else { o.vector_busy }
}

fn fault(e: impl std::fmt::Display) -> Error {
    Error::Fault(e.to_string())
}
