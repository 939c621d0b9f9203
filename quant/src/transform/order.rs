//! The order of channels: which of them share a group's scale, and which compete where 2:4 keeps two columns of four.
//! Channels of the residual stream have one order for the whole model, those of down_proj's input one per layer, values
//! one per layer and KV head. All is folded into the weights.
//!
//! - Dense weights: channels that are alike share a scale (as RPTQ, arXiv 2304.01089, and Atom, arXiv 2310.19102, reorder
//!   activations): migration gives a weight's columns the ratios of the steps, and a group of 32 columns has one scale.
//! - Pruned weights: each four has two channels of the stronger half and two of the weaker, so that what is dropped
//!   matters least (Pool and Yu, "Channel Permutations for N:M Sparsity", NeurIPS 2021, permute for the same end).

use super::migrate::per_query;
use crate::calibrate::{Calibration, Channels, LayerStats};
use accllm_hw::sizes::Linear;
use accllm_llm::Result;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatLayer, FloatModel, Matrix, on_rows};
use accllm_llm::model::WeightFormat;

/// Orders all channels of `model` for weights of `formats` (q, k, v, o, gate, up and down of a layer); the logits stay
/// the same. `stats` are those of `model`. The residual stream takes the order that suits most of the weights that read
/// it.
///
/// # Errors
/// Layers that cannot be brought into memory.
pub fn order_channels(
    model: &mut FloatModel,
    stats: &Calibration,
    formats: &dyn Fn(usize) -> [WeightFormat; 7],
) -> Result<()> {
    let c = model.config.clone();
    let pruned = |f: WeightFormat| f == WeightFormat::W2Sparse;
    let mut stream = Sizes::new(&stats.head_in.max, &stats.head_in.power(), &[model.head()]);
    let (mut sparse, mut dense) = (0, 0);
    for ((l, w), s) in model.layers.resident()?.iter_mut().enumerate().zip(&stats.layers) {
        let [q, k, v, o, gate, up, down] = formats(l);
        stream.add(&Sizes::of(&s.attn_in, &[&w.q, &w.k, &w.v]));
        stream.add(&Sizes::of(&s.mlp_in, &[&w.gate, &w.up]));
        for (w, f) in [(&w.q, q), (&w.k, k), (&w.v, v), (&w.gate, gate), (&w.up, up)] {
            *(if pruned(f) { &mut sparse } else { &mut dense }) += w.rows;
        }
        order_hidden_layer(&c, w, s, [pruned(o), pruned(down)]);
    }
    order_residual(model, &stream.order(sparse > dense))
}

/// Orders the channels inside a layer, values and the input of down, for pruned weights of o and down or dense ones.
fn order_hidden_layer(c: &LlamaConfig, w: &mut FloatLayer, s: &LayerStats, [o, down]: [bool; 2]) {
    let order = Sizes::of(&s.down_in, &[&w.down]).order(down);
    on_rows(&mut w.gate, &mut w.biases[Linear::Gate], |w| pick_rows(w, &order));
    on_rows(&mut w.up, &mut w.biases[Linear::Up], |w| pick_rows(w, &order));
    pick_columns(&mut w.down, &order);

    let sizes = Sizes::new(&per_query(c, &s.value.max), &s.attn_out.power(), &[&w.o]);
    let mut order = Vec::with_capacity(c.sizes.kv_width());
    for kv in 0..c.sizes.kv_heads {
        let mut head = sizes.part(kv * c.sizes.group() * c.sizes.head_dim, c.sizes.head_dim);
        (1..c.sizes.group()).for_each(|g| {
            head.add(&sizes.part((kv * c.sizes.group() + g) * c.sizes.head_dim, c.sizes.head_dim))
        });
        order.extend(head.order(o).into_iter().map(|i| kv * c.sizes.head_dim + i));
    }
    on_rows(&mut w.v, &mut w.biases[Linear::V], |w| pick_rows(w, &order));
    let at = |h: usize, i: usize| {
        h * c.sizes.head_dim + order[h / c.sizes.group() * c.sizes.head_dim + i] % c.sizes.head_dim
    };
    let columns: Vec<usize> = (0..c.sizes.heads)
        .flat_map(|h| (0..c.sizes.head_dim).map(move |i| (h, i)))
        .map(|(h, i)| at(h, i))
        .collect();
    pick_columns(&mut w.o, &columns);
}

