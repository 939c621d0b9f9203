//! Shapes of static steps, and the layout of columns per head.

use accllm_hw::sizes::head_stride;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::Matrix;
use accllm_llm::model::GROUP;

/// Shapes of one layer's steps: their ratios between channels; the largest entry of each is 1.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerShapes {
    /// Input of q, k, v: `[hidden]`.
    pub attn_in: Vec<f32>,
    /// Values: `[kv_heads * head_dim]`; the columns of o follow it.
    pub value: Vec<f32>,
    /// Input of gate, up: `[hidden]`.
    pub mlp_in: Vec<f32>,
    /// Input of down: `[ffn]`.
    pub down_in: Vec<f32>,
}

impl LayerShapes {
    /// The shapes of tensors with one factor for the channels of each group, which leave the weights that read them on
    /// any grid, and the others; both are flat in place of those of the other kind. Values go with the others: what
    /// attends to them counts one by one.
    pub(crate) fn whole_and_single(self, c: &LlamaConfig) -> (Self, Self) {
        let (mut whole, mut single) = (Self::flat(c), Self { value: self.value, ..Self::flat(c) });
        let place = |shape: Vec<f32>, whole: &mut Vec<f32>, single: &mut Vec<f32>| {
            let each = shape.chunks(GROUP).all(|g| g.iter().all(|s| Some(s) == g.first()));
            *(if each { whole } else { single }) = shape;
        };
        place(self.attn_in, &mut whole.attn_in, &mut single.attn_in);
        place(self.mlp_in, &mut whole.mlp_in, &mut single.mlp_in);
        place(self.down_in, &mut whole.down_in, &mut single.down_in);
        (whole, single)
    }

    /// No migration.
    pub fn flat(c: &LlamaConfig) -> Self {
        let ones = |n: usize| vec![1.0; n];
        Self {
            attn_in: ones(c.sizes.hidden),
            value: ones(c.sizes.kv_width()),
            mlp_in: ones(c.sizes.hidden),
            down_in: ones(c.sizes.ff),
        }
    }
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
pub(crate) fn gather_heads(w: &Matrix, head_dim: usize) -> Matrix {
    let stride = head_stride(head_dim);
    let data = w.data.chunks_exact(stride).flat_map(|h| h[..head_dim].iter().copied()).collect();
    Matrix { rows: w.rows, cols: w.cols / stride * head_dim, data }
}
