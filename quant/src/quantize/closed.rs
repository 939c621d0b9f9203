//! Closed-form quantization of a layer, without training: each linear is fitted to what the *float* model would
//! have added at this point, given the inputs that the *quantized* model has there.
//!
//! With `x` the quantized input and `t` the wanted output, the best float weight is
//! `W* = T (X^T X)^-1, T = sum t x^T` (the low-rank compensation of MergeQuant at full rank, merged before
//! rounding; GPTAQ's asymmetric calibration). For o and down the wanted output also contains what the residual
//! stream lacks so far. `W*` is pruned and rounded with error feedback (SparseGPT, GPTQ), then refined.

use super::inputs::Inputs;
use crate::calibrate::windows;
use crate::grid::{GridWeight, LayerShapes, gather_heads, spread_heads};
use crate::transform::per_query;
use accllm_hw::sizes::Linear;
use accllm_llm::Result;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{
    FloatLayer, FloatModel, LayerAt, Matrix, Site, Window, add, rms_norm, run_layer, silu_mul,
};
use accllm_llm::model::WeightFormat;
use accllm_llm::perplexity::Protocol;

/// How the two columns of four that 2:4 keeps are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pruning {
    /// The largest weights.
    Magnitude,
    /// The largest products of weight and norm of the input channel.
    Wanda,
    /// While rounding: the least error after compensation by the columns that follow.
    #[default]
    SparseGpt,
}

/// Choices of the closed-form fit.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// Formats of q, k, v, o, gate, up, down.
    pub formats: [WeightFormat; 7],
    /// Choice of kept columns.
    pub pruning: Pruning,
    /// Let later columns make up for the error of earlier ones.
    pub feedback: bool,
    /// Fit to the wanted outputs instead of the float weights.
    pub correct: bool,
    /// Rounds of coordinate descent after the fit.
    pub rounds: usize,
}

impl Default for Closed {
    fn default() -> Self {
        let formats = [WeightFormat::W2Sparse; 7];
        Self { formats, pruning: Pruning::SparseGpt, feedback: true, correct: true, rounds: 4 }
    }
}

/// Residual streams of the calibration windows, each `[tokens, hidden]`, before a layer.
#[derive(Clone, Debug)]
pub struct Streams {
    /// Of the float model.
    pub float: Vec<Vec<f32>>,
    /// Of the model quantized so far.
    pub quantized: Vec<Vec<f32>>,
}

/// What the float model has inside a layer and after it, of all windows.
struct Wanted {
    attn_in: Vec<f32>,
    middle: Vec<f32>,
    mlp_in: Vec<f32>,
    out: Vec<f32>,
}

impl Wanted {
    /// Of the layer before which the streams are; moves them past it.
    fn of(c: &LlamaConfig, layer: LayerAt<'_>, window: &Window, streams: &mut [Vec<f32>]) -> Self {
        let [mut attn_in, mut middle, mut mlp_in]: [Vec<f32>; 3] = Default::default();
        for x in streams.iter_mut() {
            run_layer(c, layer, window, x, &mut |site, _: usize, _: usize, data: &mut [f32]| match site {
                Site::AttnNorm => attn_in.extend_from_slice(data),
                Site::Middle => middle.extend_from_slice(data),
                Site::MlpNorm => mlp_in.extend_from_slice(data),
                _ => {}
            });
        }
        Self { attn_in, middle, mlp_in, out: streams.concat() }
    }
}

/// A weight's grid and its values, fitted towards the wanted outputs, or what the weight makes of the float model's inputs.
fn fitted(
    inputs: &Inputs,
    w: &Matrix,
    format: WeightFormat,
    how: &Closed,
    wanted: Option<&dyn Fn() -> Vec<f32>>,
) -> (GridWeight, Matrix) {
    let corrected = || match wanted {
        Some(wanted) => inputs.correct(w, &wanted()),
        None => inputs.follow(w),
    };
    let grid = inputs.found(w, format).unwrap_or_else(|| match how.correct {
        true => inputs.fit(&corrected(), format, how),
        false => inputs.fit(w, format, how),
    });
    let values = grid.dequantize();
    (grid, values)
}

