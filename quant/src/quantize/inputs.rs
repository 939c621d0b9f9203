//! The inputs of a linear, and the fit of a weight to what it should give on them.

use super::closed::{Closed, Pruning};
use super::compensate::{Inverse, fit_pruned};
use super::refine::refine;
use crate::grid::{GridWeight, fit, on_w4_grid, spread};
use accllm_llm::float::{Matrix, add, add_gram, matrix_product, view};
use accllm_llm::model::WeightFormat;
use rayon::prelude::*;
use std::sync::OnceLock;

/// Energy of a token that counts in full, in medians.
const CAP: f32 = 4.0;

/// What is known of a linear's inputs on the calibration tokens. Sums are made when they are first asked for: a weight
/// that stays as it is needs none.
pub struct Inputs {
    used: Vec<bool>,
    /// `[tokens, cols]`, times `weights`.
    x: Vec<f32>,
    /// What each token counts.
    weights: Vec<f32>,
    /// What each column was divided by: neither what tokens count nor the damping depends on it.
    shape: Vec<f32>,
    /// Mean square of each column.
    power: Vec<f32>,
    gram: OnceLock<Vec<f32>>,
    inverse: OnceLock<Option<Inverse>>,
    /// What the float model has here instead.
    float: Vec<f32>,
    /// `(F - X)^T X`.
    lack: OnceLock<Matrix>,
}

impl Inputs {
    /// Of `x`, `[tokens, width]`.
    pub fn new(x: &[f32], width: usize) -> Self {
        Self::migrated(x, &vec![1.0; width])
    }

    /// Of `x`, `[tokens, width]`, that was divided by `shape`, `[width]`.
    pub(super) fn migrated(x: &[f32], shape: &[f32]) -> Self {
        Self::weighted(x, vec![true; shape.len()], token_weights(x, shape), shape.to_vec())
    }

    /// As [`Inputs::migrated`] of the input of down, whose outputs are added to a residual stream that is then `behind`,
    /// `[tokens, hidden]`.
    pub(super) fn of_down(x: &[f32], shape: &[f32], behind: &[f32], hidden: usize) -> Self {
        Self::weighted(x, vec![true; shape.len()], least_weights(x, shape, behind, hidden), shape.to_vec())
    }

    /// As [`Inputs::of_down`] of the input of o, whose columns take `head_dim` rounded up to 32 places per head.
    pub(super) fn of_o(x: &[f32], shape: &[f32], head_dim: usize, behind: &[f32], hidden: usize) -> Self {
        let weights = least_weights(x, shape, behind, hidden);
        let used = spread(&vec![true; shape.len()], head_dim, false);
        Self::weighted(&spread(x, head_dim, 0.0), used, weights, spread(shape, head_dim, 1.0))
    }

    fn weighted(x: &[f32], used: Vec<bool>, weights: Vec<f32>, shape: Vec<f32>) -> Self {
        let width = used.len();
        let x = weighted(x, &weights);
        let mut power = vec![0.0f64; width];
        for row in x.chunks_exact(width) {
            power.iter_mut().zip(row).for_each(|(p, v)| *p += f64::from(*v) * f64::from(*v));
        }
        let tokens = (x.len() / width).max(1) as f64;
        let power = power.iter().map(|p| (p / tokens) as f32).collect();
        let (gram, inverse, lack) = Default::default();
        Self { used, x, weights, shape, power, gram, inverse, float: Vec::new(), lack }
    }

    /// With the inputs `float`, as many, that the float model has.
    pub(super) fn instead_of(self, float: Vec<f32>) -> Self {
        Self { float, ..self }
    }

    /// `X^T X`, `[cols, cols]`.
    fn gram(&self) -> &[f32] {
        let width = self.used.len();
        self.gram.get_or_init(|| {
            let mut gram = vec![0.0f32; width * width];
            add_gram(&mut gram, &self.x, width);
            gram
        })
    }

    fn inverse(&self) -> Option<&Inverse> {
        self.inverse.get_or_init(|| Inverse::new(self.gram(), &self.shape)).as_ref()
    }

