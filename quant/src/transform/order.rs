//! The order of channels, chosen so that those that share a group's scale are alike (as RPTQ, arXiv 2304.01089, and
//! Atom, arXiv 2310.19102, reorder activations): migration gives a weight's columns the ratios of the steps, and a
//! group of 32 columns has one scale. Channels of the residual stream have one order for the whole model, those of
//! down_proj's input one per layer, values one per layer and KV head. All is folded into the weights.

use super::migrate::per_query;
use crate::Result;
use crate::float::{FloatLayer, FloatModel, Matrix};
use crate::hf::LlamaConfig;
use crate::quantize::{Calibration, Channels, LayerStats};

/// Orders all channels of `model` by the size that migration of its steps would give the weights that read them; the
/// logits stay the same. `stats` are those of `model`.
///
/// # Errors
/// Layers that cannot be brought into memory.
pub fn order_channels(model: &mut FloatModel, stats: &Calibration) -> Result<()> {
    let c = model.config.clone();
    let mut size = log_size(&stats.head_in, &[model.head()]);
    for (w, s) in model.layers.resident()?.iter_mut().zip(&stats.layers) {
        for (channels, readers) in [(&s.attn_in, vec![&w.q, &w.k, &w.v]), (&s.mlp_in, vec![&w.gate, &w.up])] {
            size.iter_mut().zip(log_size(channels, &readers)).for_each(|(a, b)| *a += b);
        }
        order_hidden_layer(&c, w, s);
    }
    order_residual(model, &ascending(&size))
}

/// Orders the channels inside a layer: values, and the input of down.
fn order_hidden_layer(c: &LlamaConfig, w: &mut FloatLayer, s: &LayerStats) {
    let order = ascending(&log_size(&s.down_in, &[&w.down]));
    [&mut w.gate, &mut w.up].into_iter().for_each(|w| pick_rows(w, &order));
    pick_columns(&mut w.down, &order);

    let size = log_size(&wide(c, &s.value), &[&w.o]);
    let mut order = Vec::with_capacity(c.kv_width());
    for kv in 0..c.kv_heads {
        let heads = kv * c.group()..(kv + 1) * c.group();
        let of = |i: usize| heads.clone().map(|h| size[h * c.head_dim + i]).sum::<f64>();
        let head: Vec<f64> = (0..c.head_dim).map(of).collect();
        order.extend(ascending(&head).into_iter().map(|i| kv * c.head_dim + i));
    }
    pick_rows(&mut w.v, &order);
    let at = |h: usize, i: usize| h * c.head_dim + order[h / c.group() * c.head_dim + i] % c.head_dim;
    let columns: Vec<usize> =
        (0..c.heads).flat_map(|h| (0..c.head_dim).map(move |i| (h, i))).map(|(h, i)| at(h, i)).collect();
    pick_columns(&mut w.o, &columns);
}

/// Values as the columns of o see them.
fn wide(c: &LlamaConfig, value: &Channels) -> Channels {
    Channels { max: per_query(c, &value.max), ..Channels::default() }
}

/// Puts channel `order[i]` of the residual stream at place `i`.
fn order_residual(model: &mut FloatModel, order: &[usize]) -> Result<()> {
    pick_columns(&mut model.embed, order);
    for w in model.layers.resident()? {
        [&mut w.q, &mut w.k, &mut w.v, &mut w.gate, &mut w.up]
            .into_iter()
            .for_each(|w| pick_columns(w, order));
        [&mut w.o, &mut w.down].into_iter().for_each(|w| pick_rows(w, order));
        [&mut w.attn_norm, &mut w.mlp_norm].into_iter().for_each(|g| *g = picked(g, order));
    }
    if let Some(head) = &mut model.head {
        pick_columns(head, order);
    }
    model.final_norm = picked(&model.final_norm, order);
    Ok(())
}

/// Logarithm of what a column of the readers is after migration: its norm times the channel's range; the mean is 0.
fn log_size(channels: &Channels, readers: &[&Matrix]) -> Vec<f64> {
    let mut energy = vec![0.0f64; channels.max.len()];
    for row in readers.iter().flat_map(|w| w.data.chunks_exact(w.cols)) {
        energy.iter_mut().zip(row).for_each(|(e, w)| *e += f64::from(*w) * f64::from(*w));
    }
    let one = |(e, max): (&f64, &f32)| 0.5 * (e + 1e-30).ln() + (f64::from(*max) + 1e-15).ln();
    let size: Vec<f64> = energy.iter().zip(&channels.max).map(one).collect();
    let mean = size.iter().sum::<f64>() / size.len().max(1) as f64;
    size.into_iter().map(|s| s - mean).collect()
}

fn ascending(size: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..size.len()).collect();
    order.sort_by(|a, b| size[*a].total_cmp(&size[*b]));
    order
}

fn picked(x: &[f32], order: &[usize]) -> Vec<f32> {
    order.iter().map(|i| x[*i]).collect()
}

fn pick_columns(w: &mut Matrix, order: &[usize]) {
    w.data.chunks_exact_mut(w.cols).for_each(|row| {
        let new = picked(row, order);
        row.copy_from_slice(&new);
    });
}

fn pick_rows(w: &mut Matrix, order: &[usize]) {
    w.data = order.iter().flat_map(|r| w.row(*r).iter().copied()).collect();
}
