//! Fits a weight column by column and lets later columns make up for the error of earlier ones
//! (SparseGPT: 2:4 selection and rounding together, with the layer's Hessian `X^T X`).

use crate::grid::{Columns, GridRow, GridWeight, Step, assign, best_step, join, nearest, unit};
use accllm_llm::float::{Matrix, add_scaled, linear};
use accllm_llm::model::{GROUP, WeightFormat};
use accllm_llm::simd::{Simd, versions};
use rayon::prelude::*;

/// First damping tried, as a fraction of the mean diagonal.
const DAMPING: f64 = 0.2;

/// Upper triangular `U` of `[n, n]` with `(X^T X + damping)^-1 = U^T U`.
pub(super) struct Inverse {
    n: usize,
    u: Vec<f32>,
}

impl Inverse {
    /// From the sum of outer products `gram` of rows that were divided by `shape`: damped alike before that. `None` when it
    /// cannot be made positive definite.
    pub fn new(gram: &[f32], shape: &[f32]) -> Option<Self> {
        let n = shape.len();
        let square = |i: usize| f64::from(shape[i]) * f64::from(shape[i]);
        let mean = (0..n).map(|i| f64::from(gram[i * n + i]) * square(i)).sum::<f64>() / n as f64;
        if !(mean.is_finite() && mean > 0.0) {
            return None;
        }
        (0..4).find_map(|i| {
            let damping = mean * DAMPING * 10f64.powi(i);
            let m = upper_factor(gram, n, &|i| damping / square(i))?;
            Some(Self { n, u: invert_upper(&m, n) })
        })
    }
}

impl Inverse {
    /// `x (X^T X + damping)^-1`.
    pub fn solve(&self, x: &Matrix) -> Matrix {
        let n = self.n;
        let mut transposed = vec![0.0f32; n * n];
        transposed.par_chunks_mut(n).enumerate().for_each(|(j, row)| {
            (0..=j).for_each(|i| row[i] = self.u[i * n + j]);
        });
        let square = |data| Matrix { rows: n, cols: n, data };
        let half = linear(&x.data, &square(self.u.clone()));
        Matrix { rows: x.rows, cols: n, data: linear(&half, &square(transposed)) }
    }
}

versions! {
    /// Adds `b * factor` to `a`.
    fn add_scaled_f64(a: &mut [f64], b: &[f64], factor: f64) {
        for (x, y) in a.iter_mut().zip(b) {
            *x += y * factor;
        }
    }
}

versions! {
    /// Dot product in sixteen fixed lanes.
    fn dot_f64(a: &[f64], b: &[f64]) -> f64 {
        let mut lanes = [0.0f64; 16];
        let (whole_a, whole_b) = (a.chunks_exact(16), b.chunks_exact(16));
        let rest = whole_a.remainder().iter().zip(whole_b.remainder()).map(|(a, b)| a * b).sum::<f64>();
        for (a, b) in whole_a.zip(whole_b) {
            lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(l, (a, b))| *l += a * b);
        }
        lanes.iter().sum::<f64>() + rest
    }
}

/// Upper triangular `M` with `M M^T = gram`, `damping` added on the diagonal.
fn upper_factor(gram: &[f32], n: usize, damping: &dyn Fn(usize) -> f64) -> Option<Vec<f64>> {
    let simd = Simd::best();
    let mut m: Vec<f64> = gram.iter().map(|v| f64::from(*v)).collect();
    for j in (0..n).rev() {
        let row_j: Vec<f64> = m[j * n + j + 1..(j + 1) * n].to_vec();
        let left = |row: &[f64]| row[j] - dot_f64(simd, &row[j + 1..n], &row_j);
        let pivot = left(&m[j * n..(j + 1) * n]) + damping(j);
        if !(pivot.is_finite() && pivot > 0.0) {
            return None;
        }
        let root = pivot.sqrt();
        m[..j * n].par_chunks_mut(n).for_each(|row| row[j] = left(row) / root);
        m[j * n + j] = root;
    }
    Some(m)
}

