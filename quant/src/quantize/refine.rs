//! Improves the levels and scales of a fitted weight by coordinate descent on the exact output error
//! `(w - q) G (w - q)^T`, with `G = X^T X` of the layer's input: one level, one swap of a kept column with a
//! dropped one, or one group scale at a time, each by the best amount, as long as the error falls.

use crate::grid::{GridWeight, OFFSET, nearest};
use accllm_llm::float::{Matrix, add_scaled, dot, matrix_product, view};
use accllm_llm::model::{GROUP, WeightFormat};
use accllm_llm::simd::Simd;
use rayon::prelude::*;

/// Damping of the Gram matrix, as a fraction of its mean diagonal.
const DAMPING: f32 = 0.01;

/// Improves `fitted` as an image of `w` in `rounds` rounds of scales and levels. `gram` is `[cols, cols]`; `used`
/// tells weights from padding columns (whose level stays 0). The error never rises.
pub fn refine(w: &Matrix, fitted: &mut GridWeight, gram: &[f32], used: &[bool], rounds: usize) {
    let n = w.cols;
    let mean = (0..n).map(|i| gram[i * n + i]).sum::<f32>() / n as f32;
    if !(mean.is_finite() && mean > 0.0) {
        return;
    }
    let mut gram = gram.to_vec();
    (0..n).for_each(|i| gram[i * n + i] += mean * DAMPING);
    let (padded, groups) = (fitted.grid.cols_padded(), fitted.grid.cols_padded() / GROUP);
    let mut slopes = slopes(w, fitted, &gram, used);
    let rows = fitted.grid.level.par_chunks_mut(padded).zip(fitted.grid.scale.par_chunks_mut(groups));
    let format = fitted.grid.format;
    let mut offsets: Vec<&mut [i8]> = match fitted.grid.offset.is_empty() {
        true => (0..fitted.grid.rows).map(|_| <&mut [i8]>::default()).collect(),
        false => fitted.grid.offset.chunks_mut(groups).collect(),
    };
    let rows = rows.zip(&mut offsets).zip(&fitted.row_scale).zip(slopes.par_chunks_exact_mut(n));
    rows.for_each(|((((level, scale), offset), unit), slope)| {
        if *unit > 0.0 {
            let row = Stored { level, scale, offset, unit: *unit };
            let mut row = Row::new(slope, row, &gram, used, format);
            for _ in 0..rounds {
                row.scales();
                row.offsets();
                if row.levels() == 0 {
                    break;
                }
            }
        }
    });
}

/// `(w - q) G`, minus half the derivative of the error, `[rows, cols]`.
fn slopes(w: &Matrix, fitted: &GridWeight, gram: &[f32], used: &[bool]) -> Vec<f32> {
    let (n, mut error) = (w.cols, w.data.clone());
    error.iter_mut().zip(fitted.dequantize().data).for_each(|(w, q)| *w -= q);
    error.chunks_exact_mut(n).for_each(|row| {
        row.iter_mut().zip(used).filter(|(_, used)| !**used).for_each(|(e, _)| *e = 0.0);
    });
    matrix_product(view(&error, n), view(gram, n))
}

/// A row of a grid.
struct Stored<'a> {
    level: &'a mut [i8],
    scale: &'a mut [u8],
    offset: &'a mut [i8],
    unit: f32,
}

/// A row being improved.
struct Row<'a> {
    level: &'a mut [i8],
    scale: &'a mut [u8],
    offset: &'a mut [i8],
    unit: f32,
    gram: &'a [f32],
    used: &'a [bool],
    format: WeightFormat,
    n: usize,
    simd: Simd,
    /// Its part of [`slopes`].
    slope: &'a mut [f32],
}

impl<'a> Row<'a> {
    fn new(
        slope: &'a mut [f32],
        Stored { level, scale, offset, unit }: Stored<'a>,
        gram: &'a [f32],
        used: &'a [bool],
        format: WeightFormat,
    ) -> Self {
        let n = slope.len();
        Self { level, scale, offset, unit, gram, used, format, n, simd: Simd::best(), slope }
    }

