//! The rounding of weights to W2 that the training simulates at every step, on the CPU: the same to the bit as the kernel
//! `round_weights`.
//!
//! In 2:4 the two of each four columns of largest magnitude are kept (the first ones among equals), with levels 1 and 2; dense
//! weights are all kept, with levels 1 and 3. The step of 32 columns is the least-squares one, in three rounds from the mean
//! magnitude over the mean level; it is rounded to 8 bits of the row's largest, and levels are taken anew.

use crate::grid::{GridRow, GridWeight, join};
use accllm_llm::float::Matrix;
use accllm_llm::model::{GROUP, WeightFormat};
use rayon::prelude::*;

/// Rounds of levels and steps.
const ROUNDS: usize = 3;

/// How a W2 format rounds.
#[derive(Clone, Copy)]
struct Kind {
    format: WeightFormat,
    /// The larger level, and where it begins, in steps.
    upper: i8,
    edge: f32,
    /// Columns of a group that are kept, times the mean level.
    begin: f32,
}

impl Kind {
    fn of(format: WeightFormat) -> Self {
        match format {
            WeightFormat::W2Dense => Self { format, upper: 3, edge: 2.0, begin: 64.0 },
            _ => Self { format, upper: 2, edge: 1.5, begin: 24.0 },
        }
    }
}

/// Levels, scales and row scales of a weight in one of the W2 formats; columns are a multiple of 32.
pub(super) fn round_w2(w: &Matrix, format: WeightFormat) -> GridWeight {
    let kind = Kind::of(format);
    join(format, w.cols, (0..w.rows).into_par_iter().map(|r| row(w.row(r), kind)).collect())
}

fn row(w: &[f32], kind: Kind) -> GridRow {
    let dense = kind.format == WeightFormat::W2Dense;
    let kept: Vec<bool> = w.chunks_exact(4).flat_map(|w| best_two(w).map(|kept| kept || dense)).collect();
    let steps: Vec<f32> =
        w.chunks_exact(GROUP).zip(kept.chunks_exact(GROUP)).map(|(w, k)| step(w, k, kind)).collect();
    let unit = steps.iter().copied().fold(0.0, f32::max) / 255.0;
    let scale = |s: &f32| if unit > 0.0 { (s / unit + 0.5).floor().clamp(1.0, 255.0) } else { 0.0 };
    let scale: Vec<f32> = steps.iter().map(scale).collect();
    let level = w.iter().zip(&kept).enumerate().map(|(c, (w, kept))| {
        let size = if w.abs() < kind.edge * (scale[c / GROUP] * unit) { 1 } else { kind.upper };
        match (*kept && unit > 0.0, *w < 0.0) {
            (false, _) => 0,
            (true, true) => -size,
            (true, false) => size,
        }
    });
    GridRow {
        level: level.collect(),
        scale: scale.iter().map(|s| *s as u8).collect(),
        offset: Vec::new(),
        row_scale: unit,
    }
}

/// The two largest magnitudes of four; the first ones among equals.
fn best_two(w: &[f32]) -> [bool; 4] {
    let before = |i: usize| {
        let wins = |j: usize| w[j].abs() > w[i].abs() || (w[j].abs() == w[i].abs() && j < i);
        (0..4).filter(|j| *j != i && wins(*j)).count()
    };
    [0, 1, 2, 3].map(|i| before(i) < 2)
}

/// The step of a group.
fn step(w: &[f32], kept: &[bool], kind: Kind) -> f32 {
    let mut size = [0.0f32; GROUP];
    for ((size, w), kept) in size.iter_mut().zip(w).zip(kept) {
        *size = if *kept { w.abs() } else { 0.0 };
    }
    let mut s = tree_sum(size) / kind.begin;
    for _ in 0..ROUNDS {
        let mut level = [0.0f32; GROUP];
        for ((level, size), kept) in level.iter_mut().zip(&size).zip(kept) {
            *level = match (*kept, *size < kind.edge * s) {
                (false, _) => 0.0,
                (true, true) => 1.0,
                (true, false) => f32::from(kind.upper),
            };
        }
        let over = tree_sum(std::array::from_fn(|i| size[i] * level[i]));
        let under = tree_sum(level.map(|l| l * l));
        s = over / under;
    }
    s
}

/// A sum in the order in which the lanes of a warp add.
pub(super) fn tree_sum(mut x: [f32; GROUP]) -> f32 {
    let mut half = GROUP / 2;
    while half > 0 {
        x = std::array::from_fn(|i| x[i] + x[i ^ half]);
        half /= 2;
    }
    x[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::fit;
    use crate::quantize::recover;
    use crate::train::tests::random;

    fn weights(rows: usize, cols: usize) -> Matrix {
        Matrix { rows, cols, data: random(rows * cols, 7) }
    }

    /// The quantizer finds the levels and scales of the training in their values.
    #[test]
    fn the_grid_is_recovered_exactly() {
        for format in [WeightFormat::W2Sparse, WeightFormat::W2Dense] {
            let fitted = round_w2(&weights(24, 160), format);
            let Some(found) = recover(&fitted.dequantize()) else { panic!("the grid is not found") };
            assert_eq!(found.grid, fitted.grid);
            for (a, b) in found.row_scale.iter().zip(&fitted.row_scale) {
                assert!((a / b - 1.0).abs() < 1e-6, "{a} for {b}");
            }
        }
    }

    /// About as near as the quantizer's own search without activations.
    #[test]
    fn it_is_near() {
        for format in [WeightFormat::W2Sparse, WeightFormat::W2Dense] {
            let w = weights(24, 160);
            let (ours, search) = (round_w2(&w, format), fit(&w, &[1.0; 160], &[true; 160], format));
            let error = |grid: &GridWeight| -> f64 {
                let back = grid.dequantize();
                w.data.iter().zip(&back.data).map(|(a, b)| f64::from((a - b) * (a - b))).sum()
            };
            let (ours, search) = (error(&ours), error(&search));
            assert!(ours < 1.1 * search, "{format:?}: {ours} for {search}");
        }
    }

    #[test]
    fn two_of_four_are_kept_and_levels_are_nearest() {
        let w = weights(8, 96);
        let fitted = round_w2(&w, WeightFormat::W2Sparse);
        assert!(fitted.grid.level.chunks_exact(4).all(|q| q.iter().filter(|l| **l != 0).count() == 2));
        let step =
            |r: usize, c: usize| f32::from(fitted.grid.scale[(r * 96 + c) / GROUP]) * fitted.row_scale[r];
        for (i, (l, w)) in fitted.grid.level.iter().zip(&w.data).enumerate() {
            let s = step(i / 96, i % 96);
            let error = |l: i8| (w.abs() - f32::from(l) * s).abs();
            assert!(*l == 0 || error(l.abs()) <= error(3 - l.abs()) + 1e-6);
        }
        assert!(fitted.grid.scale.chunks_exact(3).all(|row| row.contains(&255)));
    }

    #[test]
    fn equal_weights_keep_the_first_two_and_zeros_stay() {
        assert_eq!(best_two(&[1.0, -1.0, 1.0, 1.0]), [true, true, false, false]);
        for format in [WeightFormat::W2Sparse, WeightFormat::W2Dense] {
            let grid = round_w2(&Matrix { rows: 1, cols: 64, data: vec![0.0; 64] }, format);
            assert!(grid.dequantize().data.iter().all(|v| *v == 0.0));
        }
    }
}
