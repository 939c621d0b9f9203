//! Dimension reconstruction (MergeQuant) at unchanged widths: a strong channel is split into two halves, so that the
//! static step of its tensor can be smaller, and the least important channel is dropped to make room.
//!
//! Input of down: the gate row is copied, the up row halved in both, the column of down copied. Values: the row of
//! W_v halved in both, the columns of o copied for every query head of the group; both within one KV head.
//! The residual stream's channels are not split.

use crate::calibrate::{Calibration, LayerStats};
use accllm_hw::sizes::Linear;
use accllm_llm::Result;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatLayer, FloatModel, Matrix, on_rows};
use std::ops::Range;

/// Codes a side of down_proj's input, and of V.
const CODES: [f64; 2] = [127.0, 7.5];

/// A channel that was split, and the dropped one whose place its second half takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Split in two halves.
    pub strong: usize,
    /// Dropped.
    pub weak: usize,
}

/// What was done to a tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Splits {
    /// In order.
    pub pairs: Vec<Split>,
    /// Mean square error of the output per token, from the dropped channels (taken as uncorrelated).
    pub loss: f64,
    /// Mean square error that rounding to one step loses less, estimated.
    pub gain: f64,
}

/// What the choice of channels looks at.
struct Channel {
    /// Largest magnitude.
    max: f64,
    /// Mean square of the output's error without the channel.
    loss: f64,
    /// Mean square of the output's error for an error of 1 in the channel.
    energy: f64,
}

/// Chooses up to `most` pairs: the strongest channel with the weakest of its group, again and again; as many as leave
/// the least sum of rounding error and loss.
fn choose(mut channels: Vec<Channel>, group: usize, codes: f64, most: usize) -> Splits {
    let noise = |channels: &[Channel]| {
        let max = channels.iter().map(|c| c.max).fold(0.0, f64::max);
        (max / codes).powi(2) / 12.0 * channels.iter().map(|c| c.energy).sum::<f64>()
    };
    let before = noise(&channels);
    let (mut made, mut best) = (Splits::default(), Splits::default());
    // A half is not split again, and not dropped.
    let mut halves = vec![false; channels.len()];
    for _ in 0..most {
        let by_max = |a: &usize, b: &usize| channels[*a].max.total_cmp(&channels[*b].max);
        let Some(strong) = (0..channels.len()).max_by(by_max).filter(|i| !halves[*i]) else { break };
        let same: Range<usize> = strong / group * group..(strong / group + 1) * group;
        let by_loss = |a: &usize, b: &usize| channels[*a].loss.total_cmp(&channels[*b].loss);
        let Some(weak) = same.filter(|i| !halves[*i] && *i != strong).min_by(by_loss) else { break };
        made.loss += channels[weak].loss;
        // Both halves are rounded alike, so their errors add up: twice the energy in each.
        let (max, energy) = (channels[strong].max / 2.0, channels[strong].energy * 2.0);
        for i in [strong, weak] {
            channels[i] = Channel { max, energy, loss: f64::INFINITY };
            halves[i] = true;
        }
        made.pairs.push(Split { strong, weak });
        made.gain = before - noise(&channels);
        if made.gain - made.loss > best.gain - best.loss {
            best = made.clone();
        }
    }
    best
}

/// Splits channels of down_proj's input; `s` is the layer's calibration.
pub fn split_down(w: &mut FloatLayer, s: &LayerStats, most: usize) -> Splits {
    let energy = column_energy(&w.down);
    let power = s.down_in.mean_square();
    let channels = s.down_in.max.iter().zip(&power).zip(&energy);
    let channels: Vec<Channel> = channels
        .map(|((max, p), e)| Channel { max: f64::from(*max), loss: f64::from(*p) * e, energy: *e })
        .collect();
    let group = channels.len().max(1);
    let splits = choose(channels, group, CODES[0], most);
    for Split { strong, weak } in &splits.pairs {
        on_rows(&mut w.gate, &mut w.biases[Linear::Gate], |w| copy_row(w, *strong, *weak, 1.0));
        on_rows(&mut w.up, &mut w.biases[Linear::Up], |w| copy_row(w, *strong, *weak, 0.5));
        copy_column(&mut w.down, *strong, *weak);
    }
    splits
}

/// Splits channels of the values within their heads. How much of a rounding error of V comes through attention is
/// taken from how much of V itself does.
pub fn split_values(c: &LlamaConfig, w: &mut FloatLayer, s: &LayerStats, most: usize) -> Splits {
    let energy = column_energy(&w.o);
    let (value, out) = (s.value.mean_square(), s.attn_out.mean_square());
    // The columns of o that read value channel `i`.
    let columns = |i: usize| {
        let (kv, d) = (i / c.sizes.head_dim, i % c.sizes.head_dim);
        (kv * c.sizes.group()..(kv + 1) * c.sizes.group()).map(move |h| h * c.sizes.head_dim + d)
    };
    let channel = |i: usize| {
        let loss = columns(i).map(|o| f64::from(out[o]) * energy[o]).sum::<f64>();
        let passed = if value[i] > 0.0 { loss / f64::from(value[i]) } else { 0.0 };
        Channel { max: f64::from(s.value.max[i]), loss, energy: passed }
    };
    let channels: Vec<Channel> = (0..c.sizes.kv_width()).map(channel).collect();
    let splits = choose(channels, c.sizes.head_dim, CODES[1], most);
    for Split { strong, weak } in &splits.pairs {
        on_rows(&mut w.v, &mut w.biases[Linear::V], |w| copy_row(w, *strong, *weak, 0.5));
        for (from, to) in columns(*strong).zip(columns(*weak)) {
            copy_column(&mut w.o, from, to);
        }
    }
    splits
}

/// Splits channels of every layer of a model in memory, up to `most` in each of the two tensors.
///
/// # Errors
/// Layers that cannot be brought into memory.
pub fn split_model(model: &mut FloatModel, stats: &Calibration, most: usize) -> Result<Vec<[Splits; 2]>> {
    let c = model.config.clone();
    let layers = model.layers.resident()?.iter_mut().zip(&stats.layers);
    Ok(layers.map(|(w, s)| [split_down(w, s, most), split_values(&c, w, s, most)]).collect())
}

/// Sum of squares of each column.
fn column_energy(w: &Matrix) -> Vec<f64> {
    let mut sum = vec![0.0; w.cols];
    for row in w.data.chunks_exact(w.cols) {
        sum.iter_mut().zip(row).for_each(|(s, w)| *s += f64::from(*w) * f64::from(*w));
    }
    sum
}

/// Both rows become row `from` times `factor`.
fn copy_row(w: &mut Matrix, from: usize, to: usize, factor: f32) {
    let row: Vec<f32> = w.row(from).iter().map(|v| v * factor).collect();
    for r in [from, to] {
        w.data[r * w.cols..][..w.cols].copy_from_slice(&row);
    }
}

fn copy_column(w: &mut Matrix, from: usize, to: usize) {
    w.data.chunks_exact_mut(w.cols).for_each(|row| row[to] = row[from]);
}
