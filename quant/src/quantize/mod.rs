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
mod closed;
mod compensate;
mod constants;
mod fit;
mod heads;
mod inputs;
mod options;
mod prefix;
mod recover;
mod refine;
mod sensitivity;
pub(crate) mod simulate;
mod steps;
mod table;
mod weights;
mod work;
mod written;

pub use assign::{Assignment, Candidate, FORMATS, assign_formats};
pub use closed::{Closed, Pruning, Streams, closed_model};
pub use inputs::Inputs;
pub use options::{Options, default_lambda};
pub use recover::recover;
pub use refine::refine;
pub use sensitivity::{Damage, divergence, sensitivity};
pub use simulate::{DownInput, KeyGrid, Parts, Rounded, Simulated};
pub use steps::{Clip, LayerSteps, Steps, clipped_value_shape, shaped_steps, static_steps};
pub(crate) use steps::{DOWN_CODES, flat_value_step};
pub use table::{StepRow, step_table};
pub(crate) use work::{Work, json_of_model, kept_json};
pub use written::self_text;

use self::fit::find_grids;
use crate::calibrate::{calibrate_behind, ranges_behind, watch, windows};
use crate::grid::{GridWeight, on_w4_grid};
use crate::train::Reached;
use crate::transform::{
    KeySample, Keys, choose_layer, match_keys, migrate_layer, order_channels, rotate_residual,
};
use accllm_hw::sizes::Linear;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatModel, Matrix};
use accllm_llm::model::{QuantModel, WeightFormat};
use accllm_llm::{Error, Result};

/// Outcome of [`quantize`].
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The integer model.
    pub model: QuantModel,
    /// Float model with the quantized weights, for step-by-step comparison.
    pub dequantized: FloatModel,
    /// Static activation and V steps, in real units.
    pub steps: Steps,
    /// Layer linears that came on a grid, of `7 * layers`.
    pub recovered: usize,
    /// Tokens of calibration text that the weights are fitted on, prefixes of windows included.
    pub tokens: usize,
}

/// Quantizes `model`; `text` is the calibration token stream.
pub fn quantize(model: &FloatModel, text: &[u32], options: &Options) -> Result<Quantized> {
    quantize_with(model.clone(), text, options, None, &mut |_| {})
}

/// [`quantize`] that tells how far it is, and keeps what is finished of the training in a folder, from which a later
/// run with the same model, text and options goes on. Layers in memory are dropped when they have served.
pub fn quantize_with(
    model: FloatModel,
    text: &[u32],
    options: &Options,
    folder: Option<&std::path::Path>,
    progress: &mut dyn FnMut(Reached),
) -> Result<Quantized> {
    integers(model, None, text, options, folder, progress)
}

/// The same model with its q and k matched as `options` say, and the steps of its activations moved into its weights, as
/// [`quantize`] does before weights of these formats are fitted. The head stays as it is.
///
/// # Errors
/// The text is shorter than a window, or a layer cannot be read.
pub fn migrated(model: &FloatModel, text: &[u32], options: &Options) -> Result<FloatModel> {
    let mut model = changed(model.clone(), text, options)?;
    let stats = ranges_behind(&model, text, options.calibration, 0)?;
    let c = model.config.clone();
    for (l, (w, stats)) in model.layers.resident()?.iter_mut().zip(&stats.layers).enumerate() {
        let shapes = choose_layer(&c, w, stats, &options.formats(l), options.migration);
        migrate_layer(&c, w, &shapes);
    }
    Ok(model)
}

/// The grids of a trained model.
#[derive(Clone, Debug, PartialEq)]
pub struct Grids {
    /// Of each layer's q, k, v, o, gate, up and down.
    pub layers: Vec<[GridWeight; 7]>,
    /// Of the head.
    pub head: GridWeight,
}

impl Grids {
    fn check(&self, c: &LlamaConfig, options: &Options) -> Result<()> {
        let of = |w: &GridWeight| (w.grid.format, w.grid.rows, w.grid.cols);
        let wrong = |what: String| Err(Error::Argument(format!("grids of another model: {what}")));
        if of(&self.head) != (options.head, c.sizes.vocab, c.sizes.hidden) {
            return wrong(format!("the head has {:?}", of(&self.head)));
        }
        if c.sizes.head_stride() != c.sizes.head_dim {
            return wrong(format!("heads of {} are not whole groups", c.sizes.head_dim));
        }
        if self.layers.len() != c.sizes.layers {
            return wrong(format!("{} layers", self.layers.len()));
        }
        for (l, grids) in self.layers.iter().enumerate() {
            for ((grid, format), linear) in grids.iter().zip(options.formats(l)).zip(Linear::LAYER) {
                let (rows, cols) = c.sizes.linear(linear);
                if of(grid) != (format, rows, cols) {
                    return wrong(format!("{linear:?} of layer {l} has {:?}", of(grid)));
                }
            }
        }
        Ok(())
    }
}

/// [`quantize_with`] of a trained model, whose grids it keeps.
///
/// # Errors
/// As [`quantize_with`]; the grids have other formats or sizes than the model's.
pub fn quantize_trained(
    model: FloatModel,
    grids: Grids,
    text: &[u32],
    options: &Options,
    progress: &mut dyn FnMut(Reached),
) -> Result<Quantized> {
    grids.check(&model.config, options)?;
    integers(model, Some(grids), text, options, None, progress)
}

fn integers(
    model: FloatModel,
    grids: Option<Grids>,
    text: &[u32],
    options: &Options,
    folder: Option<&std::path::Path>,
    progress: &mut dyn FnMut(Reached),
) -> Result<Quantized> {
    options.check(&model.config)?;
    let text = &*prefix::behind(text, options)?;
    let model = changed(model, text, options)?;
    let config = model.config.clone();
    let weights = match grids {
        Some(grids) => weights::kept_weights(model, grids, progress)?,
        None => weights::quantize_weights(model, text, options, folder, progress)?,
    };
    let dequantized = weights.dequantize(&config);
    let after = ranges_behind(&dequantized, text, options.calibration, options.prefix.len())?;
    let steps = static_steps(&dequantized, &after, Clip::None)?;
    let quant = assemble::assemble(&weights, &dequantized, &steps, &after, options)?;
    quant.check(std::path::Path::new("quantizer output"))?;
    let tokens = windows(text, options.calibration)?.iter().map(|w| w.len()).sum();
    Ok(Quantized { model: quant, dequantized, steps, recovered: weights.recovered(), tokens })
}

/// The model with its residual stream rotated, its channels ordered, and q and k matched, where that is asked for.
fn changed(mut model: FloatModel, text: &[u32], options: &Options) -> Result<FloatModel> {
    let order = options.order && !on_grid(&model, options)?;
    let matched = options.keys != Keys::Plain && !keys_on_grid(&model, options)?;
    if let Some(seed) = options.rotate {
        rotate_residual(&mut model, seed)?;
    }
    if order {
        let stats = calibrate_behind(&model, text, options.calibration, options.prefix.len())?;
        order_channels(&mut model, &stats, &|l| options.formats(l))?;
    }
    if matched {
        let mut keys = KeySample::new(&model.config);
        watch(&model, text, options.calibration, options.prefix.len(), &mut keys)?;
        match_keys(&mut model, &keys, options.keys)?;
    }
    Ok(model)
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
    let found = |w: &Matrix| on_w4_grid(w, &vec![1.0; w.cols], &vec![true; w.cols]).is_some();
    Ok(wide.into_iter().any(|(w, _)| found(w)))
}
