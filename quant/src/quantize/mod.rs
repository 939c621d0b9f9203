//! From a float model to integers: calibration, step migration, pruning and weight levels, constants.
//!
//! Order of work in [`quantize`]:
//! 1. Rotate the residual stream, order channels, match q and k, where that is asked for.
//! 2. Layer by layer, on what the quantized layers before it produce: split strong channels, calibrate, move the
//!    *shape* of every static step (its ratio between channels) into the weights (MergeQuant's step migration); find
//!    levels, group scales and row scales; train them to give what the float layer gives ([`crate::train`]). Weights
//!    that already lie on a W2 grid keep it, and their shape is flat.
//! 3. Calibrate the model with those weights: the *size* of every step, and all scalar constants.
//! 4. Write the integer constants of `docs/numerics.md`.

mod assemble;
mod assign;
mod calibrate;
mod closed;
mod compensate;
mod constants;
mod fit;
mod grid;
mod inputs;
mod layer;
pub(crate) mod levels;
mod recover;
mod refine;
mod sensitivity;
pub(crate) mod shapes;
pub(crate) mod simulate;
mod steps;
mod table;
mod weights;
mod work;
mod written;

pub use assemble::default_lambda;
pub use assign::{Assignment, Candidate, FORMATS, LINEARS, assign_formats, linear_sizes};
pub use calibrate::{Calibration, Channels, LayerStats, calibrate, calibrate_behind};
pub(crate) use calibrate::{watch, windows};
pub use closed::{Closed, Pruning, Streams, closed_model};
pub use grid::GridWeight;
pub(crate) use grid::{GridRow, OFFSET, Step, unit};
pub use inputs::Inputs;
pub(crate) use layer::{GridLayer, LayerGrids, Weights};
pub use levels::fit;
pub use recover::recover;
pub use refine::refine;
pub use sensitivity::{Damage, divergence, sensitivity};
pub(crate) use simulate::hadamard;
pub use simulate::{DownInput, KeyGrid, Parts, Rounded, Simulated};
pub use steps::{Clip, LayerSteps, Steps, clipped_value_shape, shaped_steps, static_steps};
pub use table::{StepRow, step_table};
pub(crate) use work::replace;
pub use written::self_text;

use self::fit::find_grids;
use crate::Result;
use crate::float::{FloatModel, Matrix};
use crate::model::{LambdaShape, QuantModel, WeightFormat};
use crate::perplexity::Protocol;
use crate::train::Training;
use crate::transform::{KeySample, Keys, match_keys, order_channels, rotate_residual};

/// Choices of the quantizer.
#[derive(Clone, Debug)]
pub struct Options {
    /// Format of the layers' weights (those that do not already lie on a W2 grid).
    pub body: WeightFormat,
    /// Format of the output head.
    pub head: WeightFormat,
    /// Formats of each layer's q, k, v, o, gate, up and down; empty for `body` everywhere.
    pub layer_formats: Vec<[WeightFormat; 7]>,
    /// What is done to q and k for the rounding of K ([`match_keys`]); not where they already lie on a W2 grid, which
    /// would be lost. (A W4 grid is lost: they are fitted anew.)
    pub keys: Keys,
    /// Channels that are split in two, at most, in each of two tensors of a layer, while as many weak ones are dropped
    /// ([`crate::transform::split_down`], [`crate::transform::split_values`]); 0 for none.
    pub dimensions: usize,
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
            keys: Keys::AsTheyAre,
            dimensions: 0,
            rotate: None,
            order: false,
            reconstruction: None,
            end_to_end: None,
            migration: None,
            closed: Closed::default(),
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
}

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Layers finished.
    pub layer: usize,
    /// Layers in all.
    pub layers: usize,
    /// Training steps done of the layer at work.
    pub step: usize,
    /// Training steps of a layer.
    pub steps: usize,
    /// Loss of the last step.
    pub loss: Option<f64>,
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
    quantize_with(model, text, options, None, &mut |_| {})
}

/// [`quantize`] that tells how far it is, and keeps what is finished of the training in a folder, from which a later
/// run with the same model, text and options goes on.
pub fn quantize_with(
    model: &FloatModel,
    text: &[u32],
    options: &Options,
    folder: Option<&std::path::Path>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Quantized> {
    let changed = changed(model, text, options)?;
    let model = changed.as_ref().unwrap_or(model);
    let c = &model.config;
    let weights = weights::quantize_weights(model, text, options, folder, progress)?;
    let dequantized = weights.dequantize(c);
    let after = calibrate(&dequantized, text, options.calibration)?;
    let steps = static_steps(&dequantized, &after, Clip::None)?;
    let quant = assemble::assemble(c, &weights, &steps, &after, options)?;
    quant.check(std::path::Path::new("quantizer output"))?;
    Ok(Quantized { model: quant, dequantized, steps, recovered: weights.recovered() })
}

/// The model with its residual stream rotated, its channels ordered, and q and k matched, where that is asked for.
fn changed(model: &FloatModel, text: &[u32], options: &Options) -> Result<Option<FloatModel>> {
    let order = options.order && !on_grid(model, options)?;
    let matched = options.keys != Keys::AsTheyAre && !keys_on_grid(model, options)?;
    if options.rotate.is_none() && !order && !matched {
        return Ok(None);
    }
    let mut model = model.clone();
    if let Some(seed) = options.rotate {
        rotate_residual(&mut model, seed)?;
    }
    if order {
        let stats = calibrate(&model, text, options.calibration)?;
        order_channels(&mut model, &stats, &|l| options.formats(l))?;
    }
    if matched {
        let mut keys = KeySample::new(&model.config);
        watch(&model, text, options.calibration, &mut keys)?;
        match_keys(&mut model, &keys, options.keys)?;
    }
    Ok(Some(model))
}

/// Whether q or k of the first layer already lie on a W2 grid.
fn keys_on_grid(model: &FloatModel, options: &Options) -> Result<bool> {
    Ok(find_grids(&model.config, 0, &*model.layer(0)?, options)[..2].iter().any(Option::is_some))
}

/// Whether weights of the first layer already lie on a grid of their format.
fn on_grid(model: &FloatModel, options: &Options) -> Result<bool> {
    let w = model.layer(0)?;
    if find_grids(&model.config, 0, &w, options).iter().any(Option::is_some) {
        return Ok(true);
    }
    let linears = [&w.q, &w.k, &w.v, &w.o, &w.gate, &w.up, &w.down].into_iter();
    let wide = linears.zip(options.formats(0)).filter(|(_, f)| *f == WeightFormat::W4);
    let found = |w: &Matrix| levels::on_w4_grid(w, &vec![1.0; w.cols], &vec![true; w.cols]).is_some();
    Ok(wide.into_iter().any(|(w, _)| found(w)))
}
