//! Sizes of the static steps.

use crate::calibrate::{Calibration, Channels, LayerStats};
use crate::grid::LayerShapes;
use crate::transform::per_query;
use accllm_hw::fixed::H_MAX;
use accllm_llm::Result;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatModel, Matrix};

/// All shapes of a model.
#[derive(Clone, Debug)]
struct Shapes {
    layers: Vec<LayerShapes>,
    /// Input of the head: `[hidden]`.
    head_in: Vec<f32>,
}

/// Headroom of down_proj's input, before its blocks take their exponents, over the calibrated range.
const H_ROOM: f32 = 4.0;
/// Codes of down_proj's input that the calibrated range takes.
pub(crate) const DOWN_CODES: f32 = H_MAX as f32 / H_ROOM;

/// Static steps of one layer: real value of one code.
#[derive(Clone, Debug)]
pub struct LayerSteps {
    /// Input of q, k, v: `[hidden]`.
    pub attn_in: Vec<f32>,
    /// V codes: `[kv_heads * head_dim]`.
    pub value: Vec<f32>,
    /// Attention output codes in V codes: the input step of o is `value * out`.
    pub out: f32,
    /// Input of gate and up: `[hidden]`.
    pub mlp_in: Vec<f32>,
    /// Input of down: `[ffn]`.
    pub down_in: Vec<f32>,
}

/// Static steps of a model.
#[derive(Clone, Debug)]
pub struct Steps {
    /// Per layer.
    pub layers: Vec<LayerSteps>,
    /// Input of the head: `[hidden]`.
    pub head_in: Vec<f32>,
}

/// How the range of a static step is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clip {
    /// The calibrated maximum fits.
    #[default]
    None,
    /// The size of least error over some calibrated rows, clipping included, weighted by the energy of the
    /// weight columns that read each channel (MergeQuant's adaptive clipping).
    Search,
}

/// Steps of a model whose migration is in its weights: one per tensor.
pub fn static_steps(model: &FloatModel, stats: &Calibration, clip: Clip) -> Result<Steps> {
    let c = &model.config;
    shaped_steps(model, vec![LayerShapes::flat(c); c.sizes.layers], vec![1.0; c.sizes.hidden], stats, clip)
}

/// Steps with the shapes of a migration, for the model it has not been folded into: rounding with them is the same
/// as rounding the migrated model with one step per tensor.
pub fn shaped_steps(
    model: &FloatModel,
    layers: Vec<LayerShapes>,
    head_in: Vec<f32>,
    stats: &Calibration,
    clip: Clip,
) -> Result<Steps> {
    let c = &model.config;
    let mut steps = choose(c, &Shapes { layers, head_in }, stats);
    if clip == Clip::None {
        return Ok(steps);
    }
    let mut out = Vec::with_capacity(c.sizes.layers);
    for ((steps, w), s) in steps.layers.iter_mut().zip(model.layers.iter()).zip(&stats.layers) {
        let w = w?;
        shrink(&mut steps.attn_in, &s.attn_in, &[&w.q, &w.k, &w.v]);
        shrink(&mut steps.mlp_in, &s.mlp_in, &[&w.gate, &w.up]);
        out.push(energy(&[&w.o]));
    }
    shrink(&mut steps.head_in, &stats.head_in, &[model.head()]);
    // The step of o's input is shared by all layers: each counts by its error relative to its size.
    let layers = || out.iter().zip(&stats.layers).zip(&steps.layers);
    let fraction = best_fraction(|f| {
        let each = layers().map(|((energy, s), steps)| {
            let inputs = per_query(c, &steps.value);
            let step: Vec<f32> = inputs.iter().map(|v| v * steps.out * f).collect();
            let size = rounding_error(&s.attn_out.kept, energy, &vec![f32::INFINITY; step.len()]);
            if size > 0.0 { rounding_error(&s.attn_out.kept, energy, &step) / size } else { 0.0 }
        });
        each.sum()
    });
    steps.layers.iter_mut().for_each(|l| l.out *= fraction);
    Ok(steps)
}

/// Multiplies `step` by the factor of least error.
fn shrink(step: &mut [f32], channels: &Channels, readers: &[&Matrix]) {
    let energy = energy(readers);
    let fraction = best_fraction(|f| {
        let tried: Vec<f32> = step.iter().map(|s| s * f).collect();
        rounding_error(&channels.kept, &energy, &tried)
    });
    step.iter_mut().for_each(|s| *s *= fraction);
}

/// The fraction of least error; the largest among equals.
fn best_fraction(error: impl Fn(f32) -> f64) -> f32 {
    let tried = (4..=20).rev().map(|i| i as f32 / 20.0).map(|f| (error(f), f));
    tried.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(1.0, |b| b.1)
}

/// Sum of squares of each column over all of `readers`.
fn energy(readers: &[&Matrix]) -> Vec<f32> {
    let mut sum = vec![0.0f32; readers.first().map_or(0, |w| w.cols)];
    for row in readers.iter().flat_map(|w| w.data.chunks_exact(w.cols)) {
        sum.iter_mut().zip(row).for_each(|(s, w)| *s += w * w);
    }
    sum
}

