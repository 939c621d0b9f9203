//! Chooses the grid of every weight of a model.

use super::Options;
use super::calibrate::{Channels, Collector, LayerStats, windows};
use super::grid::GridWeight;
use super::plan::{Plan, choose_shape, spread, spread_gram};
use super::recover::recover;
use super::shapes::{LayerShapes, Shapes, gather_heads, per_query, spread_heads, unscale_columns};
use crate::float::{FloatLayer, FloatModel, Matrix, NoTap, Window, run_layer};
use crate::hf::LlamaConfig;
use crate::model::{MAX_HEAD_DIM, MAX_HIDDEN, WeightFormat};
use crate::{Error, Result};

/// Grids of one layer; `o` has its columns spread per head.
#[derive(Clone, Debug)]
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

/// All weights on their grids, with the shapes folded into their columns.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub layers: Vec<LayerGrids>,
    pub head: GridWeight,
    pub shapes: Shapes,
}

/// Quantizes every weight, layer by layer: each layer is calibrated on what the quantized layers before it
/// produce.
pub(super) fn quantize_weights(model: &FloatModel, text: &[u32], options: &Options) -> Result<Weights> {
    let c = &model.config;
    check_options(c, options)?;
    let texts = windows(text, options.calibration)?;
    let window = Window::new(c, options.calibration.window, None);
    let mut streams = texts.iter().map(|w| model.embed_tokens(w)).collect::<Result<Vec<_>>>()?;
    let mut seen = Collector::new(model);
    let (mut layers, mut shapes) = (Vec::new(), Vec::new());
    for (l, w) in model.layers.iter().enumerate() {
        let found = find_grids(c, l, w, options);
        // Weights that all keep their grids need no second run with the quantized layer.
        let exact = found.iter().all(Option::is_some);
        seen.want_gram(options.compensate && !exact);
        for x in &mut streams {
            let mut copy = Vec::new();
            let x = if exact {
                x
            } else {
                copy.clone_from(x);
                &mut copy
            };
            run_layer(c, (l, w), &window, x, &mut seen);
        }
        let (grids, shape) = layer(c, (l, w), &seen.take(l), found, options);
        if !exact {
            let back = dequantize_layer(c, &grids, &shape, w);
            for x in &mut streams {
                run_layer(c, (l, &back), &window, x, &mut NoTap);
            }
        }
        layers.push(grids);
        shapes.push(shape);
    }
    for x in &streams {
        model.last_norm(x, &mut seen);
    }
    let head_in = seen.finish()?.head_in;
    let head_shape = choose_shape(&head_in, &[model.head()], 127.0, options.head, options);
    let used = vec![true; c.hidden];
    // The head is not compensated: its error reaches the logits directly, and rounding to the nearest level
    // does less harm there (9.82 on the bundled model).
    let head = Plan::new(head_shape.clone(), &head_in.power(), used, &[], options.head).fit(model.head());
    Ok(Weights { layers, head, shapes: Shapes { layers: shapes, head_in: head_shape } })
}

fn check_options(c: &LlamaConfig, options: &Options) -> Result<()> {
    if c.hidden > MAX_HIDDEN || c.head_dim > MAX_HEAD_DIM {
        return Err(Error::Argument(format!(
            "hidden size {} and head width {} exceed the engine's limits of {MAX_HIDDEN} and {MAX_HEAD_DIM}",
            c.hidden, c.head_dim
        )));
    }
    if let Some(m) = options.migration.filter(|m| !(0.0..=1.0).contains(m)) {
        return Err(Error::Argument(format!("migration is {m}; expected 0 to 1")));
    }
    match options.w4_layers.iter().find(|l| **l >= c.layers) {
        Some(l) => {
            Err(Error::Argument(format!("layer {l} is to be W4, but the model has {} layers", c.layers)))
        }
        None => Ok(()),
    }
}

/// The grids of those of a layer's seven linears that already lie on one; none of a layer forced to W4.
fn find_grids(c: &LlamaConfig, number: usize, w: &FloatLayer, options: &Options) -> [Option<GridWeight>; 7] {
    if options.w4_layers.contains(&number) {
        return [const { None }; 7];
    }
    let o = spread_heads(&w.o, c.head_dim);
    [&w.q, &w.k, &w.v, &o, &w.gate, &w.up, &w.down].map(recover)
}