    /// The weight near `w` whose outputs are nearest to `wanted`, `[tokens, rows]`: least squares, damped
    /// towards `w`.
    pub fn correct(&self, w: &Matrix, wanted: &[f32]) -> Matrix {
        let mut rest = self.times(&weighted(wanted, &self.weights), w.rows);
        let now = matrix_product(w.view(), view(self.gram(), w.cols));
        rest.data.iter_mut().zip(&now).for_each(|(r, n)| *r -= n);
        self.moved(w, &rest)
    }

    /// [`Inputs::correct`] towards what `w` makes of the float model's inputs.
    pub(super) fn follow(&self, w: &Matrix) -> Matrix {
        let n = w.cols;
        let lack = self.lack.get_or_init(|| {
            let mut difference = weighted(&self.float, &self.weights);
            difference.iter_mut().zip(&self.x).for_each(|(f, x)| *f -= x);
            self.times(&difference, n)
        });
        let rest = matrix_product(w.view(), lack.view());
        self.moved(w, &Matrix { rows: w.rows, cols: n, data: rest })
    }

    /// `Y^T X` of `y`, `[tokens, rows]`, whose tokens have their weights.
    fn times(&self, y: &[f32], rows: usize) -> Matrix {
        let cols = self.used.len();
        let data = matrix_product(view(y, rows).t(), view(&self.x, cols));
        Matrix { rows, cols, data }
    }

    /// `w` and what it needs for outputs whose products with the inputs lack `rest`.
    fn moved(&self, w: &Matrix, rest: &Matrix) -> Matrix {
        let Some(inverse) = self.inverse() else { return w.clone() };
        let mut best = inverse.solve(rest);
        add(&mut best.data, &w.data);
        best
    }

    /// The grid of a weight that already lies on it: nothing that is fitted comes as near.
    pub(super) fn found(&self, w: &Matrix, format: WeightFormat) -> Option<GridWeight> {
        (format == WeightFormat::W4).then(|| on_w4_grid(w, &self.power, &self.used)).flatten()
    }

    /// The grid nearest to `w`: its own, or a fit.
    pub(super) fn nearest(&self, w: &Matrix, format: WeightFormat, how: &Closed) -> GridWeight {
        self.found(w, format).unwrap_or_else(|| self.fit(w, format, how))
    }

    /// Fits `w` to a grid.
    pub fn fit(&self, w: &Matrix, format: WeightFormat, how: &Closed) -> GridWeight {
        let ones = vec![1.0f32; w.cols];
        let power = if how.pruning == Pruning::Magnitude { &ones } else { &self.power };
        let mask = |row: &[f32]| (how.pruning != Pruning::SparseGpt).then(|| keep(row, power));
        let mut grid = match how.feedback.then(|| self.inverse()).flatten() {
            Some(inverse) => match format {
                WeightFormat::W2Sparse => fit_pruned(w, inverse, &self.used, format, &mask),
                _ => fit_pruned(w, inverse, &self.used, format, &|_| None),
            },
            None => fit(w, power, &self.used, format),
        };
        refine(w, &mut grid, self.gram(), &self.used, how.rounds);
        grid
    }
}

/// What each token counts in the sums: those with far more energy than the others, the first ones of a text, would
/// outweigh all others (they are a thousand times larger at a few channels), and count as if they had [`CAP`] times the
/// median. In the input of a linear they decide what it is good at; in the residual stream it adds to, where the next norm
/// makes errors relative to the stream, what they lack would be made up for at the cost of all others.
/// `x` was divided by `shape`.
fn token_weights(x: &[f32], shape: &[f32]) -> Vec<f32> {
    let energy = |row: &[f32]| row.iter().zip(shape).map(|(v, s)| (v * s) * (v * s)).sum();
    let energy: Vec<f32> = x.par_chunks(shape.len()).map(energy).collect();
    let mut order = energy.clone();
    order.sort_by(f32::total_cmp);
    let most = CAP * order.get(order.len() / 2).copied().unwrap_or_default();
    energy.iter().map(|e| if *e > most && most > 0.0 { (most / e).sqrt() } else { 1.0 }).collect()
}