    /// The value of column `c` grew by `delta`.
    fn moved(&mut self, c: usize, delta: f32) {
        let g = &self.gram[c * self.n..][..self.n];
        add_scaled(self.simd, self.slope, g, -delta);
    }

    /// Moves each group's scale to its best value.
    fn scales(&mut self) {
        for group in 0..self.scale.len() {
            let first = group * GROUP;
            let columns = first..(first + GROUP).min(self.n);
            let old = self.scale[group];
            if old == 0 {
                continue;
            }
            let levels: Vec<f32> = self.level[columns.clone()].iter().map(|l| f32::from(*l)).collect();
            let (mut down, mut bend) = (0.0f32, 0.0f32);
            for c in columns.clone() {
                let l = f32::from(self.level[c]);
                down += l * self.slope[c];
                bend += l * dot(&self.gram[c * self.n..][columns.clone()], &levels);
            }
            if bend <= 0.0 {
                continue;
            }
            let best = f32::from(old) + down / bend / self.unit;
            let new = best.round().clamp(1.0, 255.0) as u8;
            if new != old {
                let step = (f32::from(new) - f32::from(old)) * self.unit;
                for c in columns {
                    if self.level[c] != 0 {
                        self.moved(c, step * f32::from(self.level[c]));
                    }
                }
                self.scale[group] = new;
            }
        }
    }

    /// Moves each group's offset to its best value.
    fn offsets(&mut self) {
        for group in 0..self.offset.len() {
            let first = group * GROUP;
            let columns: Vec<usize> =
                (first..(first + GROUP).min(self.n)).filter(|c| self.used[*c]).collect();
            let down: f32 = columns.iter().map(|c| self.slope[*c]).sum();
            let row = |a: &usize| columns.iter().map(|b| self.gram[a * self.n + b]).sum::<f32>();
            let bend: f32 = columns.iter().map(row).sum();
            if self.scale[group] == 0 || bend <= 0.0 {
                continue;
            }
            let (old, one) = (self.offset[group], OFFSET * self.unit);
            let new = (f32::from(old) + down / bend / one).round().clamp(-128.0, 127.0) as i8;
            if new != old {
                let step = (f32::from(new) - f32::from(old)) * one;
                columns.iter().for_each(|c| self.moved(*c, step));
                self.offset[group] = new;
            }
        }
    }

    /// One pass over all columns; returns the number of changes.
    fn levels(&mut self) -> usize {
        let mut changes = 0;
        for first in (0..self.n).step_by(4) {
            let d = f32::from(self.scale[first / GROUP]) * self.unit;
            if d == 0.0 {
                continue;
            }
            changes += match self.format {
                WeightFormat::W2Sparse => self.quad(first, d),
                _ => (first..(first + 4).min(self.n)).filter(|c| self.single(*c, d)).count(),
            };
        }
        changes
    }

    /// Gives column `c` its best level.
    fn single(&mut self, c: usize, d: f32) -> bool {
        if !self.used[c] {
            return false;
        }
        let old = self.level[c];
        let x = f32::from(old) + self.slope[c] / (self.gram[c * self.n + c] * d);
        let best = nearest(x, self.format) as i8;
        if best == old {
            return false;
        }
        self.set(c, best, d);
        true
    }

    fn set(&mut self, c: usize, level: i8, d: f32) {
        let delta = f32::from(level - self.level[c]) * d;
        self.level[c] = level;
        self.moved(c, delta);
    }