/// Inverse of an upper triangular matrix.
fn invert_upper(m: &[f64], n: usize) -> Vec<f32> {
    let simd = Simd::best();
    let mut u = vec![0.0f32; n * n];
    u.par_chunks_mut(n).enumerate().for_each(|(i, row)| {
        let mut sum = vec![0.0f64; n];
        sum[i] = -1.0;
        for k in i..n {
            let v = -sum[k] / m[k * n + k];
            row[k] = v as f32;
            add_scaled_f64(simd, &mut sum[k + 1..], &m[k * n + k + 1..(k + 1) * n], v);
        }
    });
    u
}

/// Fits `w`; `used` tells weights from padding columns (whose level stays 0), and `mask` the columns of a row that 2:4
/// keeps (`None`: they are chosen on the way). The width of `w` must be that of `inverse`.
pub(super) fn fit_pruned(
    w: &Matrix,
    inverse: &Inverse,
    used: &[bool],
    format: WeightFormat,
    mask: &(dyn Fn(&[f32]) -> Option<Vec<bool>> + Sync),
) -> GridWeight {
    let one = |r| fit_row(w.row(r), inverse, used, mask(w.row(r)).as_deref(), format);
    join(format, w.cols, (0..w.rows).into_par_iter().map(one).collect())
}

fn fit_row(
    row: &[f32],
    inverse: &Inverse,
    used: &[bool],
    mask: Option<&[bool]>,
    format: WeightFormat,
) -> GridRow {
    let (n, simd) = (inverse.n, Simd::best());
    let mut w = row.to_vec();
    let column = |w: &[f32], c: usize| {
        let there = c < n && used[c] && mask.is_none_or(|m| m[c]);
        there.then(|| (w[c], inverse.u[c * n + c].powi(-2)))
    };
    let best = |w: &[f32], g: usize| best_step(simd, &Columns::new(|i| column(w, g * GROUP + i)), format);
    let groups = n.div_ceil(GROUP);
    // The scale of the row must be known before its groups are compensated.
    let steps: Vec<Step> = (0..groups).map(|g| best(&w, g)).collect();
    let mut out = GridRow::zero(groups * GROUP, format, unit(&steps));
    for g in 0..groups {
        let Some(step) = out.set(g, best(&w, g)) else { continue };
        for first in (g * GROUP..(g + 1) * GROUP).step_by(4) {
            let (kept, _) = assign(&Columns::<4>::new(|i| column(&w, first + i)), step, format);
            for c in (first..first + 4).filter(|c| *c < n && used[*c]) {
                // What is kept stays; its level follows the weight as compensated so far.
                if format != WeightFormat::W2Sparse || kept[c - first] != 0.0 {
                    out.level[c] = nearest((w[c] - step.offset) / step.size, format) as i8;
                }
                let value = f32::from(out.level[c]) * step.size + step.offset;
                let error = (w[c] - value) / inverse.u[c * n + c];
                add_scaled(simd, &mut w[c..], &inverse.u[c * n + c..(c + 1) * n], -error);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_times_matrix_is_one() {
        let n = 24;
        let x: Vec<f32> = (0..n * 2 * n).map(|i| ((i * 7919 % 1013) as f32 / 506.0) - 1.0).collect();
        let mut gram = vec![0.0f32; n * n];
        accllm_llm::float::add_gram(&mut gram, &x, n);
        let damping = (0..n).map(|i| f64::from(gram[i * n + i])).sum::<f64>() / n as f64 * DAMPING;
        let u = Inverse::new(&gram, &vec![1.0; n]).map(|i| i.u).unwrap_or_default();
        assert_eq!(u.len(), n * n);
        let at = |k: usize, i: usize| f64::from(u[k * n + i]);
        for i in 0..n {
            for j in 0..n {
                let product: f64 = (0..n)
                    .map(|k| {
                        let inverse: f64 = (0..n).map(|l| at(l, i) * at(l, k)).sum();
                        inverse * (f64::from(gram[k * n + j]) + if k == j { damping } else { 0.0 })
                    })
                    .sum();
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((product - expected).abs() < 1e-3, "[{i}][{j}] is {product}");
            }
        }
    }
}
