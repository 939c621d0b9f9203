//! Quantization step migration (MergeQuant): the ratio between the static steps of a tensor's channels moves
//! into the weights around it, so that one step per tensor is left. `1/s` goes into what produces the channel
//! (a norm's gain, the rows of W_v or W_up) and `s` into the columns of the weights that read it.

use super::{inverse, scale_columns, scale_rows};
use crate::calibrate::{Channels, LayerStats};
use crate::grid::{LayerShapes, fit};
use accllm_hw::config::COLS;
use accllm_hw::sizes::Linear;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatLayer, FloatModel, Matrix, on_rows};
use accllm_llm::model::{GROUP, WeightFormat};

/// Exponents of the range, and of the inverse norm of the weights' columns, that are compared when none is given.
const EXPONENTS: [(f32, f32); 7] =
    [(0.0, 0.0), (0.25, 0.0), (0.5, 0.0), (1.0, 0.0), (0.0, 0.5), (0.25, 0.5), (0.5, 0.5)];
/// Exponents of the range of whole groups, compared too: one step for the columns that share a scale leaves a weight on
/// the grid on which it lies.
const WHOLE: [f32; 3] = [0.5, 0.75, 1.0];
/// Keys that a query spreads its attention over: the rounding errors of their values are averaged, as if there were more
/// codes.
const KEYS: f32 = 32.0;
/// Weight rows on which they are compared.
const SAMPLE_ROWS: usize = 128;

/// A weight that reads a tensor, and the format it will have.
pub type Reader<'a> = (&'a Matrix, WeightFormat);

/// Folds `shapes` into the weights of a layer; its output stays the same.
pub fn migrate_layer(c: &LlamaConfig, w: &mut FloatLayer, shapes: &LayerShapes) {
    divide(&mut w.attn_norm, &shapes.attn_in);
    [&mut w.q, &mut w.k, &mut w.v].into_iter().for_each(|w| scale_columns(w, &shapes.attn_in));
    let (value, down_in) = (inverse(&shapes.value), inverse(&shapes.down_in));
    on_rows(&mut w.v, &mut w.biases[Linear::V], |w| scale_rows(w, &value));
    scale_columns(&mut w.o, &per_query(c, &shapes.value));
    divide(&mut w.mlp_norm, &shapes.mlp_in);
    [&mut w.gate, &mut w.up].into_iter().for_each(|w| scale_columns(w, &shapes.mlp_in));
    on_rows(&mut w.up, &mut w.biases[Linear::Up], |w| scale_rows(w, &down_in));
    scale_columns(&mut w.down, &shapes.down_in);
}

/// Folds `shape` into the last norm and the head; a tied head becomes a matrix of its own.
pub fn migrate_head(model: &mut FloatModel, shape: &[f32]) {
    divide(&mut model.final_norm, shape);
    let mut head = model.head.take().unwrap_or_else(|| model.embed.clone());
    scale_columns(&mut head, shape);
    model.head = Some(head);
}

/// The value shape as seen by o's columns: `[heads * head_dim]`, one KV head for each of its query heads.
pub(crate) fn per_query(c: &LlamaConfig, value: &[f32]) -> Vec<f32> {
    (0..c.sizes.heads)
        .flat_map(|h| value[h / c.sizes.group() * c.sizes.head_dim..][..c.sizes.head_dim].iter().copied())
        .collect()
}

fn divide(gain: &mut [f32], shape: &[f32]) {
    gain.iter_mut().zip(shape).for_each(|(g, s)| *g /= s);
}

