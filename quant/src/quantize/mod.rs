//! From a float model to integers: calibration, step migration, pruning and weight levels, constants.
//!
//! Order of work in [`quantize`]:
//! 1. Calibrate the float model: ranges per channel.
//! 2. Choose the *shape* of every static step (its ratio between channels) and fold it into the columns of
//!    the weight that reads the channel (MergeQuant's step migration). Weights that already lie on a W2 grid
//!    keep it: their shape is flat.
//! 3. Find levels, group scales and row scales of every weight.
//! 4. Calibrate the model with those weights: the *size* of every step, and all scalar constants.
//! 5. Write the integer constants of `docs/numerics.md`.

mod assemble;
mod calibrate;
mod constants;
mod grid;
mod levels;
mod recover;
mod shapes;
mod simulate;
mod steps;
mod table;
mod weights;

pub use calibrate::{Calibration, Channels, LayerStats, calibrate};
pub use grid::GridWeight;
pub use levels::fit;
pub use recover::recover;
pub use simulate::Simulated;
pub use steps::{LayerSteps, Steps};
pub use table::{StepRow, step_table};

use crate::Result;
use crate::float::FloatModel;
use crate::model::{LambdaShape, QuantModel, WeightFormat};
use crate::perplexity::Protocol;

/// Choices of the quantizer.
#[derive(Clone, Debug)]
pub struct Options {
    /// Format of the layers' weights (those that do not already lie on a W2 grid).
    pub body: WeightFormat,
    /// Format of the output head.
    pub head: WeightFormat,
    /// Layers whose weights are stored as W4 whatever `body` says.
    pub w4_layers: Vec<usize>,
    /// How much of the difference between channels moves from activations into weights, 0 (one step per
    /// tensor) to 1 (each channel its own step).
    pub migration: f32,
    /// Default attention shape of the model; `None` for 4 sinks and up to 2,044 window tokens, within the
    /// positions the model was trained for.
    pub lambda: Option<LambdaShape>,
    /// 16-bit probabilities.
    pub prob_wide: bool,
    /// 16-bit input of the down projection.
    pub h_wide: bool,
    /// Calibration windows, cut from the start of the calibration text.
    pub calibration: Protocol,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            body: WeightFormat::W2Sparse,
            head: WeightFormat::W4,
            w4_layers: Vec::new(),
            migration: 0.5,
            lambda: None,
            prob_wide: true,
            h_wide: true,
            calibration: Protocol { window: 320, windows: Some(32) },
        }
    }
}

/// Outcome of [`quantize`].
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The integer model.
    pub model: QuantModel,
    /// Float model with the quantized weights, for step-by-step comparison.
    pub dequantized: FloatModel,
    /// Static activation and V steps, in real units.
    pub steps: Steps,
    /// Layer linears whose stored weights already lay on the grid, of `7 * layers`.
    pub recovered: usize,
}

/// Quantizes `model`; `text` is the calibration token stream.
pub fn quantize(model: &FloatModel, text: &[u32], options: &Options) -> Result<Quantized> {
    let before = calibrate(model, text, options.calibration)?;
    let weights = weights::quantize_weights(model, &before, options)?;
    let dequantized = weights.dequantize(model);
    let after = calibrate(&dequantized, text, options.calibration)?;
    let steps = steps::choose(&model.config, &weights.shapes, &after, options);
    let quant = assemble::assemble(model, &weights, &steps, &after, options)?;
    quant.check(std::path::Path::new("quantizer output"))?;
    Ok(Quantized { model: quant, dequantized, steps, recovered: weights.recovered() })
}
