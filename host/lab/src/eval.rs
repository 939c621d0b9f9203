//! Perplexity of each step from the float model to the integer model.

use crate::{Error, Result};
use accllm_llm::export;
use accllm_llm::float::FloatModel;
use accllm_llm::model::{LambdaShape, QuantModel, check_lambda};
use accllm_llm::perplexity::{Perplexity, Scorer, Windowing, perplexity_with};
use accllm_llm::tokenizer::TextTokenizer;
use accllm_quant::quantize::{Quantized, Simulated};
use accllm_text::calibration::Calibration;
use accllm_text::model::quantize;
use std::sync::Arc;

/// A step; each includes the ones before, up to [`Stage::Integer`], which is the real thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Stored weights, float arithmetic.
    Float,
    /// Quantized weights in float arithmetic.
    Weights,
    /// Simulated static 8-bit inputs of the linear layers.
    Activations,
    /// Simulated 4-bit KV cache.
    KvCache,
    /// Sinks and window only.
    Lambda,
    /// The integer model, full numerics.
    Integer,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Self; 6] =
        [Self::Float, Self::Weights, Self::Activations, Self::KvCache, Self::Lambda, Self::Integer];

    /// Key in reports and on the command line.
    pub fn key(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Weights => "w2",
            Self::Activations => "a8",
            Self::KvCache => "kv4",
            Self::Lambda => "lambda",
            Self::Integer => "integer",
        }
    }

    /// What the step adds, for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Weights => "+ 2:4 and W2 weights, W4 head",
            Self::Activations => "+ A8 activations (simulated)",
            Self::KvCache => "+ KV4 cache (simulated)",
            Self::Lambda => "+ Λ attention (simulated)",
            Self::Integer => "integer model",
        }
    }
}

/// A model in all the forms that the stages need.
pub struct Evaluation {
    /// Checkpoint; `None` for a folder that holds only integers.
    float: Option<FloatModel>,
    /// The quantizer's outcome.
    quantized: Option<Quantized>,
    /// `None` where only the checkpoint is of interest.
    integer: Option<Arc<QuantModel>>,
}

impl Evaluation {
    /// A checkpoint and what the quantizer makes of it.
    ///
    /// # Errors
    /// An unusable calibration text, or a weight that cannot be represented.
    pub fn of_checkpoint(
        float: FloatModel,
        tokenizer: &TextTokenizer,
        calibration: &Calibration,
    ) -> Result<Self> {
        let quantized = quantize(float.clone(), tokenizer, calibration)?;
        let integer = Some(Arc::new(quantized.model.clone()));
        Ok(Self { float: Some(float), quantized: Some(quantized), integer })
    }

    /// A checkpoint as it is; only [`Stage::Float`] can be measured.
    pub fn of_float(float: FloatModel) -> Self {
        Self { float: Some(float), quantized: None, integer: None }
    }

    /// A quantized model; only [`Stage::Integer`] can be measured, and [`Stage::Weights`] with the integer weights as an
    /// exported checkpoint has them.
    pub fn of_integers(integer: QuantModel) -> Self {
        Self { float: None, quantized: None, integer: Some(Arc::new(integer)) }
    }

    /// Attention shape of the last two stages.
    pub fn lambda(&self) -> Option<LambdaShape> {
        self.integer.as_ref().map(|m| m.lambda)
    }

    /// Sets the attention shape of the last two stages.
    ///
    /// # Errors
    /// It is outside the limits of the contract.
    pub fn set_lambda(&mut self, lambda: LambdaShape) -> Result<()> {
        check_lambda(lambda, std::path::Path::new("command line"))?;
        self.integer.iter_mut().for_each(|m| Arc::make_mut(m).lambda = lambda);
        Ok(())
    }

    /// The stages that are measured where all are asked for.
    pub fn stages(&self) -> Vec<Stage> {
        match (&self.quantized, &self.integer) {
            (Some(_), _) => Stage::ALL.to_vec(),
            (None, Some(_)) => vec![Stage::Integer],
            (None, None) => vec![Stage::Float],
        }
    }

    /// Measures one stage over `stream`; `progress` is told of windows done since it was told before.
    ///
    /// # Errors
    /// The stage needs the checkpoint, or the stream is too short for the protocol.
    pub fn measure(
        &self,
        stage: Stage,
        stream: &[u32],
        how: Windowing,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Perplexity> {
        let mut score = |model: &dyn Scorer| Ok(perplexity_with(model, stream, how, progress)?);
        match (stage, &self.integer, &self.float) {
            (Stage::Integer, Some(integer), _) => return score(&**integer),
            (Stage::Weights, Some(integer), _) if self.quantized.is_none() => {
                return score(&export::float(integer.clone())?);
            }
            (Stage::Float, _, Some(float)) => return score(float),
            _ => {}
        }
        let (quantized, integer) = self.quantized.as_ref().zip(self.integer.as_ref()).ok_or_else(|| {
            Error::Argument(format!(
                "stage `{}` needs float weights, and a quantized model has none; give the checkpoint, or --stage w2,integer",
                stage.key()
            ))
        })?;
        let simulated = |a8, kv4, lambda| Simulated {
            model: &quantized.dequantized,
            steps: &quantized.steps,
            a8,
            kv4,
            lambda,
        };
        let shape = integer.lambda;
        match stage {
            Stage::Float | Stage::Weights => score(&quantized.dequantized),
            Stage::Activations => score(&simulated(true, false, None)),
            Stage::KvCache => score(&simulated(true, true, None)),
            Stage::Lambda | Stage::Integer => score(&simulated(true, true, Some(shape))),
        }
    }
}