/// Shapes for a layer calibrated as `s`, whose weights q, k, v, o, gate, up and down will have `formats`.
/// `exponent` as for [`choose_shape`].
pub fn choose_layer(
    c: &LlamaConfig,
    w: &FloatLayer,
    s: &LayerStats,
    formats: &[WeightFormat; 7],
    exponent: Option<f32>,
) -> LayerShapes {
    let [q, k, v, o, gate, up, down] = *formats;
    let members: Vec<Matrix> = (0..c.sizes.group()).map(|g| member_of_group(c, &w.o, g)).collect();
    let by_kv: Vec<Reader<'_>> = members.iter().map(|m| (m, o)).collect();
    let averaged = Codes::Static(7.5 * KEYS.sqrt());
    // What pruning does to o hides what rounding does to values; shared by 32 channels, their steps would be too large.
    let of_values = (o == WeightFormat::W2Sparse).then_some(1.0);
    LayerShapes {
        attn_in: choose_shape(&s.attn_in, &[(&w.q, q), (&w.k, k), (&w.v, v)], Codes::Static(127.0), exponent),
        value: choose_shape(&s.value, &by_kv, averaged, exponent.or(of_values)),
        mlp_in: choose_shape(&s.mlp_in, &[(&w.gate, gate), (&w.up, up)], Codes::Static(127.0), exponent),
        down_in: choose_shape(&s.down_in, &[(&w.down, down)], Codes::Blocks, exponent),
    }
}

/// The shape of the head's input.
pub fn choose_head(
    model: &FloatModel,
    head_in: &Channels,
    format: WeightFormat,
    exponent: Option<f32>,
) -> Vec<f32> {
    choose_shape(head_in, &[(model.head(), format)], Codes::Static(127.0), exponent)
}

/// The columns of `o` that belong to query head `member` of each KV head: `[hidden, kv_heads * head_dim]`.
fn member_of_group(c: &LlamaConfig, o: &Matrix, member: usize) -> Matrix {
    let heads = o.data.chunks_exact(c.sizes.head_dim).skip(member).step_by(c.sizes.group());
    Matrix { rows: o.rows, cols: c.sizes.kv_width(), data: heads.flatten().copied().collect() }
}

/// How a tensor is rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Codes {
    /// To so many codes a side of static steps.
    Static(f32),
    /// To int8 with an exponent for each token and block of columns.
    Blocks,
}

impl Codes {
    /// Mean square of the rounding error of each channel of the migrated tensor: `step^2 / 12`.
    fn noise(self, channels: &Channels, shape: &[f32]) -> Vec<f32> {
        let width = shape.len();
        match self {
            Codes::Static(codes) => {
                let factor = channels.max.iter().zip(shape).map(|(m, s)| m / s).fold(0.0, f32::max) / codes;
                vec![factor * factor / 12.0; width]
            }
            Codes::Blocks => {
                // A block's step is the power of two from 1/128 to 1/64 of its largest value: 7/3 of the least square.
                let part = 7.0 / 3.0 / 12.0 / (128.0 * 128.0);
                let block = |first: usize| {
                    let here = first..(first + COLS).min(width);
                    let rows = channels.kept.chunks_exact(width);
                    let most = rows.map(|row| {
                        let each = row[here.clone()].iter().zip(&shape[here.clone()]);
                        each.map(|(x, s)| (x / s).abs()).fold(0.0, f32::max)
                    });
                    // The middle one: of a typical token.
                    let mut most: Vec<f32> = most.collect();
                    most.sort_by(f32::total_cmp);
                    let middle = most.get(most.len() / 2).copied().unwrap_or_default();
                    vec![middle * middle * part; here.len()]
                };
                (0..width).step_by(COLS).flat_map(block).collect()
            }
        }
    }
}

