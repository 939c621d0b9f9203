//! Weights of a float model.

use super::Layers;
use crate::Result;
use crate::config::LlamaConfig;
use std::borrow::Cow;

/// A dense row-major matrix; a linear layer computes `y = W x`.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Output features.
    pub rows: usize,
    /// Input features.
    pub cols: usize,
    /// `rows * cols` values.
    pub data: Vec<f32>,
}

impl Matrix {
    /// Row `r` (panics past the end, as slices do; callers stay within `rows`).
    pub fn row(&self, r: usize) -> &[f32] {
        &self.data[r * self.cols..(r + 1) * self.cols]
    }
}

/// Weights of one decoder layer.
#[derive(Clone, Debug)]
pub struct FloatLayer {
    /// RMSNorm gain before attention, `[hidden]`.
    pub attn_norm: Vec<f32>,
    /// Query projection, `[heads * head_dim, hidden]`.
    pub q: Matrix,
    /// Key projection, `[kv_heads * head_dim, hidden]`.
    pub k: Matrix,
    /// Value projection, `[kv_heads * head_dim, hidden]`.
    pub v: Matrix,
    /// Output projection, `[hidden, heads * head_dim]`.
    pub o: Matrix,
    /// RMSNorm gain before the feed-forward, `[hidden]`.
    pub mlp_norm: Vec<f32>,
    /// Gate projection, `[ffn, hidden]`.
    pub gate: Matrix,
    /// Up projection, `[ffn, hidden]`.
    pub up: Matrix,
    /// Down projection, `[hidden, ffn]`.
    pub down: Matrix,
}

/// A layer and its place in the model, from 0.
#[derive(Clone, Copy)]
pub(crate) struct LayerAt<'a> {
    pub l: usize,
    pub weights: &'a FloatLayer,
}

impl FloatLayer {
    /// This layer as number `l` of its model.
    pub(crate) fn at(&self, l: usize) -> LayerAt<'_> {
        LayerAt { l, weights: self }
    }
}

/// A whole Llama model in f32; its layers may be elsewhere (see [`Layers`]).
#[derive(Clone, Debug)]
pub struct FloatModel {
    /// Shape and constants.
    pub config: LlamaConfig,
    /// Token embedding, `[vocab, hidden]`.
    pub embed: Matrix,
    /// Decoder layers; [`FloatModel::layer`] gives one.
    pub layers: Layers,
    /// Last RMSNorm gain, `[hidden]`.
    pub final_norm: Vec<f32>,
    /// Output head `[vocab, hidden]`; `None` when it is the embedding.
    pub head: Option<Matrix>,
}

impl FloatModel {
    /// Layer `l`: borrowed where it is in memory, read where it is not.
    ///
    /// # Errors
    /// There is no such layer, or its weights are damaged.
    pub fn layer(&self, l: usize) -> Result<Cow<'_, FloatLayer>> {
        self.layers.get(l)
    }

    /// The output head: its own matrix or the tied embedding.
    pub fn head(&self) -> &Matrix {
        self.head.as_ref().unwrap_or(&self.embed)
    }
}
