//! The choices of a quantization.

use super::closed::{Closed, Pruning};
use crate::train::Training;
use crate::transform::Keys;
use accllm_llm::config::LlamaConfig;
use accllm_llm::model::{LambdaShape, MAX_VISIBLE, WeightFormat};
use accllm_llm::perplexity::Protocol;
use accllm_llm::{Error, Result};

/// Choices of the quantizer.
#[derive(Clone, Debug)]
pub struct Options {
    /// Format of the layers' weights (those that do not already lie on a W2 grid).
    pub body: WeightFormat,
    /// Format of the output head.
    pub head: WeightFormat,
    /// Formats of each layer's q, k, v, o, gate, up and down; empty for `body` everywhere.
    pub layer_formats: Vec<[WeightFormat; 7]>,
    /// What is done to q and k for the rounding of K ([`crate::transform::match_keys`]); not where they already lie on a W2 grid, which
    /// would be lost. (A W4 grid is lost: they are fitted anew.)
    pub keys: Keys,
    /// Channels that are split in two, at most, in each of two tensors of a layer, while as many weak ones are dropped
    /// ([`crate::transform::split_down`], [`crate::transform::split_values`]); 0 for none.
    pub split: usize,
    /// Seed of a rotation of the residual stream before everything ([`crate::transform::rotate_residual`]); `None` for
    /// no rotation. Weights that already lie on a grid lose it.
    pub rotate: Option<u64>,
    /// Whether channels are put into the order that suits the formats ([`crate::transform::order_channels`]); not where
    /// weights already lie on a grid, which would be lost.
    pub order: bool,
    /// Training of each layer against the float layer; `None` for closed forms only.
    pub reconstruction: Option<Training>,
    /// Training of the whole model against the float model's logits, after `reconstruction` (without that it is
    /// not done), on this many windows of the calibration text.
    pub end_to_end: Option<(Training, usize)>,
    /// How much of the difference between channels moves from activations into weights, 0 (one step per
    /// tensor) to 1 (each channel its own step); `None` to choose per tensor by the output error.
    pub migration: Option<f32>,
    /// The fit of each layer before any training (its formats come from `body` and `layer_formats`).
    pub closed: Closed,
    /// Which columns 2:4 keeps in each layer; empty for `closed.pruning` everywhere.
    pub layer_pruning: Vec<Pruning>,
    /// Tokens that every text of the model follows; their keys and values come with it. No more than the sinks.
    pub prefix: Vec<u32>,
    /// Default attention shape of the model; `None` for 4 sinks and up to 2,044 window tokens, within the
    /// positions the model was trained for.
    pub lambda: Option<LambdaShape>,
    /// 16-bit probabilities.
    pub prob_wide: bool,
    /// Calibration windows, cut from the start of the calibration text. Weights are fitted on all of them, ranges measured on
    /// the first 32.
    pub calibration: Protocol,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            body: WeightFormat::W2Sparse,
            head: WeightFormat::W4,
            layer_formats: Vec::new(),
            keys: Keys::Plain,
            split: 0,
            rotate: None,
            order: false,
            reconstruction: None,
            end_to_end: None,
            migration: None,
            closed: Closed::default(),
            layer_pruning: Vec::new(),
            prefix: Vec::new(),
            lambda: None,
            prob_wide: true,
            calibration: Protocol { window: 320, windows: Some(32) },
        }
    }
}

impl Options {
    /// Formats of layer `l`.
    pub fn formats(&self, l: usize) -> [WeightFormat; 7] {
        self.layer_formats.get(l).copied().unwrap_or([self.body; 7])
    }

    /// The fit of layer `l`.
    pub fn closed(&self, l: usize) -> Closed {
        let pruning = self.layer_pruning.get(l).copied().unwrap_or(self.closed.pruning);
        Closed { formats: self.formats(l), pruning, ..self.closed }
    }

    /// Attention shape of the model.
    pub fn lambda(&self, c: &LlamaConfig) -> LambdaShape {
        self.lambda.unwrap_or_else(|| default_lambda(c))
    }

    /// Refuses what cannot be done with a model.
    ///
    /// # Errors
    /// A model beyond the limits of the engine, formats or prunings of another number of layers, a migration outside 0 to 1,
    /// more prefix than sinks.
    pub fn check(&self, c: &LlamaConfig) -> Result<()> {
        c.sizes.check().map_err(|(field, why)| Error::Argument(format!("the model's {field} {why}")))?;
        if let Some(m) = self.migration.filter(|m| !(0.0..=1.0).contains(m)) {
            return Err(Error::Argument(format!("migration is {m}; expected 0 to 1")));
        }
        let sinks = self.lambda(c).n_sink;
        if self.prefix.len() > sinks {
            return Err(Error::Argument(format!(
                "a prefix of {} tokens is longer than the {sinks} sinks that stay visible; give fewer",
                self.prefix.len()
            )));
        }
        let lists = [("formats", self.layer_formats.len()), ("prunings", self.layer_pruning.len())];
        if let Some((what, given)) =
            lists.into_iter().find(|(_, given)| *given != 0 && *given != c.sizes.layers)
        {
            return Err(Error::Argument(format!(
                "{what} are given for {given} layers, but the model has {}",
                c.sizes.layers
            )));
        }
        Ok(())
    }
}

/// Four sinks and a window of up to 2,044 tokens, within the trained positions and the model's own window.
pub fn default_lambda(c: &LlamaConfig) -> LambdaShape {
    let most = c.sliding_window.unwrap_or(usize::MAX).saturating_add(4).min(2048);
    let visible = c.max_positions.min(most).clamp(5, MAX_VISIBLE);
    LambdaShape { n_sink: 4, n_window: visible - 4 }
}
