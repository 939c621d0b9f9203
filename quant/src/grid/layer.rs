//! A layer on its grids.

use crate::grid::{GridWeight, LayerShapes, gather_heads};
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{Biases, FloatLayer, FloatModel, LayerStore, Layers, Matrix};
use accllm_llm::{Error, Result};
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

    /// Folds shapes with one factor for the channels of a group into the weights around them.
    pub fn migrate(&mut self, shapes: &LayerShapes) {
        let ones = |shape: &[f32]| shape.iter().all(|s| *s == 1.0);
        let columns = |weights: &mut [&mut GridWeight], shape: &[f32]| {
            // Not even rounded anew.
            if !ones(shape) {
                weights.iter_mut().for_each(|w| w.scale_groups(shape));
            }
        };
        columns(&mut [&mut self.q, &mut self.k, &mut self.v], &shapes.attn_in);
        columns(&mut [&mut self.gate, &mut self.up], &shapes.mlp_in);
        columns(&mut [&mut self.down], &shapes.down_in);
        self.up.divide_rows(&shapes.down_in);
    }
}

/// A layer on its grids, with the gains of its norms, and its biases.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GridLayer {
    pub grids: LayerGrids,
    pub attn_norm: Vec<f32>,
    pub mlp_norm: Vec<f32>,
    pub biases: Biases,
    pub q_norm: Vec<f32>,
    pub k_norm: Vec<f32>,
}

impl GridLayer {
    /// These grids, with everything else of a layer.
    pub(crate) fn of(grids: LayerGrids, w: &FloatLayer) -> Self {
        Self {
            grids,
            attn_norm: w.attn_norm.clone(),
            mlp_norm: w.mlp_norm.clone(),
            biases: w.biases.clone(),
            q_norm: w.q_norm.clone(),
            k_norm: w.k_norm.clone(),
        }
    }

    /// The same in float.
    pub fn dequantize(&self, c: &LlamaConfig) -> FloatLayer {
        let g = &self.grids;
        FloatLayer {
            attn_norm: self.attn_norm.clone(),
            mlp_norm: self.mlp_norm.clone(),
            q: g.q.dequantize(),
            k: g.k.dequantize(),
            v: g.v.dequantize(),
            o: gather_heads(&g.o.dequantize(), c.sizes.head_dim),
            gate: g.gate.dequantize(),
            up: g.up.dequantize(),
            down: g.down.dequantize(),
            biases: self.biases.clone(),
            q_norm: self.q_norm.clone(),
            k_norm: self.k_norm.clone(),
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
        let weights = self.layers.len() * c.sizes.linear_weights().iter().sum::<usize>();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::fit;
    use crate::grid::spread_heads;
    use crate::train::tests::{config, float_layer, random};
    use crate::transform::migrate_layer;
    use accllm_llm::float::{NoTap, Window, run_layer};
    use accllm_llm::model::{GROUP, WeightFormat};

    /// Up to the rounding of scales to 8 bits.
    #[test]
    fn shapes_of_whole_groups_go_into_grids_as_into_weights() {
        let c = config();
        let w = float_layer(&c);
        let fit = |w: &Matrix| fit(w, &vec![1.0; w.cols], &vec![true; w.cols], WeightFormat::W4);
        let weights = [&w.q, &w.k, &w.v, &spread_heads(&w.o, c.sizes.head_dim), &w.gate, &w.up, &w.down];
        let mut grids = LayerGrids::of(weights.map(fit), [const { None }; 7]);
        let rest = |w: &FloatLayer| (w.attn_norm.clone(), w.mlp_norm.clone(), w.biases.clone());
        let layer = |grids: &LayerGrids, (attn_norm, mlp_norm, biases)| {
            let (q_norm, k_norm) = (w.q_norm.clone(), w.k_norm.clone());
            GridLayer { grids: grids.clone(), attn_norm, mlp_norm, biases, q_norm, k_norm }.dequantize(&c)
        };
        let groups = |n: usize, seed: i32| -> Vec<f32> {
            (0..n).map(|i| 0.5f32.powi((i / GROUP) as i32 + seed)).collect()
        };
        let shapes = LayerShapes {
            attn_in: groups(c.sizes.hidden, 1),
            mlp_in: groups(c.sizes.hidden, 2),
            down_in: groups(c.sizes.ff, 3),
            ..LayerShapes::flat(&c)
        };
        let before = layer(&grids, rest(&w));
        let mut moved = w.clone();
        migrate_layer(&c, &mut moved, &shapes);
        grids.migrate(&shapes);
        let after = layer(&grids, rest(&moved));
        assert!(before.q != after.q && before.up != after.up && before.down != after.down);
        let x = random(8 * c.sizes.hidden, 5);
        let behind = |w: &FloatLayer| {
            let mut x = x.clone();
            run_layer(&c, w.at(0), &Window::new(&c, 8, None), &mut x, &mut NoTap);
            x
        };
        let (a, b) = (behind(&before), behind(&after));
        let most = a.iter().map(|v| v.abs()).fold(0.0, f32::max);
        let apart = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 0.02 * most, "outputs up to {most} differ by {apart}");
    }
}
