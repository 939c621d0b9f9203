//! A weight on a grid, before the activation steps are folded in.

use accllm_hw::beat::OFFSET_SHIFT;
use accllm_llm::float::Matrix;
use accllm_llm::model::{GROUP, Levels, WeightFormat};

/// What an offset is worth, in scales.
pub(crate) const OFFSET: f32 = (1 << OFFSET_SHIFT) as f32;

/// `value[r][c] = w[r][c] * row_scale[r]`, with `w` the values of `grid`.
#[derive(Clone, Debug, PartialEq)]
pub struct GridWeight {
    /// `w`.
    pub grid: Levels,
    /// `[rows]`.
    pub row_scale: Vec<f32>,
}

impl GridWeight {
    /// The values as a matrix `[rows, cols]`.
    pub fn dequantize(&self) -> Matrix {
        let (rows, cols) = (self.grid.rows, self.grid.cols);
        let mut data = Vec::with_capacity(rows * cols);
        for (r, unit) in self.row_scale.iter().enumerate() {
            data.extend(self.grid.integer_row(r).take(cols).map(|w| f32::from(w) * unit));
        }
        Matrix { rows, cols, data }
    }

    /// Multiplies the columns by `shape`, one factor for the columns of a group: levels stay, scales are rounded anew.
    pub fn scale_groups(&mut self, shape: &[f32]) {
        let groups = self.grid.cols_padded() / GROUP;
        for r in 0..self.grid.rows {
            let here = r * groups..(r + 1) * groups;
            let unit_before = self.row_scale[r];
            let step = |(g, i): (usize, usize)| {
                let factor = unit_before * shape.get(g * GROUP).copied().unwrap_or(1.0);
                let offset = self.grid.offset.get(i).map_or(0.0, |o| OFFSET * f32::from(*o));
                Step { size: f32::from(self.grid.scale[i]) * factor, offset: offset * factor }
            };
            let steps: Vec<Step> = here.clone().enumerate().map(step).collect();
            let mut row = GridRow::zero(groups * GROUP, self.grid.format, unit(&steps));
            steps.iter().enumerate().for_each(|(g, step)| {
                row.set(g, *step);
            });
            self.row_scale[r] = row.row_scale;
            self.grid.scale[here.clone()].copy_from_slice(&row.scale);
            if let Some(offset) = self.grid.offset.get_mut(here) {
                offset.copy_from_slice(&row.offset);
            }
        }
    }

    /// Divides the rows by `shape`.
    pub fn divide_rows(&mut self, shape: &[f32]) {
        self.row_scale.iter_mut().zip(shape).for_each(|(scale, s)| *scale /= s);
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

/// The grid of a group: `level * size + offset`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Step {
    pub size: f32,
    /// 0 for all formats but W4.
    pub offset: f32,
}

/// The row scale for which all steps of a row fit 8 bits; 0 for a row of zeros.
pub(crate) fn unit(steps: &[Step]) -> f32 {
    let one = |s: &Step| (s.size / 255.0).max(s.offset.abs() / (OFFSET * 127.0));
    steps.iter().map(one).fold(0.0, f32::max)
}

impl GridRow {
    /// All weights 0.
    pub fn zero(padded: usize, format: WeightFormat, unit: f32) -> Self {
        let groups = padded / GROUP;
        let offsets = if format == WeightFormat::W4 { groups } else { 0 };
        Self { level: vec![0; padded], scale: vec![0; groups], offset: vec![0; offsets], row_scale: unit }
    }

    /// Gives group `g` its step, and returns it as 8 bits hold it; a group of zeros stays as it is.
    pub fn set(&mut self, g: usize, step: Step) -> Option<Step> {
        let unit = self.row_scale;
        if step.size <= 0.0 || unit <= 0.0 {
            return None;
        }
        self.scale[g] = (step.size / unit).round().clamp(1.0, 255.0) as u8;
        let mut held = Step { size: f32::from(self.scale[g]) * unit, offset: 0.0 };
        if let Some(offset) = self.offset.get_mut(g) {
            *offset = (step.offset / (unit * OFFSET)).round().clamp(-128.0, 127.0) as i8;
            held.offset = f32::from(*offset) * OFFSET * unit;
        }
        Some(held)
    }
}

/// Joins rows of equal width.
pub(crate) fn join(format: WeightFormat, cols: usize, rows: Vec<GridRow>) -> GridWeight {
    let grid = Levels {
        format,
        rows: rows.len(),
        cols,
        level: rows.iter().flat_map(|r| r.level.iter().copied()).collect(),
        scale: rows.iter().flat_map(|r| r.scale.iter().copied()).collect(),
        offset: rows.iter().flat_map(|r| r.offset.iter().copied()).collect(),
    };
    GridWeight { grid, row_scale: rows.iter().map(|r| r.row_scale).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::fit;
    use crate::train::tests::random;

    /// What is not the rounding of scales to 8 bits is exact.
    #[test]
    fn factors_of_groups_and_rows_go_into_the_scales() {
        let (rows, cols) = (4, 2 * GROUP + 8);
        let w = Matrix { rows, cols, data: random(rows * cols, 1) };
        let (shape, divisor) = ([0.5f32, 1.0, 0.125], [1.0f32, 0.5, 4.0, 0.1]);
        let shape: Vec<f32> = (0..cols).map(|c| shape[c / GROUP]).collect();
        for format in [WeightFormat::W2Sparse, WeightFormat::W2Dense, WeightFormat::W4] {
            let before = fit(&w, &vec![1.0; cols], &vec![true; cols], format);
            let mut after = before.clone();
            after.scale_groups(&shape);
            after.divide_rows(&divisor);
            assert_eq!(before.grid.level, after.grid.level);
            let wide = |m: &Matrix| m.data.iter().map(|v| v.abs()).fold(0.0, f32::max);
            let (values, changed) = (before.dequantize(), after.dequantize());
            for (i, (a, b)) in values.data.iter().zip(&changed.data).enumerate() {
                let wanted = a * shape[i % cols] / divisor[i / cols];
                // Half a code of scale and of offset, at levels up to 8.
                let most = (8.0 + OFFSET) * 0.5 * after.row_scale[i / cols];
                assert!((b - wanted).abs() <= most * 1.001, "{format:?}: {b} for {wanted}");
                assert!(most < 0.1 * wide(&values) / divisor[i / cols], "{format:?}: {most} is no bound");
            }
        }
    }
}
