//! A work: a model's shape, and a phase that the engine is to run.

use super::format::Formats;
use crate::bench::shapes;
use accllm_compiler::spec::{Linear, ModelSpec};
use accllm_compiler::synthetic::Synthetic;
use accllm_compiler::{Program, Settings};
use accllm_hw::config::Config;
use accllm_quant::model::LambdaShape;
use serde::Serialize;

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// One token of each sequence, with so many tokens before it.
    Decode {
        /// Tokens before it.
        context: u64,
    },
    /// A prompt of so many tokens, from an empty cache.
    Prefill {
        /// Its tokens.
        prompt: u64,
    },
}

/// A work with everything that an axis can change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Work {
    /// Name in metrics.
    pub name: String,
    /// Shape: a name of `accllm bench`, or a checkpoint's `config.json`.
    pub shape: String,
    /// Phase.
    pub phase: Phase,
    /// Sequences at once.
    pub batch: usize,
    /// First tokens that stay visible.
    pub sinks: usize,
    /// Last tokens that are visible.
    pub window: usize,
    /// Formats of the weights.
    pub format: Formats,
    /// Bits of probabilities: 8 or 16.
    pub prob_bits: usize,
}

impl Work {
    /// The model, with random weights.
    ///
    /// # Errors
    /// There is no such shape.
    pub fn model(&self) -> Result<Synthetic, crate::Error> {
        let lambda = LambdaShape { n_sink: self.sinks, n_window: self.window };
        let named = named(&self.shape)?;
        let mut model = named.model(named.layers(), lambda, self.prob_bits == 16, 1);
        model.formats = self.format.resolve(model.linear_weights());
        Ok(model)
    }

    /// The program for it.
    ///
    /// # Errors
    /// The model does not fit the configuration.
    pub fn program(&self, spec: &ModelSpec, config: &Config) -> Result<Program, accllm_compiler::Error> {
        let settings = Settings::new(self.sinks, self.window).with_sequences(self.batch);
        Program::compile(spec, config, &settings)
    }

    /// What decides the program, whatever the phase.
    pub fn same_program(&self, other: &Self) -> bool {
        let what = |w: &Self| (w.batch, w.sinks, w.window, w.format, w.prob_bits);
        self.shape == other.shape && what(self) == what(other)
    }

    /// Tokens that a run gives.
    pub fn tokens(&self) -> u64 {
        match self.phase {
            Phase::Decode { .. } => self.batch as u64,
            Phase::Prefill { prompt } => prompt,
        }
    }
}

/// The shape of that name.
///
/// # Errors
/// There is none.
pub fn named(name: &str) -> Result<&'static shapes::Named, crate::Error> {
    let found = shapes::SHAPES.iter().find(|s| s.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = shapes::SHAPES.iter().map(|s| s.name).collect();
        crate::Error::Argument(format!("no shape '{name}'; there are: {}", names.join(", ")))
    })
}

/// Weights of each linear layer of a decoder layer.
trait LinearWeights {
    fn linear_weights(&self) -> [usize; 7];
}

impl LinearWeights for Synthetic {
    fn linear_weights(&self) -> [usize; 7] {
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        Linear::LAYER.map(|l| match l {
            Linear::Q | Linear::O => self.hidden * q,
            Linear::K | Linear::V => self.hidden * kv,
            _ => self.hidden * self.ff,
        })
    }
}
