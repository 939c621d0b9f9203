//! What is there before a layer is fitted, and the fit of the head.

use super::Options;
use super::closed::{Closed, Pruning};
use super::inputs::Inputs;
use super::recover::recover;
use crate::calibrate::{Channels, LayerStats};
use crate::grid::{GridWeight, LayerShapes, spread_heads};
use crate::transform::{choose_head, choose_layer, scale_columns};
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatLayer, FloatModel, Matrix, rms_norm};
use accllm_llm::model::WeightFormat;

/// The grids of those of a layer's seven linears that already lie on one of the format wanted.
pub(super) fn find_grids(
    c: &LlamaConfig,
    l: usize,
    w: &FloatLayer,
    options: &Options,
) -> [Option<GridWeight>; 7] {
    if options.formats(l).contains(&WeightFormat::W4) {
        return [const { None }; 7];
    }
    let o = spread_heads(&w.o, c.sizes.head_dim);
    [&w.q, &w.k, &w.v, &o, &w.gate, &w.up, &w.down].map(recover)
}

/// The migration of a layer's steps; a weight that keeps its own grid takes none into its columns or rows.
pub(super) fn choose_shapes(
    c: &LlamaConfig,
    l: usize,
    w: &FloatLayer,
    s: &LayerStats,
    found: &[Option<GridWeight>; 7],
    options: &Options,
) -> LayerShapes {
    let mut shapes = choose_layer(c, w, s, &options.formats(l), options.migration);
    let flat = LayerShapes::flat(c);
    let [q, k, v, o, gate, up, down] = found.each_ref().map(Option::is_some);
    if q || k || v {
        shapes.attn_in = flat.attn_in;
    }
    if v || o {
        shapes.value = flat.value;
    }
    if gate || up {
        shapes.mlp_in = flat.mlp_in;
    }
    if up || down {
        shapes.down_in = flat.down_in;
    }
    shapes
}

/// The last norm, and the head in float and on its grid; `streams` are after the last layer.
pub(super) fn fit_head(
    model: &FloatModel,
    streams: &[Vec<f32>],
    head_in: &Channels,
    options: &Options,
) -> (Vec<f32>, Matrix, GridWeight) {
    let shape = choose_head(model, head_in, options.head, options.migration);
    let mut head = model.head().clone();
    scale_columns(&mut head, &shape);
    let gain: Vec<f32> = model.final_norm.iter().zip(&shape).map(|(g, s)| g / s).collect();
    let c = &model.config;
    let x: Vec<f32> = streams.iter().flat_map(|x| rms_norm(x, &gain, c.norm_eps)).collect();
    let how = Closed { pruning: Pruning::SparseGpt, feedback: true, ..options.closed };
    let grid = Inputs::migrated(&x, &shape).fit(&head, options.head, &how);
    (gain, head, grid)
}