/// Squared error of `rows` on int8 codes of `step`, weighted per column; an infinite step rounds all to zero.
fn rounding_error(rows: &[f32], weight: &[f32], step: &[f32]) -> f64 {
    let each = rows.chunks_exact(step.len().max(1)).map(|row| {
        let parts = row.iter().zip(weight).zip(step).map(|((v, w), s)| {
            let back = if s.is_finite() { (v / s).round().clamp(-128.0, 127.0) * s } else { 0.0 };
            w * (v - back) * (v - back)
        });
        f64::from(parts.sum::<f32>())
    });
    each.sum()
}

/// Sizes every step so that the calibrated ranges fit.
fn choose(c: &LlamaConfig, shapes: &Shapes, stats: &Calibration) -> Steps {
    let layers = shapes.layers.iter().zip(&stats.layers).map(|(shape, s)| layer(c, shape, s));
    let mut layers: Vec<LayerSteps> = layers.collect();
    // One step for all layers: it is a constant of the instructions, which are shared.
    let out = layers.iter().map(|l| l.out).fold(0.0, f32::max);
    let out = if out > 0.0 { out } else { 1.0 };
    layers.iter_mut().for_each(|l| l.out = out);
    Steps { layers, head_in: cover(&shapes.head_in, &stats.head_in.max, 127.0) }
}

fn layer(c: &LlamaConfig, shape: &LayerShapes, s: &LayerStats) -> LayerSteps {
    let value = value_steps(&shape.value, s);
    let codes = s.attn_out.max.iter().zip(per_query(c, &value)).map(|(max, step)| max / step);
    let out = codes.fold(0.0, f32::max) / 127.0;
    LayerSteps {
        attn_in: cover(&shape.attn_in, &s.attn_in.max, 127.0),
        out,
        value,
        mlp_in: cover(&shape.mlp_in, &s.mlp_in.max, 127.0),
        down_in: cover(&shape.down_in, &s.down_in.max, DOWN_CODES),
    }
}

/// `shape` times the smallest factor for which no channel passes `codes`.
fn cover(shape: &[f32], max: &[f32], codes: f32) -> Vec<f32> {
    let factor = shape.iter().zip(max).map(|(s, m)| m / s).fold(0.0, f32::max) / codes;
    let factor = if factor > 0.0 { factor } else { 1.0 };
    shape.iter().map(|s| s * factor).collect()
}

/// V's steps: the size of least cubed error over the calibrated rows, clipping included. (Squared error clips
/// more than perplexity likes: 9.928 against 9.904 on the bundled model with KV4 simulated.)
pub(super) fn value_steps(shape: &[f32], s: &LayerStats) -> Vec<f32> {
    let widest = cover(shape, &s.value.max, 7.5);
    let error = |fraction: f32| -> f64 {
        let rows = s.value_rows.chunks_exact(shape.len());
        let each = rows.flat_map(|row| row.iter().zip(&widest).map(|(v, w)| value_error(*v, w * fraction)));
        each.sum()
    };
    let fractions = (4..=20).map(|i| i as f32 / 20.0);
    let best = fractions.map(|f| (error(f), f)).min_by(|a, b| a.0.total_cmp(&b.0));
    let fraction = best.map_or(1.0, |b| b.1);
    widest.iter().map(|w| w * fraction).collect()
}

/// [`value_steps`] of one step for all channels, from values alone.
pub(crate) fn flat_value_step(values: &[f32]) -> f32 {
    let widest = values.iter().map(|v| v.abs()).fold(0.0, f32::max) / 7.5;
    let error = |f: f32| -> f64 { values.iter().map(|v| value_error(*v, widest * f)).sum() };
    if widest > 0.0 { widest * best_fraction(error) } else { 1.0 }
}

/// Shape of V's steps by adaptive clipping per channel: each channel's step of least cubed error over the
/// calibrated rows; the largest is 1.
pub fn clipped_value_shape(s: &LayerStats) -> Vec<f32> {
    let width = s.value.max.len();
    let best = |c: usize| {
        let widest = s.value.max[c] / 7.5;
        let column = || s.value_rows.iter().skip(c).step_by(width.max(1));
        let error = |f: f32| -> f64 { column().map(|v| value_error(*v, widest * f)).sum() };
        if widest > 0.0 { widest * best_fraction(error) } else { 0.0 }
    };
    let steps: Vec<f32> = (0..width).map(best).collect();
    let largest = steps.iter().copied().fold(0.0, f32::max);
    steps.iter().map(|s| if largest > 0.0 { (s / largest).max(1.0 / 1024.0) } else { 1.0 }).collect()
}

/// Cubed error of a value on 4-bit codes of `step`.
fn value_error(v: f32, step: f32) -> f64 {
    let code = (v / step + 0.5).floor().clamp(-8.0, 7.0);
    f64::from((v - code * step).abs()).powi(3)
}
