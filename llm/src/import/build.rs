//! Builds a [`FloatModel`] from the tensors of a checkpoint, whatever file they are in.

use crate::Result;
use crate::config::LlamaConfig;
use crate::float::{Biases, FloatLayer, FloatModel, LayerStore, Layers, Matrix};
use accllm_hw::sizes::Linear;
use rayon::prelude::*;
use std::sync::Arc;

/// Tensors of a model by the names that Hugging Face gives them.
pub(super) trait TensorSource: Send + Sync + 'static {
    /// The tensor as f32, row major, after checking shape, element type and finiteness.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>>;
}

/// The model that `config` describes, with weights from `source`.
pub(super) fn build(config: LlamaConfig, source: impl TensorSource, resident: usize) -> Result<FloatModel> {
    let c = &config;
    let embed = matrix(&source, "model.embed_tokens.weight", c.sizes.vocab, c.sizes.hidden)?;
    let final_norm = source.tensor("model.norm.weight", &[c.sizes.hidden])?;
    let head = match c.tied_head {
        true => None,
        false => Some(matrix(&source, "lm_head.weight", c.sizes.vocab, c.sizes.hidden)?),
    };
    let each: usize = c.sizes.linear_weights().iter().sum();
    let layers = if each * c.sizes.layers <= resident {
        (0..c.sizes.layers).map(|l| layer(&source, c, l)).collect::<Result<Vec<_>>>()?.into()
    } else {
        (0..c.sizes.layers).into_par_iter().try_for_each(|l| check(&source, c, l))?;
        Layers::Stored { count: c.sizes.layers, store: Arc::new(Stored { config: config.clone(), source }) }
    };
    Ok(FloatModel { config, embed, layers, final_norm, head })
}

/// Layers that stay in their file.
struct Stored<S> {
    config: LlamaConfig,
    source: S,
}

impl<S: TensorSource> LayerStore for Stored<S> {
    fn layer(&self, l: usize) -> Result<FloatLayer> {
        layer(&self.source, &self.config, l)
    }
}

fn matrix(source: &impl TensorSource, name: &str, rows: usize, cols: usize) -> Result<Matrix> {
    Ok(Matrix { rows, cols, data: source.tensor(name, &[rows, cols])? })
}

/// Parts of the names of a layer's linears, in the order of [`Linear::LAYER`].
const LINEARS: [&str; 7] =
    ["self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down"];
/// The norms of a decoder layer.
const NORMS: [&str; 2] = ["input_layernorm", "post_attention_layernorm"];
/// The norms of query and key heads.
const HEAD_NORMS: [&str; 2] = ["self_attn.q_norm", "self_attn.k_norm"];

/// Names of a layer's tensors, without the layer.
pub(super) mod names {
    use super::LINEARS;
    use accllm_hw::sizes::Linear;

    /// The weight of a linear.
    pub fn weight(linear: Linear) -> String {
        format!("{}_proj.weight", LINEARS[linear as usize])
    }

    /// Its bias.
    pub fn bias(linear: Linear) -> String {
        format!("{}_proj.bias", LINEARS[linear as usize])
    }
}

/// Tensors in which several linears are one, row after row, each with its parts.
pub(super) const FUSED: [(&str, &[Linear]); 2] = [
    ("self_attn.qkv_proj.weight", &[Linear::Q, Linear::K, Linear::V]),
    ("mlp.gate_up_proj.weight", &[Linear::Gate, Linear::Up]),
];

/// The tensors of a decoder layer, `(name without the layer, shape)`.
fn tensors(c: &LlamaConfig) -> Vec<(String, Vec<usize>)> {
    let s = &c.sizes;
    let norm = |width: usize| move |part: &&str| (format!("{part}.weight"), vec![width]);
    let linear = |l: Linear| (names::weight(l), vec![s.linear(l).0, s.linear(l).1]);
    let bias = |l: &Linear| (names::bias(*l), vec![s.linear(*l).0]);
    let mut all: Vec<_> = NORMS.iter().map(norm(s.hidden)).collect();
    all.extend(Linear::LAYER.map(linear));
    all.extend(c.biases.iter().map(bias));
    if c.head_norms {
        all.extend(HEAD_NORMS.iter().map(norm(s.head_dim)));
    }
    all
}

