//! A layer on its grids.

use super::grid::GridWeight;
use super::shapes::gather_heads;
use crate::float::{FloatLayer, FloatModel, Matrix};
use crate::hf::LlamaConfig;

/// Grids of one layer; `o` has its columns spread per head.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerGrids {
    pub q: GridWeight,
    pub k: GridWeight,
    pub v: GridWeight,
    pub o: GridWeight,
    pub gate: GridWeight,
    pub up: GridWeight,
    pub down: GridWeight,
    /// How many of the seven were recovered.
    pub recovered: usize,
}

/// A layer on its grids, with the gains of its norms.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GridLayer {
    pub grids: LayerGrids,
    pub attn_norm: Vec<f32>,
    pub mlp_norm: Vec<f32>,
}

impl GridLayer {
    /// The same in float.
    pub fn dequantize(&self, c: &LlamaConfig) -> FloatLayer {
        let g = &self.grids;
        FloatLayer {
            attn_norm: self.attn_norm.clone(),
            mlp_norm: self.mlp_norm.clone(),
            q: g.q.dequantize(),
            k: g.k.dequantize(),
            v: g.v.dequantize(),
            o: gather_heads(&g.o.dequantize(), c.head_dim),
            gate: g.gate.dequantize(),
            up: g.up.dequantize(),
            down: g.down.dequantize(),
        }
    }
}

/// All weights of a model on their grids.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    /// `[vocab, hidden]`.
    pub embed: Matrix,
    pub layers: Vec<GridLayer>,
    pub final_norm: Vec<f32>,
    pub head: GridWeight,
}

impl Weights {
    /// Layer linears that were recovered.
    pub fn recovered(&self) -> usize {
        self.layers.iter().map(|l| l.grids.recovered).sum()
    }

    /// A float model with these weights.
    pub fn dequantize(&self, c: &LlamaConfig) -> FloatModel {
        FloatModel {
            config: c.clone(),
            embed: self.embed.clone(),
            layers: self.layers.iter().map(|l| l.dequantize(c)).collect::<Vec<_>>(),
            final_norm: self.final_norm.clone(),
            head: Some(self.head.dequantize()),
        }
    }
}
