//! Weights of a float model.

use super::bias::affine;
use super::ops::{rms_norm, view};
use super::{Biases, Layers};
use crate::Result;
use crate::config::LlamaConfig;
use accllm_hw::sizes::Linear;
use ndarray::ArrayView2;
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
    /// All of it.
    pub fn view(&self) -> ArrayView2<'_, f32> {
        view(&self.data, self.cols)
    }

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
    /// What they add to their outputs.
    pub biases: Biases,
    /// Gains of an RMSNorm over each query head before its rotation, `[head_dim]`; empty where there is none.
    pub q_norm: Vec<f32>,
    /// Of each key head.
    pub k_norm: Vec<f32>,
}

impl FloatLayer {
    /// Queries, keys and values of `a`, `[tokens, hidden]`, before rotation.
    pub fn project(&self, a: &[f32], eps: f64) -> [Vec<f32>; 3] {
        let heads = |x: Vec<f32>, gain: &[f32]| match gain {
            [] => x,
            _ => rms_norm(&x, gain, eps),
        };
        [
            heads(affine(a, &self.q, &self.biases[Linear::Q]), &self.q_norm),
            heads(affine(a, &self.k, &self.biases[Linear::K]), &self.k_norm),
            affine(a, &self.v, &self.biases[Linear::V]),
        ]
    }

    /// What attention adds to the residual stream, of `o`, `[tokens, heads * head_dim]`.
    pub fn output(&self, o: &[f32]) -> Vec<f32> {
        affine(o, &self.o, &self.biases[Linear::O])
    }

    /// Gate and up of `m`, `[tokens, hidden]`.
    pub fn gate_up(&self, m: &[f32]) -> [Vec<f32>; 2] {
        [affine(m, &self.gate, &self.biases[Linear::Gate]), affine(m, &self.up, &self.biases[Linear::Up])]
    }

    /// What the feed-forward adds to the residual stream, of `h`, `[tokens, ffn]`.
    pub fn down(&self, h: &[f32]) -> Vec<f32> {
        affine(h, &self.down, &self.biases[Linear::Down])
    }
}

/// A layer and its place in the model, from 0.
#[derive(Clone, Copy)]
pub struct LayerAt<'a> {
    /// Its number, from 0.
    pub l: usize,
    /// Its weights.
    pub weights: &'a FloatLayer,
}

impl FloatLayer {
    /// This layer as number `l` of its model.
    pub fn at(&self, l: usize) -> LayerAt<'_> {
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