/// Puts channel `order[i]` of the residual stream at place `i`.
fn order_residual(model: &mut FloatModel, order: &[usize]) -> Result<()> {
    pick_columns(&mut model.embed, order);
    for w in model.layers.resident()? {
        [&mut w.q, &mut w.k, &mut w.v, &mut w.gate, &mut w.up]
            .into_iter()
            .for_each(|w| pick_columns(w, order));
        on_rows(&mut w.o, &mut w.biases[Linear::O], |w| pick_rows(w, order));
        on_rows(&mut w.down, &mut w.biases[Linear::Down], |w| pick_rows(w, order));
        [&mut w.attn_norm, &mut w.mlp_norm].into_iter().for_each(|g| *g = picked(g, order));
    }
    if let Some(head) = &mut model.head {
        pick_columns(head, order);
    }
    model.final_norm = picked(&model.final_norm, order);
    Ok(())
}

/// What decides about the places of channels: logarithms, of mean 0 over the channels, summed over the tensors that
/// share an order.
struct Sizes {
    /// Norm of the columns that read a channel.
    norm: Vec<f64>,
    /// Range of a channel.
    range: Vec<f64>,
    /// Root of a channel's mean square.
    rms: Vec<f64>,
}

impl Sizes {
    fn of(channels: &Channels, readers: &[&Matrix]) -> Self {
        Self::new(&channels.max, &channels.power(), readers)
    }

    fn new(max: &[f32], power: &[f32], readers: &[&Matrix]) -> Self {
        let mut energy = vec![0.0f64; max.len()];
        for row in readers.iter().flat_map(|w| w.data.chunks_exact(w.cols)) {
            energy.iter_mut().zip(row).for_each(|(e, w)| *e += f64::from(*w) * f64::from(*w));
        }
        Self {
            norm: centered(energy.iter().map(|e| 0.5 * (e + 1e-30).ln())),
            range: centered(max.iter().map(|m| (f64::from(*m) + 1e-15).ln())),
            rms: centered(power.iter().map(|p| 0.5 * (f64::from(*p) + 1e-30).ln())),
        }
    }

    fn add(&mut self, other: &Self) {
        let add = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        add(&mut self.norm, &other.norm);
        add(&mut self.range, &other.range);
        add(&mut self.rms, &other.rms);
    }

    /// Those of `count` channels.
    fn part(&self, first: usize, count: usize) -> Self {
        let of = |x: &[f64]| x[first..first + count].to_vec();
        Self { norm: of(&self.norm), range: of(&self.range), rms: of(&self.rms) }
    }

    /// The channel for each place.
    fn order(&self, pruned: bool) -> Vec<usize> {
        // What a column is after migration: those that are alike can share a scale.
        let alike = |part| ascending(part, |i| self.norm[i] + self.range[i]);
        let all = (0..self.norm.len()).collect();
        if !pruned {
            return alike(all);
        }
        let mut weak = ascending(all, |i| self.norm[i] + self.rms[i]);
        let strong = alike(weak.split_off(weak.len() / 2));
        let weak = alike(weak);
        let pairs = weak.chunks(2).zip(strong.chunks(2));
        let mut order: Vec<usize> = pairs.flat_map(|(w, s)| w.iter().chain(s)).copied().collect();
        order.extend(strong.get(weak.len().div_ceil(2) * 2..).unwrap_or_default());
        order
    }
}

fn centered(x: impl Iterator<Item = f64>) -> Vec<f64> {
    let x: Vec<f64> = x.collect();
    let mean = x.iter().sum::<f64>() / x.len().max(1) as f64;
    x.into_iter().map(|x| x - mean).collect()
}

fn ascending(mut channels: Vec<usize>, size: impl Fn(usize) -> f64) -> Vec<usize> {
    channels.sort_by(|a, b| size(*a).total_cmp(&size(*b)));
    channels
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