fn layer(
    c: &LlamaConfig,
    (number, w): (usize, &FloatLayer),
    s: &LayerStats,
    found: [Option<GridWeight>; 7],
    options: &Options,
) -> (LayerGrids, LayerShapes) {
    let forced = options.w4_layers.contains(&number);
    let format = if forced { WeightFormat::W4 } else { options.body };
    let recovered = found.iter().flatten().count();
    let [q, k, v, o, gate, up, down] = found;
    // A weight that keeps its own grid takes no shape into its columns.
    let pick = |on_grid: bool, channels: &Channels, readers: &[&Matrix], codes: f32| match on_grid {
        true => vec![1.0; channels.max.len()],
        false => choose_shape(channels, readers, codes, format, options),
    };
    let on_grid = |all: &[&Option<GridWeight>]| all.iter().any(|g| g.is_some());
    let by_kv = first_of_group(c, &w.o);
    let shapes = LayerShapes {
        attn_in: pick(on_grid(&[&q, &k, &v]), &s.attn_in, &[&w.q, &w.k, &w.v], 127.0),
        value: pick(o.is_some(), &s.value, &[&by_kv], 7.5),
        mlp_in: pick(on_grid(&[&gate, &up]), &s.mlp_in, &[&w.gate, &w.up], 127.0),
        down_in: pick(down.is_some(), &s.down_in, &[&w.down], 16384.0),
    };
    let plan = |shape: &[f32], x: &Channels, all_found: bool| {
        let gram: &[f32] = if all_found { &[] } else { &x.gram };
        Plan::new(shape.to_vec(), &x.power(), vec![true; shape.len()], gram, format)
    };
    let attn = plan(&shapes.attn_in, &s.attn_in, q.is_some() && k.is_some() && v.is_some());
    let mlp = plan(&shapes.mlp_in, &s.mlp_in, gate.is_some() && up.is_some());
    let last = plan(&shapes.down_in, &s.down_in, down.is_some());
    let out = || {
        let shape = per_query(c, &shapes.value);
        let gram = spread_gram(&s.attn_out.gram, c.head_dim, c.q_width());
        let used = spread(&vec![true; shape.len()], c.head_dim, false);
        let power = spread(&s.attn_out.power(), c.head_dim, 0.0);
        Plan::new(spread(&shape, c.head_dim, 1.0), &power, used, &gram, format)
    };
    let grids = LayerGrids {
        q: q.unwrap_or_else(|| attn.fit(&w.q)),
        k: k.unwrap_or_else(|| attn.fit(&w.k)),
        v: v.unwrap_or_else(|| attn.fit(&w.v)),
        o: o.unwrap_or_else(|| out().fit(&spread_heads(&w.o, c.head_dim))),
        gate: gate.unwrap_or_else(|| mlp.fit(&w.gate)),
        up: up.unwrap_or_else(|| mlp.fit(&w.up)),
        down: down.unwrap_or_else(|| last.fit(&w.down)),
        recovered,
    };
    (grids, shapes)
}

/// The columns of `o` that belong to the first query head of each KV head: `[hidden, kv_heads * head_dim]`.
fn first_of_group(c: &LlamaConfig, o: &Matrix) -> Matrix {
    let heads = o.data.chunks_exact(c.head_dim).step_by(c.group());
    Matrix { rows: o.rows, cols: c.kv_width(), data: heads.flatten().copied().collect() }
}

/// Float weights of a quantized layer, in the units of the checkpoint.
fn dequantize_layer(c: &LlamaConfig, g: &LayerGrids, s: &LayerShapes, w: &FloatLayer) -> FloatLayer {
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
}

impl Weights {
    /// Layer linears that were recovered.
    pub fn recovered(&self) -> usize {
        self.layers.iter().map(|l| l.recovered).sum()
    }

    /// A float model with these weights, in the units of the checkpoint.
    pub fn dequantize(&self, model: &FloatModel) -> FloatModel {
        let c = &model.config;
        let pairs = self.layers.iter().zip(&self.shapes.layers).zip(&model.layers);
        let layers = pairs.map(|((g, s), w)| dequantize_layer(c, g, s, w));
        FloatModel {
            config: c.clone(),
            embed: model.embed.clone(),
            layers: layers.collect(),
            final_norm: model.final_norm.clone(),
            head: Some(unscale_columns(&self.head.dequantize(), &self.shapes.head_in)),
        }
    }
}
