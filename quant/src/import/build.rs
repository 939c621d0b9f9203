//! Builds a [`FloatModel`] from the tensors of a checkpoint, whatever file they are in.

use crate::Result;
use crate::config::LlamaConfig;
use crate::float::{FloatLayer, FloatModel, LayerStore, Layers, Matrix};
use accllm_hw::sizes::Linear;
use rayon::prelude::*;
use std::sync::Arc;

/// Tensors of a model by the names that Hugging Face gives them.
pub(super) trait TensorSource: Send + Sync + 'static {
    /// The tensor as f32, row major, after checking shape, element type and finiteness.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>>;
}

/// Weights whose queries are larger by a factor, as YaRN's scores are.
pub(super) struct Scaled<S> {
    pub source: S,
    pub queries: f64,
}

impl<S: TensorSource> TensorSource for Scaled<S> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let mut data = self.source.tensor(name, shape)?;
        if name.ends_with("q_proj.weight") && self.queries != 1.0 {
            data.iter_mut().for_each(|w| *w = (f64::from(*w) * self.queries) as f32);
        }
        Ok(data)
    }
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
pub(super) const LINEARS: [&str; 7] =
    ["self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down"];

/// The linear layers of a decoder layer, `(part of the name, rows, columns)`.
fn linears(c: &LlamaConfig) -> [(&'static str, usize, usize); 7] {
    Linear::LAYER.map(|linear| {
        let (rows, cols) = c.sizes.linear(linear);
        (LINEARS[linear as usize], rows, cols)
    })
}

fn linear_name(number: usize, part: &str) -> String {
    format!("model.layers.{number}.{part}_proj.weight")
}

/// The norms of a decoder layer.
pub(super) const NORMS: [&str; 2] = ["input_layernorm", "post_attention_layernorm"];

fn norm(source: &impl TensorSource, c: &LlamaConfig, number: usize, part: &str) -> Result<Vec<f32>> {
    source.tensor(&format!("model.layers.{number}.{part}.weight"), &[c.sizes.hidden])
}

/// Reads every weight of a layer, one tensor at a time, and keeps none.
fn check(source: &impl TensorSource, c: &LlamaConfig, number: usize) -> Result<()> {
    for part in NORMS {
        norm(source, c, number, part)?;
    }
    for (part, rows, cols) in linears(c) {
        source.tensor(&linear_name(number, part), &[rows, cols])?;
    }
    Ok(())
}

fn layer(source: &impl TensorSource, c: &LlamaConfig, number: usize) -> Result<FloatLayer> {
    let [q, k, v, o, gate, up, down] =
        linears(c).map(|(part, rows, cols)| matrix(source, &linear_name(number, part), rows, cols));
    let [attn_norm, mlp_norm] = NORMS.map(|part| norm(source, c, number, part));
    Ok(FloatLayer {
        attn_norm: attn_norm?,
        q: q?,
        k: k?,
        v: v?,
        o: o?,
        mlp_norm: mlp_norm?,
        gate: gate?,
        up: up?,
        down: down?,
    })
}
