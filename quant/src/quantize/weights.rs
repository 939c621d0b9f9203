//! Chooses the grid of every weight of a model, layer by layer.

use super::calibrate::{Channels, Collector, LayerStats, windows};
use super::grid::GridWeight;
use super::layer::{GridLayer, LayerGrids, Weights};
use super::levels::fit;
use super::plan::Plan;
use super::recover::recover;
use super::shapes::spread_heads;
use super::steps::value_steps;
use super::{Options, Progress};
use crate::float::{FloatLayer, FloatModel, Matrix, NoTap, Window, run_layer};
use crate::hf::LlamaConfig;
use crate::model::{MAX_HEAD_DIM, MAX_HIDDEN, WeightFormat};
use crate::perplexity::Protocol;
use crate::train::{BlockTraining, Start, TrainedLayer, train_end_to_end};
use crate::transform::{
    LayerShapes, PairPower, balance_qk, choose_head, choose_layer, migrate_layer, per_query, scale_columns,
};
use crate::{Error, Result};

/// Quantizes every weight, layer by layer. Two streams run through the model: the float model's own, which the
/// reconstruction aims at, and what the quantized layers so far produce, on which each layer is calibrated.
pub(super) fn quantize_weights(
    model: &FloatModel,
    text: &[u32],
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Weights> {
    let c = &model.config;
    check_options(c, options)?;
    let texts = windows(text, options.calibration)?;
    let window = Window::new(c, options.calibration.window, None);
    let start = texts.iter().map(|w| model.embed_tokens(w)).collect::<Result<Vec<_>>>()?;
    let mut float = start.clone();
    let mut streams = start;
    let mut seen = Collector::new(model);
    let (mut layers, mut trained) = (Vec::new(), Vec::new());
    for (l, w) in model.layers.iter().enumerate() {
        let mut w = w?.into_owned();
        let found = find_grids(c, l, &w, options);
        let mut pairs = PairPower::new(c);
        float.iter_mut().for_each(|x| run_layer(c, (l, &w), &window, x, &mut pairs));
        if options.balance > 0.0 && found[0].is_none() && found[1].is_none() {
            balance_qk(c, &mut w, l, &pairs, options.balance);
        }
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
            run_layer(c, (l, &w), &window, x, &mut seen);
        }
        let stats = seen.take(l);
        let shapes = choose_shapes(c, l, &w, &stats, &found, options);
        migrate_layer(c, &mut w, &shapes);
        let mut layer = GridLayer {
            grids: fit_layer(c, l, &w, &stats, &shapes, found, options),
            attn_norm: w.attn_norm.clone(),
            mlp_norm: w.mlp_norm.clone(),
        };
        if !exact {
            match &options.reconstruction {
                Some(how) => {
                    let step = value_steps(&shapes.value, &stats)[0] / shapes.value[0];
                    let block =
                        BlockTraining { how, l, window: options.calibration.window, value_step: Some(step) };
                    let training = TrainedLayer::new(c, &w, &layer, &block)?;
                    training.reconstruct(&streams, &float, &block, progress)?;
                    layer = training.result()?;
                    training.advance(&mut streams)?;
                    if options.end_to_end.is_some() {
                        trained.push(training);
                    }
                }
                None => {
                    let back = layer.dequantize(c);
                    streams.iter_mut().for_each(|x| run_layer(c, (l, &back), &window, x, &mut NoTap));
                }
            }
        }
        progress(Progress { layer: l + 1, layers: c.layers, step: 0, steps: 0, loss: None });
        layers.push(layer);
    }
    for x in &streams {
        model.last_norm(x, &mut seen);
    }
    let (final_norm, float_head, head) = fit_head(model, &seen.finish()?.head_in, options);
    match &options.end_to_end {
        Some((how, count)) if trained.len() == c.layers => {
            let protocol = Protocol { windows: Some(*count), ..options.calibration };
            let start = Start { layers: trained, head: &float_head, grid: &head, final_norm: &final_norm };
            train_end_to_end(model, start, &windows(text, protocol)?, how, progress)
        }
        _ => Ok(Weights { embed: model.embed.clone(), layers: layers.into(), final_norm, head }),
    }
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
    if !options.layer_formats.is_empty() && options.layer_formats.len() != c.layers {
        return Err(Error::Argument(format!(
            "formats are given for {} layers, but the model has {}",
            options.layer_formats.len(),
            c.layers
        )));
    }
    Ok(())
}

/// The grids of those of a layer's seven linears that already lie on one of the format wanted.
fn find_grids(c: &LlamaConfig, l: usize, w: &FloatLayer, options: &Options) -> [Option<GridWeight>; 7] {
    if options.formats(l).contains(&WeightFormat::W4) {
        return [const { None }; 7];
    }
    let o = spread_heads(&w.o, c.head_dim);
    [&w.q, &w.k, &w.v, &o, &w.gate, &w.up, &w.down].map(recover)
}

/// The migration of a layer's steps; a weight that keeps its own grid takes none into its columns or rows.
fn choose_shapes(
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

/// Grids of the migrated layer `w`; `s` is from before the migration.
fn fit_layer(
    c: &LlamaConfig,
    l: usize,
    w: &FloatLayer,
    s: &LayerStats,
    shapes: &LayerShapes,
    found: [Option<GridWeight>; 7],
    options: &Options,
) -> LayerGrids {
    let formats = options.formats(l);
    let recovered = found.iter().flatten().count();
    let [q, k, v, o, gate, up, down] = found;
    // Nothing is prepared for weights that are all there.
    let plan = |x: &Channels, shape: &[f32], there: bool| match there {
        true => Plan::new(&Channels::default(), &[]),
        false => Plan::new(x, shape),
    };
    let attn = plan(&s.attn_in, &shapes.attn_in, q.is_some() && k.is_some() && v.is_some());
    let mlp = plan(&s.mlp_in, &shapes.mlp_in, gate.is_some() && up.is_some());
    let last = plan(&s.down_in, &shapes.down_in, down.is_some());
    let out = || Plan::per_head(&s.attn_out, &per_query(c, &shapes.value), c.head_dim);
    LayerGrids {
        q: q.unwrap_or_else(|| attn.fit(&w.q, formats[0])),
        k: k.unwrap_or_else(|| attn.fit(&w.k, formats[1])),
        v: v.unwrap_or_else(|| attn.fit(&w.v, formats[2])),
        o: o.unwrap_or_else(|| out().fit(&spread_heads(&w.o, c.head_dim), formats[3])),
        gate: gate.unwrap_or_else(|| mlp.fit(&w.gate, formats[4])),
        up: up.unwrap_or_else(|| mlp.fit(&w.up, formats[5])),
        down: down.unwrap_or_else(|| last.fit(&w.down, formats[6])),
        recovered,
    }
}

/// The last norm, and the head in float and on its grid. The head is not compensated: its error reaches the logits directly, and rounding to
/// the nearest level does less harm there (9.82 on the bundled model).
fn fit_head(model: &FloatModel, head_in: &Channels, options: &Options) -> (Vec<f32>, Matrix, GridWeight) {
    let shape = choose_head(model, head_in, options.head, options.migration);
    let mut head = model.head().clone();
    scale_columns(&mut head, &shape);
    let gain = model.final_norm.iter().zip(&shape).map(|(g, s)| g / s).collect();
    let power: Vec<f32> = head_in.power().iter().zip(&shape).map(|(p, s)| p / (s * s)).collect();
    let grid = fit(&head, &power, &vec![true; head.cols], options.head);
    (gain, head, grid)
}