    /// The best change of one kept level, or swap of a kept column with a dropped one, in four columns.
    fn quad(&mut self, first: usize, d: f32) -> usize {
        let columns = first..(first + 4).min(self.n);
        let n = self.n;
        let g = |a: usize, b: usize| self.gram[a * n + b];
        // Change of the error, with the columns and their new levels.
        let mut best = (0.0f32, None, None);
        for i in columns.clone().filter(|i| self.level[*i] != 0) {
            let gain = |to: i8| {
                let x = f32::from(to - self.level[i]) * d;
                (x, -2.0 * x * self.slope[i] + x * x * g(i, i))
            };
            let to = nearest(f32::from(self.level[i]) + self.slope[i] / (g(i, i) * d), self.format) as i8;
            if to != self.level[i] && gain(to).1 < best.0 {
                best = (gain(to).1, Some((i, to)), None);
            }
            let (x, dropped) = gain(0);
            for j in columns.clone().filter(|j| self.level[*j] == 0 && self.used[*j]) {
                let slope = self.slope[j] - x * g(i, j);
                let to = nearest(slope / (g(j, j) * d), self.format) as i8;
                let y = f32::from(to) * d;
                let change = dropped - 2.0 * y * slope + y * y * g(j, j);
                if change < best.0 {
                    best = (change, Some((i, 0)), Some((j, to)));
                }
            }
        }
        let moves: Vec<(usize, i8)> = [best.1, best.2].into_iter().flatten().collect();
        moves.iter().for_each(|(c, to)| self.set(*c, *to, d));
        usize::from(!moves.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::fit;
    use accllm_llm::float::add_gram;

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut x = seed;
        let mut next = || {
            x = x.wrapping_mul(1664525).wrapping_add(1013904223);
            (x >> 8) as f32 / (1u32 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next() + next() + next()).collect()
    }

    fn error(w: &Matrix, q: &Matrix, gram: &[f32]) -> f64 {
        let rows = w.data.chunks_exact(w.cols).zip(q.data.chunks_exact(w.cols));
        let each = rows.map(|(w, q)| {
            let e: Vec<f32> = w.iter().zip(q).map(|(w, q)| w - q).collect();
            gram.chunks_exact(w.len()).zip(&e).map(|(g, e1)| f64::from(*e1 * dot(g, &e))).sum::<f64>()
        });
        each.sum()
    }

    #[test]
    fn every_format_improves_and_stays_valid() {
        let (n, rows) = (72, 6);
        let mut x = noise(300 * n, 1);
        // Correlated channels.
        x.chunks_exact_mut(n).for_each(|row| (1..n).for_each(|i| row[i] += 0.7 * row[i - 1]));
        let mut gram = vec![0.0f32; n * n];
        add_gram(&mut gram, &x, n);
        let w = Matrix { rows, cols: n, data: noise(rows * n, 2) };
        let mut used = vec![true; n];
        used[n - 1] = false;
        let mut w0 = w.clone();
        w0.data.chunks_exact_mut(n).for_each(|r| r[n - 1] = 0.0);
        for format in [WeightFormat::W2Sparse, WeightFormat::W2Dense, WeightFormat::W4] {
            let power: Vec<f32> = (0..n).map(|i| gram[i * n + i]).collect();
            let before = fit(&w0, &power, &used, format);
            let mut after = before.clone();
            refine(&w0, &mut after, &gram, &used, 4);
            let (a, b) = (error(&w0, &before.dequantize(), &gram), error(&w0, &after.dequantize(), &gram));
            println!("{format:?}: {a:.1} to {b:.1}");
            assert!(b < a * 0.8, "{format:?}: {a} to {b}");
            for (r, row) in after.grid.level.chunks_exact(after.grid.cols_padded()).enumerate() {
                for (c, l) in row.iter().enumerate() {
                    assert!(*l == 0 || format.levels().contains(l), "{format:?}: level {l}");
                    assert!(c < n - 1 || *l == 0, "row {r}: padding {c} has level {l}");
                }
                if format == WeightFormat::W2Sparse {
                    assert!(row.chunks_exact(4).all(|q| q.iter().filter(|l| **l != 0).count() <= 2));
                }
            }
        }
    }
}
