//! Sizes of the static steps.

use super::calibrate::{Calibration, LayerStats};
use super::shapes::{LayerShapes, Shapes, per_query};
use crate::hf::LlamaConfig;

/// Headroom of down_proj's input, as 16 bits before its blocks take their exponents, over the calibrated range.
const H_ROOM: f32 = 2.0;

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

/// Sizes every step so that the calibrated ranges fit.
pub(super) fn choose(c: &LlamaConfig, shapes: &Shapes, stats: &Calibration) -> Steps {
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
        down_in: cover(&shape.down_in, &s.down_in.max, 32639.0 / H_ROOM),
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
        let each = rows.flat_map(|row| {
            row.iter().zip(&widest).map(|(v, w)| {
                let step = w * fraction;
                let code = (v / step + 0.5).floor().clamp(-8.0, 7.0);
                f64::from((v - code * step).abs()).powi(3)
            })
        });
        each.sum()
    };
    let fractions = (6..=20).map(|i| i as f32 / 20.0);
    let best = fractions.map(|f| (error(f), f)).min_by(|a, b| a.0.total_cmp(&b.0));
    let fraction = best.map_or(1.0, |b| b.1);
    widest.iter().map(|w| w * fraction).collect()
}
