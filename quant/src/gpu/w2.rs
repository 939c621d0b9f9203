//! The rounding of weights to W2 2:4 that the training simulates at every step, on the CPU: the same to the bit as the
//! kernel `round_weights`.
//!
//! Of each four columns the two of largest magnitude are kept (the first ones among equals). The step of 32 columns is the
//! least-squares one for levels -2, -1, 1 and 2, in three rounds from two thirds of the mean magnitude; it is rounded to
//! 8 bits of the row's largest, and levels are taken anew.

use crate::float::Matrix;
use crate::grid::GridWeight;
use crate::model::{GROUP, Levels, WeightFormat};
use rayon::prelude::*;

/// Rounds of levels and steps.
const ROUNDS: usize = 3;

/// Levels, scales and row scales of a weight; columns are a multiple of 32.
pub(super) fn round_weights(w: &Matrix) -> GridWeight {
    let groups = w.cols / GROUP;
    let rows: Vec<(Vec<i8>, Vec<u8>, f32)> = (0..w.rows).into_par_iter().map(|r| row(w.row(r))).collect();
    let mut grid = Levels {
        format: WeightFormat::W2Sparse,
        rows: w.rows,
        cols: w.cols,
        level: Vec::with_capacity(w.rows * w.cols),
        scale: Vec::with_capacity(w.rows * groups),
        offset: Vec::new(),
    };
    let mut row_scale = Vec::with_capacity(w.rows);
    for (level, scale, unit) in rows {
        grid.level.extend(level);
        grid.scale.extend(scale);
        row_scale.push(unit);
    }
    GridWeight { grid, row_scale }
}

fn row(w: &[f32]) -> (Vec<i8>, Vec<u8>, f32) {
    let kept: Vec<bool> = w.chunks_exact(4).flat_map(best_two).collect();
    let steps: Vec<f32> =
        w.chunks_exact(GROUP).zip(kept.chunks_exact(GROUP)).map(|(w, k)| step(w, k)).collect();
    let unit = steps.iter().copied().fold(0.0, f32::max) / 255.0;
    let scale = |s: &f32| if unit > 0.0 { (s / unit + 0.5).floor().clamp(1.0, 255.0) } else { 0.0 };
    let scale: Vec<f32> = steps.iter().map(scale).collect();
    let level = w.iter().zip(&kept).enumerate().map(|(c, (w, kept))| {
        let size = if w.abs() < 1.5 * (scale[c / GROUP] * unit) { 1 } else { 2 };
        match (*kept && unit > 0.0, *w < 0.0) {
            (false, _) => 0,
            (true, true) => -size,
            (true, false) => size,
        }
    });
    (level.collect(), scale.iter().map(|s| *s as u8).collect(), unit)
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
fn step(w: &[f32], kept: &[bool]) -> f32 {
    let mut size = [0.0f32; GROUP];
    for ((size, w), kept) in size.iter_mut().zip(w).zip(kept) {
        *size = if *kept { w.abs() } else { 0.0 };
    }
    let mut s = tree_sum(size) / 24.0;
    for _ in 0..ROUNDS {
        let mut level = [0.0f32; GROUP];
        for ((level, size), kept) in level.iter_mut().zip(&size).zip(kept) {
            *level = match (*kept, *size < 1.5 * s) {
                (false, _) => 0.0,
                (true, true) => 1.0,
                (true, false) => 2.0,
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
    use crate::quantize::recover;
    use crate::train::tests::random;

    fn weights(rows: usize, cols: usize) -> Matrix {
        Matrix { rows, cols, data: random(rows * cols, 7) }
    }

    /// The quantizer finds the levels and scales of the training in the values that it hands over.
    #[test]
    fn the_grid_is_recovered_exactly() {
        let fitted = round_weights(&weights(24, 160));
        let Some(found) = recover(&fitted.dequantize()) else { panic!("the grid is not found") };
        assert_eq!((&found.grid.level, &found.grid.scale), (&fitted.grid.level, &fitted.grid.scale));
        for (a, b) in found.row_scale.iter().zip(&fitted.row_scale) {
            assert!((a / b - 1.0).abs() < 1e-6, "{a} for {b}");
        }
    }

    #[test]
    fn two_of_four_are_kept_and_levels_are_nearest() {
        let w = weights(8, 96);
        let fitted = round_weights(&w);
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
        let grid = round_weights(&Matrix { rows: 1, cols: 64, data: vec![0.0; 64] });
        assert!(grid.dequantize().data.iter().all(|v| *v == 0.0));
    }
}
