//! A work: a model's shape, and a phase that the engine is to run.

use super::format::Formats;
use crate::shapes::{self, Random};
use accllm_compiler::synthetic::Synthetic;
use accllm_llm::model::LambdaShape;
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
        let sizes = shapes::open(&self.shape)?;
        let random = Random { layers: None, lambda, prob_wide: self.prob_bits == 16, seed: 1 };
        let mut model = random.model(&sizes)?;
        model.formats = self.format.resolve(sizes.linear_weights());
        Ok(model)
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
