//! What is computed of a point: its metrics, or why there are none.

use super::metric::{Metrics, Rung, known};
use super::point::{Candidate, hex};
use super::work::Work;
use super::{bound, timing};
use crate::cost;
use accllm_compiler::{Program, Settings};
use accllm_hw::card::{self, Need};
use accllm_hw::config::BEAT_BYTES;
use accllm_sim::memory::MemoryKind;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What became of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It has metrics.
    Ok,
    /// It is against a rule of the engine, or a model does not fit its buffers.
    Infeasible,
    /// Something went wrong that should not.
    Failed,
}

impl Status {
    /// The word in records and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Infeasible => "infeasible",
            Self::Failed => "failed",
        }
    }
}

/// The outcome.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// What became of it.
    pub status: Status,
    /// The rule, the error, or what of the card does not fit; may be empty.
    pub why: String,
    /// Metrics; none unless the status is ok.
    pub metrics: Metrics,
    /// Hash of the programs.
    pub program: String,
}

/// Why there are no metrics.
enum Stop {
    Rule(String),
    Fault(String),
}

/// Evaluates a point. It never panics: what panics inside is a failed point.
pub fn evaluate(candidate: &Candidate) -> Evaluated {
    let without = |status, why| Evaluated { status, why, metrics: Metrics::new(), program: String::new() };
    match catch_unwind(AssertUnwindSafe(|| run(candidate))) {
        Ok(Ok(done)) => done,
        Ok(Err(Stop::Rule(why))) => without(Status::Infeasible, why),
        Ok(Err(Stop::Fault(why))) => without(Status::Failed, why),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            without(Status::Failed, format!("a bug: {}", text.unwrap_or_default()))
        }
    }
}

/// A work's program; a model that is too large for the engine's buffers is against a rule.
fn compile(work: &Work, candidate: &Candidate) -> Result<Program, Stop> {
    use accllm_compiler::Error as E;
    let model = work.model().map_err(|e| Stop::Fault(e.to_string()))?;
    let spec = accllm_compiler::image::ModelSource::spec(&model);
    let settings = Settings::new(work.sinks, work.window).with_sequences(work.batch);
    Program::compile(&spec, &candidate.config, &settings).map_err(|e| match e {
        E::TooSmall { .. } | E::Setting { .. } | E::Model { .. } | E::Config(_) => {
            Stop::Rule(format!("{}: {e}", work.name))
        }
        other => Stop::Fault(format!("{}: {other}", work.name)),
    })
}

fn run(candidate: &Candidate) -> Result<Evaluated, Stop> {
    if let Err(violations) = candidate.config.check() {
        let all: Vec<_> = violations.iter().map(ToString::to_string).collect();
        return Err(Stop::Rule(all.join("; ")));
    }
    let config = &candidate.config;
    let memory = candidate.card.as_ref().map_or(MemoryKind::HBM2, |c| MemoryKind::of(c, config));
    let mut metrics = Metrics::new();
    let mut put = |name: &str, metric: &str, value: f64, rung: Rung| {
        let known = known(metric, !name.is_empty());
        let name = if name.is_empty() { metric.to_owned() } else { format!("{name}.{metric}") };
        if let Some(k) = known.filter(|_| value.is_finite()) {
            metrics.insert(name, k.metric(value, rung));
        }
    };
    let mut watts = 0.0_f64;
    let (mut hash, mut bytes, mut before) = (Sha256::new(), [0u64; 2], None::<(&Work, Program)>);
    for work in &candidate.works {
        let program = match before.take().filter(|(w, _)| w.same_program(work)) {
            Some((_, program)) => program,
            None => compile(work, candidate)?,
        };
        for instruction in &program.code {
            hash.update(instruction.encode());
        }
        let info = program.info();
        bytes[0] = bytes[0].max(((info.weight_beats + info.kv_beats) * BEAT_BYTES) as u64);
        bytes[1] = bytes[1].max((info.aux_beats * BEAT_BYTES) as u64);
        let bound = bound::metrics(work, &program, memory).map_err(|e| Stop::Fault(e.to_string()))?;
        let multiplications = bound.iter().find(|(name, _)| *name == "multiplications").map_or(0.0, |m| m.1);
        bound.into_iter().for_each(|(metric, value)| put(&work.name, metric, value, Rung::Bound));
        if candidate.rung == Rung::Timing {
            let said = |e| Stop::Fault(format!("{}: timing model: {e}", work.name));
            let (ran, activity) = timing::run(work, &program, memory).map_err(said)?;
            // What the model counts takes the place of the bound.
            let all = timing::metrics(work, &program, &ran, multiplications);
            all.into_iter().for_each(|(metric, value)| put(&work.name, metric, value, Rung::Timing));
            if let Some(card) = &candidate.card {
                let energy = cost::energy(config, &activity, card);
                watts = watts.max(energy.watts.value);
                put(&work.name, "watts", energy.watts.value, Rung::Energy);
                put(&work.name, "watts_low", energy.watts.low, Rung::Energy);
                put(&work.name, "watts_high", energy.watts.high, Rung::Energy);
                let joules = energy.joules.value / work.tokens() as f64;
                put(&work.name, "joules_per_token", joules, Rung::Energy);
            }
        }
        before = Some((work, program));
    }
    if watts > 0.0 {
        put("", "watts", watts, Rung::Energy);
    }
    let resources = cost::area(config).resources();
    for (name, value) in card::Resources::<f64>::NAMES.into_iter().zip(resources.each()) {
        put("", name, *value, Rung::Area);
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    put("", "channel_mib", mib(bytes[0]), Rung::Card);
    put("", "aux_mib", mib(bytes[1]), Rung::Card);
    put("", "peak_gb_per_s", (config.channels * BEAT_BYTES * config.mhz) as f64 / 1000.0, Rung::Card);
    let mut why = String::new();
    if let Some(card) = &candidate.card {
        let need = Need { config, channel_bytes: bytes[0], aux_bytes: bytes[1], resources: Some(resources) };
        let misfits: Vec<_> = card.misfits(&need).iter().map(ToString::to_string).collect();
        put("", "fits", f64::from(u8::from(misfits.is_empty())), Rung::Card);
        put("", "price_usd", card.price.usd, Rung::Card);
        let shares = card.shares(&resources, config.channels);
        put("", "lut_percent", shares.lut, Rung::Area);
        put("", "dsp_percent", shares.dsp, Rung::Area);
        put("", "bram_percent", shares.bram, Rung::Area);
        put("", "uram_percent", shares.uram, Rung::Area);
        if !misfits.is_empty() {
            why = format!("does not fit {}: {}", card.name, misfits.join("; "));
        }
    }
    Ok(Evaluated { status: Status::Ok, why, metrics, program: hex(&hash.finalize()) })
}
