//! Shapes of static steps, and the layout of columns per head.

use crate::float::Matrix;
pub(super) use crate::transform::{LayerShapes, per_query};
use accllm_hw::sizes::head_stride;

/// All shapes of a model.
#[derive(Clone, Debug)]
pub(super) struct Shapes {
    pub layers: Vec<LayerShapes>,
    /// Input of the head: `[hidden]`.
    pub head_in: Vec<f32>,
}

/// Lays a per-column vector out per head with a stride of `head_dim` rounded up to 32.
pub(crate) fn spread<T: Copy>(v: &[T], head_dim: usize, fill: T) -> Vec<T> {
    let tail = head_stride(head_dim) - head_dim;
    let each =
        v.chunks_exact(head_dim).flat_map(|h| h.iter().copied().chain(std::iter::repeat_n(fill, tail)));
    each.collect()
}

/// Lays columns out per head with a stride of `head_dim` rounded up to 32, zeros between.
pub(crate) fn spread_heads(w: &Matrix, head_dim: usize) -> Matrix {
    let cols = w.cols / head_dim * head_stride(head_dim);
    Matrix { rows: w.rows, cols, data: spread(&w.data, head_dim, 0.0) }
}

/// Undoes [`spread_heads`].
pub(super) fn gather_heads(w: &Matrix, head_dim: usize) -> Matrix {
    let stride = head_stride(head_dim);
    let data = w.data.chunks_exact(stride).flat_map(|h| h[..head_dim].iter().copied()).collect();
    Matrix { rows: w.rows, cols: w.cols / stride * head_dim, data }
}
