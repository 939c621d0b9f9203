//! Real values of a quantized model's integers. Each formula is the inverse of one in `docs/numerics.md`.

use crate::config::LlamaConfig;
use crate::float::{Biases, FloatLayer, FloatModel, LayerStore, Layers, Matrix, on_rows};
use crate::model::{Layer, Norm, QuantModel, Weight};
use crate::{Error, Result};
use accllm_hw::sizes::Linear;
use std::sync::Arc;

/// Most weights in layers that are held as floats; a larger model's layers are made when they are asked for.
const RESIDENT: usize = 1 << 28;
/// Fraction bits of `gate`, of SiLU's result and of the attention's output.
const FRAC: i32 = 12;

/// The model with its integer weights in float. Rows are in the order of a checkpoint, and the steps of the activations
/// are in gains and rows, as in the integers: other numbers than those of the checkpoint, and the same function.
///
/// # Errors
/// The model's texts have a prefix, whose keys and values a checkpoint cannot hold, or its norms differ in `eps`.
pub fn float(model: Arc<QuantModel>) -> Result<FloatModel> {
    if !model.prefix.tokens.is_empty() {
        return Err(Error::Argument(
            "the model was made with --prefix, and a checkpoint has no place for the prefix; quantize it without".into(),
        ));
    }
    let config = config(&model)?;
    let embed = f64::from(model.embed_shift).exp2() * lsb(model.resid_frac);
    let embed = Matrix {
        rows: config.sizes.vocab,
        cols: config.sizes.hidden,
        data: model.embed.iter().map(|v| (f64::from(*v) * embed) as f32).collect(),
    };
    let final_norm = gain(&model.final_norm);
    let head = Some(matrix(&model.head, lsb(model.logit_frac)));
    let weights: usize =
        model.layers.iter().flat_map(Layer::linears).map(|(_, w)| w.grid.rows * w.grid.cols).sum();
    let count = model.layers.len();
    let layers = Layers::Stored { count, store: Arc::new(Integers(model)) };
    let layers = match weights <= RESIDENT {
        true => layers.into_each().collect::<Result<Vec<_>>>()?.into(),
        false => layers,
    };
    Ok(FloatModel { config, embed, layers, final_norm, head })
}

fn config(model: &QuantModel) -> Result<LlamaConfig> {
    let a = &model.arch;
    let eps = model.final_norm.eps;
    if let Some(l) = model.layers.iter().position(|l| l.attn_norm.eps != eps || l.mlp_norm.eps != eps) {
        return Err(Error::Argument(format!(
            "the norms of layer {l} have another eps than the last one, and a checkpoint has one for all"
        )));
    }
    let head_norms = model.layers.iter().any(|l| l.head_norms.is_some());
    let unrotated: Vec<usize> =
        (0..).zip(&model.layers).filter(|(_, w)| !w.rotates()).map(|(l, _)| l).collect();
    if head_norms && !unrotated.is_empty() {
        return Err(Error::Argument(
            "the model has norms of heads and layers without rotation, and no family of checkpoints has both"
                .into(),
        ));
    }
    Ok(LlamaConfig {
        sizes: a.sizes,
        sliding_window: None,
        norm_eps: norm_eps(model),
        tied_head: false,
        max_positions: a.max_positions,
        bos: a.bos,
        eos: a.eos.clone(),
        leads: Vec::new(),
        score_factor: 1.0,
        biases: Linear::LAYER
            .into_iter()
            .filter(|l| model.layers.iter().any(|w| w.biased().any(|b| b == *l)))
            .collect(),
        head_norms,
        unrotated,
    })
}

/// What is added to the mean square in RMSNorm.
fn norm_eps(model: &QuantModel) -> f64 {
    f64::from(model.final_norm.eps) / model.arch.sizes.hidden as f64 * lsb(2 * model.resid_frac)
}

/// Layers of a quantized model that are read in float.
struct Integers(Arc<QuantModel>);

impl LayerStore for Integers {
    fn layer(&self, l: usize) -> Result<FloatLayer> {
        let missing = || Error::Argument(format!("there is no layer {l}"));
        Ok(layer(&self.0, self.0.layers.get(l).ok_or_else(missing)?))
    }
}

