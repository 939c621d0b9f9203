//! Changes of a float model's weights that leave its outputs as they are (up to float rounding) and make it
//! easier to quantize. All are folded in offline and cost nothing at run time.

mod align;
mod balance;
mod keys;
mod migrate;
mod order;
mod rotate;
mod split;

pub use align::{Aligned, KeySample, align_qk};
pub use balance::{PairPower, balance_qk};
pub use keys::{Keys, match_keys};
pub use migrate::{Codes, Reader, choose_head, choose_layer, choose_shape, migrate_head, migrate_layer};
pub use order::order_channels;
pub use rotate::{Rotation, fold_gains, rotate_residual, rotate_values};
pub use split::{Split, Splits, split_down, split_model, split_values};

pub(crate) use migrate::per_query;

use accllm_llm::float::Matrix;

/// Multiplies column `c` of `w` by `factor[c]`.
pub(crate) fn scale_columns(w: &mut Matrix, factor: &[f32]) {
    for row in w.data.chunks_exact_mut(w.cols) {
        row.iter_mut().zip(factor).for_each(|(w, f)| *w *= f);
    }
}

/// Multiplies row `r` of `w` by `factor[r]`.
pub(crate) fn scale_rows(w: &mut Matrix, factor: &[f32]) {
    for (row, f) in w.data.chunks_exact_mut(w.cols).zip(factor) {
        row.iter_mut().for_each(|w| *w *= f);
    }
}

/// `1 / v` of each.
pub(crate) fn inverse(v: &[f32]) -> Vec<f32> {
    v.iter().map(|v| 1.0 / v).collect()
}