/// The smaller weight that a token has in `x`, divided by `shape`, and in `behind`, `[tokens, hidden]`.
fn least_weights(x: &[f32], shape: &[f32], behind: &[f32], hidden: usize) -> Vec<f32> {
    let behind = token_weights(behind, &vec![1.0; hidden]);
    token_weights(x, shape).into_iter().zip(behind).map(|(a, b)| a.min(b)).collect()
}

/// Every token's row times its weight.
fn weighted(x: &[f32], weights: &[f32]) -> Vec<f32> {
    let width = (x.len() / weights.len().max(1)).max(1);
    let mut out = x.to_vec();
    out.par_chunks_mut(width)
        .zip(weights)
        .for_each(|(row, weight)| row.iter_mut().for_each(|v| *v *= weight));
    out
}

/// The two columns of each four with the largest `w^2 * power`.
fn keep(row: &[f32], power: &[f32]) -> Vec<bool> {
    let score: Vec<f32> = row.iter().zip(power).map(|(w, p)| w * w * p).collect();
    let mut kept = vec![false; row.len()];
    for (score, kept) in score.chunks(4).zip(kept.chunks_mut(4)) {
        let mut order: Vec<usize> = (0..score.len()).collect();
        order.sort_by(|a, b| score[*b].total_cmp(&score[*a]));
        order.iter().take(2).for_each(|i| kept[*i] = true);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::random;
    use accllm_llm::float::linear;

    /// The first token's residual stream is a thousand times larger than that of others, and what it lacks is too.
    #[test]
    fn what_a_massive_activation_lacks_is_not_made_up_for() {
        let (tokens, width, hidden) = (256, 32, 8);
        let x = random(tokens * width, 1);
        let w = Matrix { rows: hidden, cols: width, data: random(hidden * width, 2) };
        let (mut wanted, mut behind) = (linear(&x, &w), random(tokens * hidden, 3));
        wanted[..hidden].iter_mut().for_each(|v| *v += 100.0);
        behind[..hidden].iter_mut().for_each(|v| *v *= 1000.0);
        let moved = |inputs: Inputs| {
            let corrected = inputs.correct(&w, &wanted);
            let off = corrected.data.iter().zip(&w.data).map(|(a, b)| (a - b) * (a - b));
            (off.sum::<f32>() / w.data.iter().map(|w| w * w).sum::<f32>()).sqrt()
        };
        let (with, without) =
            (moved(Inputs::of_down(&x, &[1.0; 32], &behind, hidden)), moved(Inputs::new(&x, width)));
        assert!(with < 0.01 && without > 1.0, "moved by {with}, and by {without} where it counts as others");
    }

    /// Strong and weak channels, and a token with far more energy than the others.
    #[test]
    fn migration_changes_neither_what_tokens_count_nor_the_damping() {
        let (tokens, width) = (96, 32);
        let shape: Vec<f32> = (0..width).map(|c| 0.5f32.powi((c * 7 % 5) as i32)).collect();
        let mut x = random(tokens * width, 1);
        x.chunks_exact_mut(width).for_each(|row| row.iter_mut().zip(&shape).for_each(|(x, s)| *x *= s));
        x[..width].iter_mut().for_each(|x| *x *= 50.0);
        let w = Matrix { rows: 8, cols: width, data: random(8 * width, 2) };
        let wanted = random(tokens * 8, 3);
        let divided: Vec<f32> = x.iter().enumerate().map(|(i, x)| x / shape[i % width]).collect();
        let mut multiplied = w.clone();
        multiplied.data.iter_mut().enumerate().for_each(|(i, w)| *w *= shape[i % width]);
        let plain = Inputs::new(&x, width).correct(&w, &wanted);
        let differs = |inputs: Inputs| {
            let corrected = inputs.correct(&multiplied, &wanted);
            let each = corrected.data.iter().zip(&plain.data).enumerate();
            each.map(|(i, (a, b))| (a / shape[i % width] - b).abs()).fold(0.0, f32::max)
        };
        let (told, untold) =
            (differs(Inputs::migrated(&divided, &shape)), differs(Inputs::new(&divided, width)));
        assert!(
            told < 1e-3 && untold > 0.02,
            "differs by {told}, and by {untold} where it does not know the shape"
        );
    }
}