/// Quantizes a layer, in which `shapes` were folded, and moves the streams past it. Returns the grids of q, k, v, o
/// (its columns spread per head), gate, up, down, and the layer with their values.
pub(crate) fn closed_layer(
    c: &LlamaConfig,
    layer: LayerAt<'_>,
    shapes: &LayerShapes,
    window: &Window,
    streams: &mut Streams,
    how: &Closed,
) -> ([GridWeight; 7], FloatLayer) {
    let Wanted { attn_in, middle, mlp_in, out } = Wanted::of(c, layer, window, &mut streams.float);
    let before: Vec<f32> = streams.quantized.concat();
    let [fq, fk, fv, fo, fgate, fup, fdown] = how.formats;
    let w = layer.weights;
    let mut back = w.clone();
    let one = |inputs: &Inputs, w: &Matrix, format, wanted: Option<&dyn Fn() -> Vec<f32>>| {
        fitted(inputs, w, format, how, wanted)
    };
    let (q, k, v, o, gate, up, down);
    // Large tensors are dropped as soon as they have served.
    {
        let inputs = Inputs::migrated(&rms_norm(&before, &w.attn_norm, c.norm_eps), &shapes.attn_in)
            .instead_of(attn_in);
        (q, back.q) = one(&inputs, &w.q, fq, None);
        (k, back.k) = one(&inputs, &w.k, fk, None);
        (v, back.v) = one(&inputs, &w.v, fv, None);
    }
    let mut x = before;
    {
        let attn_out = attention(c, back.at(layer.l), window, &streams.quantized);
        let shape = per_query(c, &shapes.value);
        let inputs = Inputs::of_o(&attn_out, &shape, c.sizes.head_dim, &middle, c.sizes.hidden);
        let wanted = || without(difference(&middle, &x), &w.biases[Linear::O]);
        let values;
        (o, values) = one(&inputs, &spread_heads(&w.o, c.sizes.head_dim), fo, Some(&wanted));
        back.o = gather_heads(&values, c.sizes.head_dim);
        drop(inputs);
        add(&mut x, &back.output(&attn_out));
    }
    drop(middle);
    let h = {
        let m = rms_norm(&x, &w.mlp_norm, c.norm_eps);
        let inputs = Inputs::migrated(&m, &shapes.mlp_in).instead_of(mlp_in);
        (gate, back.gate) = one(&inputs, &w.gate, fgate, None);
        (up, back.up) = one(&inputs, &w.up, fup, None);
        drop(inputs);
        down_input(c, &back, &m)
    };
    let inputs = Inputs::of_down(&h, &shapes.down_in, &out, c.sizes.hidden);
    let wanted = || without(difference(&out, &x), &w.biases[Linear::Down]);
    (down, back.down) = one(&inputs, &w.down, fdown, Some(&wanted));
    drop(inputs);
    add(&mut x, &back.down(&h));

    let mut rest = x.as_slice();
    for stream in &mut streams.quantized {
        let (head, tail) = rest.split_at(stream.len());
        stream.copy_from_slice(head);
        rest = tail;
    }
    ([q, k, v, o, gate, up, down], back)
}

/// Quantizes all layers of `model` on the calibration windows of `text` and returns the model with their values;
/// embedding, norms and head stay as they are.
pub fn closed_model(
    model: &FloatModel,
    text: &[u32],
    protocol: Protocol,
    how: &dyn Fn(usize) -> Closed,
) -> Result<FloatModel> {
    let c = &model.config;
    let texts = windows(text, protocol)?;
    let window = Window::new(c, protocol.window, None);
    let float = texts.iter().map(|w| model.embed_tokens(w)).collect::<Result<Vec<_>>>()?;
    let mut streams = Streams { quantized: float.clone(), float };
    let (mut out, flat) = (model.clone(), LayerShapes::flat(c));
    for (l, w) in out.layers.resident()?.iter_mut().enumerate() {
        *w = closed_layer(c, w.at(l), &flat, &window, &mut streams, &how(l)).1;
    }
    Ok(out)
}

/// The input of o for all streams.
fn attention(c: &LlamaConfig, layer: LayerAt<'_>, window: &Window, streams: &[Vec<f32>]) -> Vec<f32> {
    // The feed-forward part is not needed: one channel of zeros.
    let zeros = |rows, cols| Matrix { rows, cols, data: vec![0.0; rows * cols] };
    let mut biases = layer.weights.biases.clone();
    [Linear::Gate, Linear::Up, Linear::Down].into_iter().for_each(|l| biases[l].clear());
    let w = FloatLayer {
        gate: zeros(1, c.sizes.hidden),
        up: zeros(1, c.sizes.hidden),
        down: zeros(c.sizes.hidden, 1),
        biases,
        ..layer.weights.clone()
    };
    let mut out = Vec::new();
    for x in streams {
        run_layer(
            c,
            w.at(layer.l),
            window,
            &mut x.clone(),
            &mut |site, _: usize, _: usize, data: &mut [f32]| {
                if site == Site::AttnOut {
                    out.extend_from_slice(data);
                }
            },
        );
    }
    out
}

/// The input of down for `m`, `[tokens, hidden]`, a few thousand tokens at a time: the outputs of gate and up are large.
fn down_input(c: &LlamaConfig, w: &FloatLayer, m: &[f32]) -> Vec<f32> {
    const AT_ONCE: usize = 4096;
    let mut out = Vec::with_capacity(m.len() / c.sizes.hidden * c.sizes.ff);
    for m in m.chunks(AT_ONCE * c.sizes.hidden) {
        let [gate, up] = w.gate_up(m);
        out.extend(silu_mul(&gate, &up));
    }
    out
}

/// Outputs of a linear before `bias` is added, of those after it.
fn without(mut y: Vec<f32>, bias: &[f32]) -> Vec<f32> {
    if !bias.is_empty() {
        y.chunks_exact_mut(bias.len()).flat_map(|row| row.iter_mut().zip(bias)).for_each(|(y, b)| *y -= b);
    }
    y
}

fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}
