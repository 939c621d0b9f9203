//! What is computed of a point: its metrics, or why there are none.

use super::metric::{Metrics, Rung, known};
use super::name::hex;
use super::point::Candidate;
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

/// The metrics of a point in the making.
struct Found<'a> {
    candidate: &'a Candidate,
    memory: MemoryKind,
    metrics: Metrics,
    programs: Sha256,
    /// The most that a work needs of channels and of auxiliary memory.
    channel_bytes: u64,
    aux_bytes: u64,
    watts: f64,
}

impl Found<'_> {
    /// Of a work, or of the engine where the name is empty.
    fn put(&mut self, work: &str, metric: &str, value: f64, rung: Rung) {
        let known = known(metric, !work.is_empty());
        let name = if work.is_empty() { metric.to_owned() } else { format!("{work}.{metric}") };
        if let Some(k) = known.filter(|_| value.is_finite()) {
            self.metrics.insert(name, k.metric(value, rung));
        }
    }

    fn work(&mut self, work: &Work, program: &Program) -> Result<(), Stop> {
        for instruction in &program.code {
            self.programs.update(instruction.encode());
        }
        let info = program.info();
        let bytes = |beats: usize| (beats * BEAT_BYTES) as u64;
        self.channel_bytes = self.channel_bytes.max(bytes(info.weight_beats + info.kv_beats));
        self.aux_bytes = self.aux_bytes.max(bytes(info.aux_beats));
        let bound = bound::metrics(work, program, self.memory).map_err(|e| Stop::Fault(e.to_string()))?;
        let multiplications = bound.iter().find(|(name, _)| *name == "multiplications").map_or(0.0, |m| m.1);
        bound.into_iter().for_each(|(metric, value)| self.put(&work.name, metric, value, Rung::Bound));
        if self.candidate.rung == Rung::Timing {
            self.timed(work, program, multiplications)?;
        }
        if let Some(quality) = &self.candidate.quality {
            let said = |e| Stop::Fault(format!("{}: perplexity: {e}", work.name));
            if let Some(perplexity) = quality.perplexity(work).map_err(said)? {
                self.put(&work.name, "perplexity", perplexity, Rung::Quality);
            }
        }
        Ok(())
    }

    /// What the timing model counts takes the place of the bound.
    fn timed(&mut self, work: &Work, program: &Program, multiplications: f64) -> Result<(), Stop> {
        let said = |e| Stop::Fault(format!("{}: timing model: {e}", work.name));
        let (ran, activity) = timing::run(work, program, self.memory).map_err(said)?;
        let all = timing::metrics(work, program, &ran, multiplications);
        all.into_iter().for_each(|(metric, value)| self.put(&work.name, metric, value, Rung::Timing));
        if let Some(card) = &self.candidate.card {
            let energy = cost::energy(&self.candidate.config, &activity, card);
            self.watts = self.watts.max(energy.watts.value);
            let joules = energy.joules.value / work.tokens() as f64;
            for (metric, value) in [
                ("watts", energy.watts.value),
                ("watts_low", energy.watts.low),
                ("watts_high", energy.watts.high),
                ("joules_per_token", joules),
            ] {
                self.put(&work.name, metric, value, Rung::Energy);
            }
        }
        Ok(())
    }

    /// What the engine takes, and whether and how it fits the card; why it does not.
    fn engine(&mut self) -> String {
        let config = &self.candidate.config;
        let resources = cost::area(config).resources();
        for (name, value) in card::Resources::<f64>::NAMES.into_iter().zip(resources.each()) {
            self.put("", name, *value, Rung::Area);
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        self.put("", "channel_mib", mib(self.channel_bytes), Rung::Card);
        self.put("", "aux_mib", mib(self.aux_bytes), Rung::Card);
        let peak = (config.channels * BEAT_BYTES * config.mhz) as f64 / 1000.0;
        self.put("", "peak_gb_per_s", peak, Rung::Card);
        let Some(card) = &self.candidate.card else { return String::new() };
        let need = Need {
            config,
            channel_bytes: self.channel_bytes,
            aux_bytes: self.aux_bytes,
            resources: Some(resources),
        };
        let misfits: Vec<_> = card.misfits(&need).iter().map(ToString::to_string).collect();
        self.put("", "fits", f64::from(u8::from(misfits.is_empty())), Rung::Card);
        self.put("", "price_usd", card.price.usd, Rung::Card);
        let shares = card.shares(&resources, config.channels);
        self.put("", "lut_percent", shares.lut, Rung::Area);
        self.put("", "dsp_percent", shares.dsp, Rung::Area);
        self.put("", "bram_percent", shares.bram, Rung::Area);
        self.put("", "uram_percent", shares.uram, Rung::Area);
        match misfits.is_empty() {
            true => String::new(),
            false => format!("does not fit {}: {}", card.name, misfits.join("; ")),
        }
    }
}

fn run(candidate: &Candidate) -> Result<Evaluated, Stop> {
    let config = &candidate.config;
    if let Err(violations) = config.check() {
        let all: Vec<_> = violations.iter().map(ToString::to_string).collect();
        return Err(Stop::Rule(all.join("; ")));
    }
    let mut found = Found {
        candidate,
        memory: candidate.card.as_ref().map_or(MemoryKind::HBM2, |c| MemoryKind::of(c, config)),
        metrics: Metrics::new(),
        programs: Sha256::new(),
        channel_bytes: 0,
        aux_bytes: 0,
        watts: 0.0,
    };
    let mut before = None::<(&Work, Program)>;
    for work in &candidate.works {
        let program = match before.take().filter(|(w, _)| w.same_program(work)) {
            Some((_, program)) => program,
            None => compile(work, candidate)?,
        };
        found.work(work, &program)?;
        before = Some((work, program));
    }
    if found.watts > 0.0 {
        found.put("", "watts", found.watts, Rung::Energy);
    }
    let why = found.engine();
    let program = hex(&found.programs.finalize());
    Ok(Evaluated { status: Status::Ok, why, metrics: found.metrics, program })
}
