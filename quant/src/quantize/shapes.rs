//! Ratios between the static steps of a tensor's channels, and their migration into weight columns.

use super::calibrate::Channels;
use crate::float::Matrix;
use crate::hf::LlamaConfig;
use crate::model::GROUP;

/// Shapes of one layer's steps; the largest entry of each is 1.
#[derive(Clone, Debug)]
pub(super) struct LayerShapes {
    /// Input of q, k, v: `[hidden]`.
    pub attn_in: Vec<f32>,
    /// Values: `[kv_heads * head_dim]`; the columns of o follow it.
    pub value: Vec<f32>,
    /// Input of gate, up: `[hidden]`.
    pub mlp_in: Vec<f32>,
    /// Input of down: `[ffn]`.
    pub down_in: Vec<f32>,
}

/// All shapes of a model.
#[derive(Clone, Debug)]
pub(super) struct Shapes {
    pub layers: Vec<LayerShapes>,
    /// Input of the head: `[hidden]`.
    pub head_in: Vec<f32>,
}

/// `(max[c] / max)^migration`, kept above 2^-10; flat where `migration` is 0 or nothing was seen.
pub(super) fn shape(channels: &Channels, migration: f32) -> Vec<f32> {
    let largest = channels.largest();
    let one = |m: &f32| if largest > 0.0 { (m / largest).max(1.0 / 1024.0).powf(migration) } else { 1.0 };
    channels.max.iter().map(one).collect()
}

/// The value shape as seen by o's columns: `[heads * head_dim]`, one KV head for each of its query heads.
pub(super) fn per_query(c: &LlamaConfig, value: &[f32]) -> Vec<f32> {
    (0..c.heads).flat_map(|h| value[h / c.group() * c.head_dim..][..c.head_dim].iter().copied()).collect()
}

/// Columns multiplied by `shape`: the migrated weight.
pub(super) fn scale_columns(w: &Matrix, shape: &[f32]) -> Matrix {
    let data =
        w.data.chunks_exact(w.cols).flat_map(|row| row.iter().zip(shape).map(|(w, s)| w * s)).collect();
    Matrix { rows: w.rows, cols: w.cols, data }
}

/// Columns divided by `shape`: a migrated weight in the units of the checkpoint.
pub(super) fn unscale_columns(w: &Matrix, shape: &[f32]) -> Matrix {
    let inverse: Vec<f32> = shape.iter().map(|s| 1.0 / s).collect();
    scale_columns(w, &inverse)
}

/// Lays columns out per head with a stride of `head_dim` rounded up to 32, zeros between.
pub(super) fn spread_heads(w: &Matrix, head_dim: usize) -> Matrix {
    let stride = head_dim.next_multiple_of(GROUP);
    let heads = w.cols / head_dim;
    let mut data = vec![0.0f32; w.rows * heads * stride];
    for (from, to) in w.data.chunks_exact(head_dim).zip(data.chunks_exact_mut(stride)) {
        to[..head_dim].copy_from_slice(from);
    }
    Matrix { rows: w.rows, cols: heads * stride, data }
}

/// Undoes [`spread_heads`].
pub(super) fn gather_heads(w: &Matrix, head_dim: usize) -> Matrix {
    let stride = head_dim.next_multiple_of(GROUP);
    let data = w.data.chunks_exact(stride).flat_map(|h| h[..head_dim].iter().copied()).collect();
    Matrix { rows: w.rows, cols: w.cols / stride * head_dim, data }
}
