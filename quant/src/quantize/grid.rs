//! A weight on a grid, before the activation steps are folded in.

use crate::float::Matrix;
use crate::model::{GROUP, WeightFormat};
use accllm_hw::beat::OFFSET_SHIFT;

/// What an offset is worth, in scales.
pub(crate) const OFFSET: f32 = (1 << OFFSET_SHIFT) as f32;

/// `value[r][c] = (level[r][c] * scale[r][c / 32] + 4 * offset[r][c / 32]) * row_scale[r]`.
#[derive(Clone, Debug, PartialEq)]
pub struct GridWeight {
    /// Level set.
    pub format: WeightFormat,
    /// Output features.
    pub rows: usize,
    /// Input features, before padding to a multiple of 32.
    pub cols: usize,
    /// `[rows, cols_padded]`.
    pub level: Vec<i8>,
    /// `[rows, cols_padded / 32]`.
    pub scale: Vec<u8>,
    /// The same for W4, empty for other formats.
    pub offset: Vec<i8>,
    /// `[rows]`.
    pub row_scale: Vec<f32>,
}

impl GridWeight {
    /// Columns rounded up to a multiple of 32.
    pub fn cols_padded(&self) -> usize {
        self.cols.next_multiple_of(GROUP)
    }

    /// The values as a matrix `[rows, cols]`.
    pub fn dequantize(&self) -> Matrix {
        let (padded, groups) = (self.cols_padded(), self.cols_padded() / GROUP);
        let mut data = Vec::with_capacity(self.rows * self.cols);
        for r in 0..self.rows {
            for c in 0..self.cols {
                let level = f32::from(self.level[r * padded + c]);
                let scale = f32::from(self.scale[r * groups + c / GROUP]);
                let offset = self.offset.get(r * groups + c / GROUP).map_or(0.0, |o| OFFSET * f32::from(*o));
                data.push((level * scale + offset) * self.row_scale[r]);
            }
        }
        Matrix { rows: self.rows, cols: self.cols, data }
    }
}

/// One quantized row, as the fitting and recovery functions return it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GridRow {
    /// `[cols_padded]`.
    pub level: Vec<i8>,
    /// `[cols_padded / 32]`.
    pub scale: Vec<u8>,
    /// The same for W4, empty for other formats.
    pub offset: Vec<i8>,
    /// Real value of level 1 at scale 1.
    pub row_scale: f32,
}

/// Joins rows of equal width.
pub(super) fn join(format: WeightFormat, cols: usize, rows: Vec<GridRow>) -> GridWeight {
    GridWeight {
        format,
        rows: rows.len(),
        cols,
        row_scale: rows.iter().map(|r| r.row_scale).collect(),
        level: rows.iter().flat_map(|r| r.level.iter().copied()).collect(),
        scale: rows.iter().flat_map(|r| r.scale.iter().copied()).collect(),
        offset: rows.iter().flat_map(|r| r.offset.iter().copied()).collect(),
    }
}
