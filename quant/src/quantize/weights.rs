//! Chooses the grid of every weight of a model.

use super::Options;
use super::calibrate::{Calibration, Channels, LayerStats};
use super::grid::GridWeight;
use super::levels::fit;
use super::recover::recover;
use super::shapes::{
    LayerShapes, Shapes, gather_heads, per_query, scale_columns, shape, spread_heads, unscale_columns,
};
use crate::float::{FloatLayer, FloatModel, Matrix};
use crate::hf::LlamaConfig;
use crate::model::{MAX_HEAD_DIM, MAX_HIDDEN, WeightFormat};
use crate::{Error, Result};

/// Grids of one layer; `o` has its columns spread per head.
#[derive(Clone, Debug)]
pub(super) struct LayerGrids {
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

/// All weights on their grids, with the shapes folded into their columns.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub layers: Vec<LayerGrids>,
    pub head: GridWeight,
    pub shapes: Shapes,
}

/// Quantizes every weight.
pub(super) fn quantize_weights(
    model: &FloatModel,
    stats: &Calibration,
    options: &Options,
) -> Result<Weights> {
    let c = &model.config;
    if c.hidden > MAX_HIDDEN || c.head_dim > MAX_HEAD_DIM {
        return Err(Error::Argument(format!(
            "hidden size {} and head width {} exceed the engine's limits of {MAX_HIDDEN} and {MAX_HEAD_DIM}",
            c.hidden, c.head_dim
        )));
    }
    if !(0.0..=1.0).contains(&options.migration) {
        return Err(Error::Argument(format!("migration is {}; expected 0 to 1", options.migration)));
    }
    if let Some(l) = options.w4_layers.iter().find(|l| **l >= c.layers) {
        return Err(Error::Argument(format!("layer {l} is to be W4, but the model has {} layers", c.layers)));
    }
    let pairs = model.layers.iter().zip(&stats.layers).enumerate();
    let (layers, shapes) = pairs.map(|(l, (w, s))| layer(c, l, w, s, options)).unzip();
    let head_shape = shape(&stats.head_in, options.migration);
    let head = Plan { shape: &head_shape, power: stats.head_in.power(), format: options.head };
    Ok(Weights {
        layers,
        head: head.fit(model.head()),
        shapes: Shapes { layers: shapes, head_in: head_shape },
    })
}

fn layer(
    c: &LlamaConfig,
    number: usize,
    w: &FloatLayer,
    s: &LayerStats,
    options: &Options,
) -> (LayerGrids, LayerShapes) {
    let forced = options.w4_layers.contains(&number);
    let format = if forced { WeightFormat::W4 } else { options.body };
    let find = |w: &Matrix| if forced { None } else { recover(w) };
    let spread = spread_heads(&w.o, c.head_dim);
    let found = [&w.q, &w.k, &w.v, &spread, &w.gate, &w.up, &w.down].map(find);
    let recovered = found.iter().flatten().count();
    let [q, k, v, o, gate, up, down] = found;
    // A weight that keeps its own grid takes no shape into its columns.
    let pick =
        |on_grid: bool, channels: &Channels| shape(channels, if on_grid { 0.0 } else { options.migration });
    let shapes = LayerShapes {
        attn_in: pick(q.is_some() || k.is_some() || v.is_some(), &s.attn_in),
        value: pick(o.is_some(), &s.value),
        mlp_in: pick(gate.is_some() || up.is_some(), &s.mlp_in),
        down_in: pick(down.is_some(), &s.down_in),
    };
    let attn = Plan { shape: &shapes.attn_in, power: s.attn_in.power(), format };
    let mlp = Plan { shape: &shapes.mlp_in, power: s.mlp_in.power(), format };
    let out_shape = per_query(c, &shapes.value);
    let out = Plan { shape: &out_shape, power: s.attn_out.power(), format };
    let last = Plan { shape: &shapes.down_in, power: s.down_in.power(), format };
    let grids = LayerGrids {
        q: q.unwrap_or_else(|| attn.fit(&w.q)),
        k: k.unwrap_or_else(|| attn.fit(&w.k)),
        v: v.unwrap_or_else(|| attn.fit(&w.v)),
        o: o.unwrap_or_else(|| out.fit_heads(&w.o, c.head_dim)),
        gate: gate.unwrap_or_else(|| mlp.fit(&w.gate)),
        up: up.unwrap_or_else(|| mlp.fit(&w.up)),
        down: down.unwrap_or_else(|| last.fit(&w.down)),
        recovered,
    };
    (grids, shapes)
}

/// How the weights that read one tensor are quantized.
struct Plan<'a> {
    shape: &'a [f32],
    /// Mean square of the input channels, before migration.
    power: Vec<f32>,
    format: WeightFormat,
}

impl Plan<'_> {
    /// Mean square after migration.
    fn migrated(&self) -> Vec<f32> {
        self.power.iter().zip(self.shape).map(|(p, s)| p / (s * s)).collect()
    }

    fn fit(&self, w: &Matrix) -> GridWeight {
        fit(&scale_columns(w, self.shape), &self.migrated(), &vec![true; w.cols], self.format)
    }

    fn fit_heads(&self, w: &Matrix, head_dim: usize) -> GridWeight {
        let spread =
            |row: Vec<f32>| spread_heads(&Matrix { rows: 1, cols: row.len(), data: row }, head_dim).data;
        let used: Vec<bool> = spread(vec![1.0; w.cols]).iter().map(|v| *v > 0.0).collect();
        let migrated = spread_heads(&scale_columns(w, self.shape), head_dim);
        fit(&migrated, &spread(self.migrated()), &used, self.format)
    }
}

impl Weights {
    /// Layer linears that were recovered.
    pub fn recovered(&self) -> usize {
        self.layers.iter().map(|l| l.recovered).sum()
    }

    /// A float model with these weights, in the units of the checkpoint.
    pub fn dequantize(&self, model: &FloatModel) -> FloatModel {
        let c = &model.config;
        let layers = self.layers.iter().zip(&self.shapes.layers).zip(&model.layers).map(|((g, s), w)| {
            let back = |g: &GridWeight, shape: &[f32]| unscale_columns(&g.dequantize(), shape);
            FloatLayer {
                attn_norm: w.attn_norm.clone(),
                mlp_norm: w.mlp_norm.clone(),
                q: back(&g.q, &s.attn_in),
                k: back(&g.k, &s.attn_in),
                v: back(&g.v, &s.attn_in),
                o: unscale_columns(&gather_heads(&g.o.dequantize(), c.head_dim), &per_query(c, &s.value)),
                gate: back(&g.gate, &s.mlp_in),
                up: back(&g.up, &s.mlp_in),
                down: back(&g.down, &s.down_in),
            }
        });
        FloatModel {
            config: c.clone(),
            embed: model.embed.clone(),
            layers: layers.collect(),
            final_norm: model.final_norm.clone(),
            head: Some(unscale_columns(&self.head.dequantize(), &self.shapes.head_in)),
        }
    }
}
