//! The formats of weights as the kernels know them, and the rounding to each.

use super::w2::round_w2;
use super::w4::round_w4;
use crate::grid::GridWeight;
use accllm_llm::float::Matrix;
use accllm_llm::model::WeightFormat;

/// The number of a format in the kernel `round_weights`.
pub(super) fn code(format: WeightFormat) -> u32 {
    match format {
        WeightFormat::W2Sparse => 0,
        WeightFormat::W2Dense => 1,
        WeightFormat::W4 => 2,
    }
}

/// The grid that the training sees of a weight; columns are a multiple of 32.
pub(super) fn round_weights(w: &Matrix, format: WeightFormat) -> GridWeight {
    match format {
        WeightFormat::W4 => round_w4(w),
        format => round_w2(w, format),
    }
}
