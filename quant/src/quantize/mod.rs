//! From a float model to integers: calibration, step migration, pruning and weight levels, constants.
//!
//! Order of work in [`quantize`]:
//! 1. Layer by layer, on what the quantized layers before it produce: calibrate; choose the *shape* of
//!    every static step (its ratio between channels) and fold it into the columns of the weight that reads
//!    the channel (MergeQuant's step migration); find levels, group scales and row scales. Weights that
//!    already lie on a W2 grid keep it, and their shape is flat.
//! 2. Calibrate the model with those weights: the *size* of every step, and all scalar constants.
//! 3. Write the integer constants of `docs/numerics.md`.

mod assemble;
mod calibrate;
mod closed;
mod compensate;
mod constants;
mod grid;
pub(crate) mod levels;
mod plan;
mod recover;
mod refine;
mod shapes;
pub(crate) mod simulate;
mod steps;
mod table;
mod weights;

pub use calibrate::{Calibration, Channels, LayerStats, calibrate};
pub use closed::{Closed, Inputs, Pruning, Streams, closed_model};
pub use grid::GridWeight;
pub use levels::fit;
pub use recover::recover;
pub use refine::refine;
pub use simulate::Simulated;
pub use steps::{Clip, LayerSteps, Steps, clipped_value_shape, static_steps};
pub use table::{StepRow, step_table};
pub(crate) use weights::LayerGrids;

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
    /// tensor) to 1 (each channel its own step); `None` to choose per tensor by the output error.
    pub migration: Option<f32>,
    /// Let later columns of a weight make up for the error of earlier ones (SparseGPT). Better and slower:
    /// the square of each layer's widths in memory, their cube in time.
    pub compensate: bool,
    /// Default attention shape of the model; `None` for 4 sinks and up to 2,044 window tokens, within the
    /// positions the model was trained for.
    pub lambda: Option<LambdaShape>,
    /// 16-bit probabilities.
    pub prob_wide: bool,
    /// Calibration windows, cut from the start of the calibration text.
    pub calibration: Protocol,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            body: WeightFormat::W2Sparse,
            head: WeightFormat::W4,
            w4_layers: Vec::new(),
            migration: None,
            compensate: true,
            lambda: None,
            prob_wide: true,
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
    let weights = weights::quantize_weights(model, text, options)?;
    let dequantized = weights.dequantize(model);
    let after = calibrate(&dequantized, text, options.calibration)?;
    let steps = steps::choose(&model.config, &weights.shapes, &after);
    let quant = assemble::assemble(model, &weights, &steps, &after, options)?;
    quant.check(std::path::Path::new("quantizer output"))?;
    Ok(Quantized { model: quant, dequantized, steps, recovered: weights.recovered() })
}
