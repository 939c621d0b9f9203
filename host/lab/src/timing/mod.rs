//! The timing model against the RTL: single operations, and whole steps of a model's program.
//!
//! Cycles do not depend on data, so neither weights nor texts are made: the RTL runs on memories full of zeros.

pub mod shapes;

pub use accllm_device::timing::{Cycles, OperationError, Phase, StepError, steps};

use crate::bench::{Model, Options};
use crate::{Error, Result};
use accllm_compiler::ModelSpec;
use accllm_compiler::image::ModelSource as _;
use accllm_hw::config::{Config, open};
use accllm_llm::model::LambdaShape;
use accllm_sim::memory::MemoryKind;
use accllm_sim::timing::probe::{operations, probe};
use accllm_sim::timing::rig::{Rig, RigError};
use serde::Serialize;

/// Probes of one operation.
#[derive(Debug, Clone, Serialize)]
pub struct OpError {
    /// Its name.
    pub op: &'static str,
    /// Programs compared.
    pub probes: u64,
    /// Of all together.
    #[serde(flatten)]
    pub cycles: Cycles,
    /// The largest difference, in cycles.
    pub worst: i64,
    /// The seed of the probe that has it.
    pub seed: u64,
}

/// Holds every operation's formula against the RTL, with `count` random programs each.
///
/// # Errors
/// The RTL cannot be built, or a program faults on it.
pub fn by_operation(config: &Config, kind: MemoryKind, count: u64) -> Result<Vec<OpError>> {
    let mut rig = Rig::new(config, kind).map_err(failed)?;
    let mut out = Vec::new();
    for op in operations() {
        let (mut rtl, mut model, mut worst, mut at) = (0, 0, 0i64, 0);
        for seed in 0..count {
            let [_, both] = rig.run(&probe(op, config, seed)).map_err(failed)?;
            rtl += both.rtl.cycles;
            model += both.model.cycles();
            if both.error().abs() > worst.abs() {
                (worst, at) = (both.error(), seed);
            }
        }
        out.push(OpError {
            op: op.info().name,
            probes: count,
            cycles: Cycles::new(rtl, model),
            worst,
            seed: at,
        });
    }
    Ok(out)
}

/// A configuration by name, file, or `random:N`.
///
/// # Errors
/// There is none.
pub fn config(name: &str) -> Result<Config> {
    match name.strip_prefix("random:").and_then(|seed| seed.parse().ok()) {
        Some(seed) => Ok(accllm_hw::config::random::small(seed)),
        None => Ok(open(name)?),
    }
}

/// The model and the attention shape that are asked for: a shape of [`crate::bench`], or `random:N`.
///
/// # Errors
/// There is no such shape, or an option has no meaning for it.
pub fn model(o: &Options) -> Result<(ModelSpec, LambdaShape)> {
    if let Some(seed) = o.shape.strip_prefix("random:").and_then(|seed| seed.parse().ok()) {
        let model = shapes::random(seed);
        return Ok((model.spec(), model.lambda));
    }
    let model = Model::open(o)?;
    Ok((model.spec(), model.lambda(o)))
}

fn failed(e: RigError) -> Error {
    match e {
        RigError::Engine(e) => e.into(),
        other => Error::Fault(other.to_string()),
    }
}