/// Shape of the steps of `channels`, read by `readers`: `(max[c] / max)^exponent`. Without an exponent that of
/// [`EXPONENTS`] and [`WHOLE`] is taken which gives the least output error: weight rounding plus activation rounding to
/// `codes`. A strong channel takes small weights, or else it sets the scale of its group. Where weights are pruned only
/// [`WHOLE`] is compared: a step of its own for each channel costs them more than the activations gain.
pub fn choose_shape(
    channels: &Channels,
    readers: &[Reader<'_>],
    codes: Codes,
    exponent: Option<f32>,
) -> Vec<f32> {
    if let Some(exponent) = exponent {
        return shape(&channels.max, None, exponent, 0.0);
    }
    let power = channels.power();
    let samples: Vec<_> = readers.iter().map(|(w, format)| (sample(w), *format)).collect();
    let norms = column_norms(readers);
    let whole: Vec<f32> = channels.max.chunks(GROUP).flat_map(|g| vec![most(g); g.len()]).collect();
    let pruned = readers.iter().any(|(_, format)| *format == WeightFormat::W2Sparse);
    let single = if pruned { &EXPONENTS[..1] } else { &EXPONENTS[..] };
    let single = single.iter().map(|(range, weight)| shape(&channels.max, Some(&norms), *range, *weight));
    let shapes = single.chain(WHOLE.iter().map(|range| shape(&whole, None, *range, 0.0)));
    let errors = shapes.map(|shape| {
        let each =
            samples.iter().map(|(w, format)| output_error(w, *format, channels, &power, &shape, codes));
        (each.sum::<f64>(), shape)
    });
    let best = errors.min_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|b| b.1).unwrap_or_default()
}

/// `max[c]^range / norms[c]^weight` over its largest, kept above `2^-10`; flat where nothing was seen.
fn shape(max: &[f32], norms: Option<&[f32]>, range: f32, weight: f32) -> Vec<f32> {
    let top = most(max);
    let mut shape: Vec<f32> = match top > 0.0 {
        true => max.iter().map(|m| (m / top).max(1.0 / 1024.0).powf(range)).collect(),
        false => vec![1.0; max.len()],
    };
    if let Some(norms) = norms.filter(|n| weight > 0.0 && most(n) > 0.0) {
        let top = most(norms);
        shape.iter_mut().zip(norms).for_each(|(s, n)| *s /= (n / top).max(1.0 / 1024.0).powf(weight));
        let top = most(&shape);
        shape.iter_mut().for_each(|s| *s = (*s / top).max(1.0 / 1024.0));
    }
    shape
}

fn most(of: &[f32]) -> f32 {
    of.iter().copied().fold(0.0, f32::max)
}

/// Norm of each column over all readers.
fn column_norms(readers: &[Reader<'_>]) -> Vec<f32> {
    let mut sums = vec![0.0f32; readers.first().map_or(0, |(w, _)| w.cols)];
    for row in readers.iter().flat_map(|(w, _)| w.data.chunks_exact(w.cols)) {
        sums.iter_mut().zip(row).for_each(|(s, w)| *s += w * w);
    }
    sums.into_iter().map(f32::sqrt).collect()
}

/// Some rows of a matrix, evenly spaced.
fn sample(w: &Matrix) -> Matrix {
    let stride = w.rows.div_ceil(SAMPLE_ROWS).max(1);
    let data: Vec<f32> = w.data.chunks_exact(w.cols).step_by(stride).flatten().copied().collect();
    Matrix { rows: data.len() / w.cols, cols: w.cols, data }
}

/// Expected squared output error of a weight, summed over rows.
fn output_error(
    w: &Matrix,
    format: WeightFormat,
    channels: &Channels,
    power: &[f32],
    shape: &[f32],
    codes: Codes,
) -> f64 {
    let mut migrated = w.clone();
    scale_columns(&mut migrated, shape);
    let power: Vec<f32> = power.iter().zip(shape).map(|(p, s)| p / (s * s)).collect();
    let fitted = fit(&migrated, &power, &vec![true; w.cols], format).dequantize();
    let noise = codes.noise(channels, shape);
    let elements = migrated.data.iter().zip(&fitted.data).enumerate();
    elements
        .map(|(i, (w, q))| {
            let (e, c) = (f64::from(w - q), i % shape.len());
            e * e * f64::from(power[c]) + f64::from(noise[c]) * f64::from(*w) * f64::from(*w)
        })
        .sum()
}