fn layer(model: &QuantModel, layer: &Layer) -> FloatLayer {
    let (a, c, resid) = (&model.arch.sizes, &layer.constants, lsb(model.resid_frac));
    // Only the product of the units of q and k is known: each takes its root. The head's width is divided by in float, too.
    let shifts = c.rot_shift_q + c.rot_shift_k;
    let head = (a.head_dim as f64).sqrt() * a.padded_head() as f64;
    let unit = scaled(c.zm, c.zs) * head * lsb(shifts) * lsb(FRAC as u8) / std::f64::consts::LOG2_E;
    let unit = unit.sqrt();
    // One int8 of o's input, in units of V's codes.
    let out = 1.0 / (scaled(c.og, c.os) * f64::from(FRAC).exp2());
    let up = f64::from(FRAC - i32::from(c.hs)).exp2();
    let mut biases = Biases::default();
    // Before their norms, q and k have units of their own.
    let raw = |which: usize| layer.head_norms.as_ref().map_or(unit, |n| raw_unit(&n[which], norm_eps(model)));
    let units = [raw(0), raw(1), lsb(c.v_shift), resid, lsb(FRAC as u8), up, resid];
    for ((which, w), unit) in layer.linears().zip(units) {
        biases[which] = w.bias.iter().map(|b| (f64::from(*b) * unit) as f32).collect();
    }
    let heads = |w: &Weight, unit: f64, bias: &mut Vec<f32>, group| {
        let mut w = matrix(w, unit);
        on_rows(&mut w, bias, |w| plain_pairs(w, layer, a.head_dim, group));
        w
    };
    FloatLayer {
        attn_norm: gain(&layer.attn_norm),
        q: heads(&layer.q, raw(0), &mut biases[Linear::Q], a.group()),
        k: heads(&layer.k, raw(1), &mut biases[Linear::K], 1),
        v: matrix(&layer.v, lsb(c.v_shift)),
        o: without_padding(&matrix(&layer.o, resid / out), a.head_dim, a.head_stride()),
        mlp_norm: gain(&layer.mlp_norm),
        gate: matrix(&layer.gate, lsb(FRAC as u8)),
        up: matrix(&layer.up, up),
        down: matrix(&layer.down, resid),
        biases,
        q_norm: head_gain(&layer.head_norms, 0, unit),
        k_norm: head_gain(&layer.head_norms, 1, unit),
    }
}

/// `2^-bits`.
fn lsb(bits: u8) -> f64 {
    (-f64::from(bits)).exp2()
}

/// `mult / 2^shift`.
fn scaled(mult: u16, shift: u8) -> f64 {
    f64::from(mult) * lsb(shift)
}

/// Gains that give the integer model's int8 units: `g / 2^gs = 2^-20 sqrt(n) gamma`.
fn gain(norm: &Norm) -> Vec<f32> {
    let unit = f64::from(20).exp2() / (norm.g.len() as f64).sqrt() * lsb(norm.gs);
    norm.g.iter().map(|g| (f64::from(*g) * unit) as f32).collect()
}

/// Gains of the norm of query or key heads, whose outputs have an LSB worth `unit`.
fn head_gain(norms: &Option<[Norm; 2]>, which: usize, unit: f64) -> Vec<f32> {
    let Some(norm) = norms.as_ref().map(|n| &n[which]) else { return Vec::new() };
    gain(norm).iter().map(|g| (f64::from(*g) * unit) as f32).collect()
}

/// Real value of one LSB of q or k before the norm of its heads: by the eps that it has in integers.
fn raw_unit(norm: &Norm, eps: f64) -> f64 {
    (norm.g.len() as f64 * eps / f64::from(norm.eps)).sqrt()
}

/// A linear whose output has an LSB worth `unit`.
fn matrix(w: &Weight, unit: f64) -> Matrix {
    let mut data = Vec::with_capacity(w.grid.rows * w.grid.cols);
    for r in 0..w.grid.rows {
        let factor = scaled(w.mult[r], w.shift[r]) * unit;
        data.extend(w.grid.integer_row(r).take(w.grid.cols).map(|v| (f64::from(v) * factor) as f32));
    }
    Matrix { rows: w.grid.rows, cols: w.grid.cols, data }
}

/// Rows with each head's leading RoPE pair back in its place; `group` heads belong to a KV head. Without rotation all places
/// are alike.
fn plain_pairs(w: &mut Matrix, layer: &Layer, head_dim: usize, group: usize) {
    if !layer.rotates() {
        return;
    }
    for h in 0..w.rows / head_dim {
        let lead = usize::from(layer.lead(h / group));
        for first in [h * head_dim, h * head_dim + head_dim / 2] {
            if lead > 0 {
                let (before, from) = w.data.split_at_mut((first + lead) * w.cols);
                before[first * w.cols..][..w.cols].swap_with_slice(&mut from[..w.cols]);
            }
        }
    }
}

/// Without the columns that pad each head to `stride`.
fn without_padding(w: &Matrix, head_dim: usize, stride: usize) -> Matrix {
    let kept = w.data.chunks_exact(stride).flat_map(|head| &head[..head_dim]);
    Matrix { rows: w.rows, cols: w.cols / stride * head_dim, data: kept.copied().collect() }
}
