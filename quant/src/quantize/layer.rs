//! A layer on its grids.

use super::assign::linear_sizes;
use super::grid::GridWeight;
use super::shapes::gather_heads;
use crate::float::{FloatLayer, FloatModel, LayerStore, Layers, Matrix};
use crate::hf::LlamaConfig;
use crate::{Error, Result};
use std::sync::Arc;

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

impl LayerGrids {
    /// From the grids of q, k, v, o, gate, up and down; those that were found in the weights go before.
    pub fn of(fitted: [GridWeight; 7], found: [Option<GridWeight>; 7]) -> Self {
        let recovered = found.iter().flatten().count();
        let [q, k, v, o, gate, up, down] = fitted;
        let [fq, fk, fv, fo, fgate, fup, fdown] = found;
        Self {
            q: fq.unwrap_or(q),
            k: fk.unwrap_or(k),
            v: fv.unwrap_or(v),
            o: fo.unwrap_or(o),
            gate: fgate.unwrap_or(gate),
            up: fup.unwrap_or(up),
            down: fdown.unwrap_or(down),
            recovered,
        }
    }
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

/// Most weights of a model that is dequantized as a whole; layers of a larger one when they are asked for.
const RESIDENT: usize = 500_000_000;

/// Layers on their grids that are read in float.
struct GridStore {
    config: LlamaConfig,
    layers: Arc<Vec<GridLayer>>,
}

impl LayerStore for GridStore {
    fn layer(&self, l: usize) -> Result<FloatLayer> {
        let missing = || Error::Argument(format!("there is no layer {l}"));
        Ok(self.layers.get(l).ok_or_else(missing)?.dequantize(&self.config))
    }
}

/// All weights of a model on their grids.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    /// `[vocab, hidden]`.
    pub embed: Matrix,
    pub layers: Arc<Vec<GridLayer>>,
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
        let weights = self.layers.len() * linear_sizes(c).iter().sum::<usize>();
        let layers = match weights <= RESIDENT {
            true => self.layers.iter().map(|l| l.dequantize(c)).collect::<Vec<_>>().into(),
            false => Layers::Stored {
                count: self.layers.len(),
                store: Arc::new(GridStore { config: c.clone(), layers: self.layers.clone() }),
            },
        };
        FloatModel {
            config: c.clone(),
            embed: self.embed.clone(),
            layers,
            final_norm: self.final_norm.clone(),
            head: Some(self.head.dequantize()),
        }
    }
}