/// The names of all tensors of a model but the head's.
pub(super) struct Known {
    layers: usize,
    parts: Vec<String>,
}

impl Known {
    /// Of the model that `c` describes; `fused`: with those that are several linears in place of their parts.
    pub fn of(c: &LlamaConfig, fused: bool) -> Self {
        let mut parts: Vec<String> = tensors(c).into_iter().map(|t| t.0).collect();
        for (tensor, linears) in FUSED.iter().filter(|_| fused) {
            parts.retain(|p| !linears.iter().any(|l| *p == names::weight(*l)));
            parts.push((*tensor).to_string());
        }
        Self { layers: c.sizes.layers, parts }
    }

    /// Whether `name` is one of them.
    pub fn has(&self, name: &str) -> bool {
        let of_layer = |rest: &str| {
            let (number, part) = rest.split_once('.')?;
            let number = number.parse::<usize>().ok()?;
            Some(number < self.layers && self.parts.iter().any(|p| p == part))
        };
        ["model.embed_tokens.weight", "model.norm.weight"].contains(&name)
            || name.strip_prefix("model.layers.").and_then(of_layer).unwrap_or(false)
    }
}

/// Reads every weight of a layer, one tensor at a time, and keeps none.
fn check(source: &impl TensorSource, c: &LlamaConfig, number: usize) -> Result<()> {
    let read = |(part, shape): (String, Vec<usize>)| {
        source.tensor(&format!("model.layers.{number}.{part}"), &shape).map(drop)
    };
    tensors(c).into_iter().try_for_each(read)
}

fn layer(source: &impl TensorSource, c: &LlamaConfig, number: usize) -> Result<FloatLayer> {
    let s = &c.sizes;
    let read = |part: &str, shape: &[usize]| source.tensor(&format!("model.layers.{number}.{part}"), shape);
    let norm = |part: &str, width: usize| read(&format!("{part}.weight"), &[width]);
    let matrix = |linear| {
        let (rows, cols) = s.linear(linear);
        Ok(Matrix { rows, cols, data: read(&names::weight(linear), &[rows, cols])? })
    };
    let mut biases = Biases::default();
    for linear in &c.biases {
        biases[*linear] = read(&names::bias(*linear), &[s.linear(*linear).0])?;
    }
    let head_norm = |part: &str| match c.head_norms {
        true => norm(part, s.head_dim),
        false => Ok(Vec::new()),
    };
    let mut layer = FloatLayer {
        attn_norm: norm(NORMS[0], s.hidden)?,
        q: matrix(Linear::Q)?,
        k: matrix(Linear::K)?,
        v: matrix(Linear::V)?,
        o: matrix(Linear::O)?,
        mlp_norm: norm(NORMS[1], s.hidden)?,
        gate: matrix(Linear::Gate)?,
        up: matrix(Linear::Up)?,
        down: matrix(Linear::Down)?,
        biases,
        q_norm: head_norm(HEAD_NORMS[0])?,
        k_norm: head_norm(HEAD_NORMS[1])?,
    };
    enlarge_queries(&mut layer, c.score_factor);
    Ok(layer)
}

/// Puts the factor of the scores into the queries.
fn enlarge_queries(w: &mut FloatLayer, factor: f64) {
    let times = |values: &mut [f32]| {
        values.iter_mut().for_each(|w| *w = (f64::from(*w) * factor) as f32);
    };
    match (factor == 1.0, w.q_norm.is_empty()) {
        (true, _) => {}
        (false, false) => times(&mut w.q_norm),
        (false, true) => {
            times(&mut w.q.data);
            times(&mut w.biases[Linear::Q]);
        }
    }
}
