//! Closed-form quantization of a layer, without training: each linear is fitted to what the *float* model would
//! have added at this point, given the inputs that the *quantized* model has there.
//!
//! With `x` the quantized input and `t` the wanted output, the best float weight is
//! `W* = T (X^T X)^-1, T = sum t x^T` (the low-rank compensation of MergeQuant at full rank, merged before
//! rounding; GPTAQ's asymmetric calibration). For o and down the wanted output also contains what the residual
//! stream lacks so far. `W*` is pruned and rounded with error feedback (SparseGPT, GPTQ), then refined.

use super::calibrate::windows;
use super::compensate::{Inverse, fit_pruned};
use super::grid::GridWeight;
use super::levels::{fit, on_w4_grid};
use super::refine::refine;
use super::shapes::{gather_heads, spread, spread_heads};
use crate::Result;
use crate::float::{
    FloatLayer, FloatModel, Matrix, Site, View, Window, add, add_gram, linear, matrix_product, rms_norm,
    run_layer, silu_mul,
};
use crate::hf::LlamaConfig;
use crate::model::WeightFormat;
use crate::perplexity::Protocol;
use rayon::prelude::*;
use std::sync::OnceLock;

/// Energy of a token that counts in full, in medians.
const CAP: f32 = 4.0;

/// How the two columns of four that 2:4 keeps are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pruning {
    /// The largest weights.
    Magnitude,
    /// The largest products of weight and norm of the input channel.
    Wanda,
    /// While rounding: the least error after compensation by the columns that follow.
    #[default]
    SparseGpt,
}

/// Choices of the closed-form fit.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// Formats of q, k, v, o, gate, up, down.
    pub formats: [WeightFormat; 7],
    /// Choice of kept columns.
    pub pruning: Pruning,
    /// Let later columns make up for the error of earlier ones.
    pub feedback: bool,
    /// Fit to the wanted outputs instead of the float weights.
    pub correct: bool,
    /// Rounds of coordinate descent after the fit.
    pub rounds: usize,
}

impl Default for Closed {
    fn default() -> Self {
        let formats = [WeightFormat::W2Sparse; 7];
        Self { formats, pruning: Pruning::SparseGpt, feedback: true, correct: true, rounds: 4 }
    }
}

/// What is known of a linear's inputs on the calibration tokens. Sums are made when they are first asked for: a weight
/// that stays as it is needs none.
pub struct Inputs {
    used: Vec<bool>,
    /// `[tokens, cols]`, times `weights`.
    x: Vec<f32>,
    /// What each token counts.
    weights: Vec<f32>,
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
        Self::weighted(x, vec![true; width], token_weights(x, width))
    }

    /// Of the input of down, whose outputs are added to a residual stream that is then `behind`, `[tokens, hidden]`.
    pub(super) fn of_down(x: &[f32], width: usize, (behind, hidden): (&[f32], usize)) -> Self {
        Self::weighted(x, vec![true; width], least(token_weights(x, width), token_weights(behind, hidden)))
    }

    /// As [`Inputs::of_down`] of the input of o, whose columns take `head_dim` rounded up to 32 places per head.
    pub(super) fn of_o(x: &[f32], width: usize, head_dim: usize, (behind, hidden): (&[f32], usize)) -> Self {
        let weights = least(token_weights(x, width), token_weights(behind, hidden));
        Self::weighted(&spread(x, head_dim, 0.0), spread(&vec![true; width], head_dim, false), weights)
    }

    fn weighted(x: &[f32], used: Vec<bool>, weights: Vec<f32>) -> Self {
        let width = used.len();
        let x = weighted(x, &weights);
        let mut power = vec![0.0f64; width];
        for row in x.chunks_exact(width) {
            power.iter_mut().zip(row).for_each(|(p, v)| *p += f64::from(*v) * f64::from(*v));
        }
        let tokens = (x.len() / width).max(1) as f64;
        let power = power.iter().map(|p| (p / tokens) as f32).collect();
        let (gram, inverse, lack) = Default::default();
        Self { used, x, weights, power, gram, inverse, float: Vec::new(), lack }
    }

    /// With the inputs `float`, as many, that the float model has.
    fn instead_of(self, float: Vec<f32>) -> Self {
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
        self.inverse.get_or_init(|| Inverse::new(self.gram(), self.used.len())).as_ref()
    }

    /// The weight near `w` whose outputs are nearest to `wanted`, `[tokens, rows]`: least squares, damped
    /// towards `w`.
    pub fn correct(&self, w: &Matrix, wanted: &[f32]) -> Matrix {
        let mut rest = self.times(&weighted(wanted, &self.weights), w.rows);
        let now = matrix_product(
            (w.rows, w.cols, w.cols),
            View::rows(&w.data, w.cols),
            View::rows(self.gram(), w.cols),
        );
        rest.data.iter_mut().zip(&now).for_each(|(r, n)| *r -= n);
        self.moved(w, &rest)
    }

    /// [`Inputs::correct`] towards what `w` makes of the float model's inputs.
    fn follow(&self, w: &Matrix) -> Matrix {
        let n = w.cols;
        let lack = self.lack.get_or_init(|| {
            let mut difference = weighted(&self.float, &self.weights);
            difference.iter_mut().zip(&self.x).for_each(|(f, x)| *f -= x);
            self.times(&difference, n)
        });
        let rest = matrix_product((w.rows, n, n), View::rows(&w.data, n), View::rows(&lack.data, n));
        self.moved(w, &Matrix { rows: w.rows, cols: n, data: rest })
    }

    /// `Y^T X` of `y`, `[tokens, rows]`, whose tokens have their weights.
    fn times(&self, y: &[f32], rows: usize) -> Matrix {
        let cols = self.used.len();
        let tokens = self.x.len() / cols.max(1);
        let data = matrix_product((rows, tokens, cols), View::rows(y, rows).t(), View::rows(&self.x, cols));
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
    fn found(&self, w: &Matrix, format: WeightFormat) -> Option<GridWeight> {
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
fn token_weights(x: &[f32], width: usize) -> Vec<f32> {
    let energy: Vec<f32> = x.par_chunks(width).map(|row| row.iter().map(|v| v * v).sum()).collect();
    let mut order = energy.clone();
    order.sort_by(f32::total_cmp);
    let most = CAP * order.get(order.len() / 2).copied().unwrap_or_default();
    energy.iter().map(|e| if *e > most && most > 0.0 { (most / e).sqrt() } else { 1.0 }).collect()
}

/// The smaller weight of each token.
fn least(a: Vec<f32>, b: Vec<f32>) -> Vec<f32> {
    a.into_iter().zip(b).map(|(a, b)| a.min(b)).collect()
}

/// Every token's row times its weight.
fn weighted(x: &[f32], weights: &[f32]) -> Vec<f32> {
    let width = (x.len() / weights.len().max(1)).max(1);
    let rows = x.par_chunks(width).zip(weights);
    rows.flat_map_iter(|(row, weight)| row.iter().map(move |v| v * weight)).collect()
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

/// Residual streams of the calibration windows, each `[tokens, hidden]`, before a layer.
#[derive(Clone, Debug)]
pub struct Streams {
    /// Of the float model.
    pub float: Vec<Vec<f32>>,
    /// Of the model quantized so far.
    pub quantized: Vec<Vec<f32>>,
}

/// Quantizes layer `l` and moves the streams past it. Returns the grids of q, k, v, o (its columns spread per
/// head), gate, up, down, and the layer with their values.
pub(crate) fn closed_layer(
    c: &LlamaConfig,
    (l, w): (usize, &FloatLayer),
    window: &Window,
    streams: &mut Streams,
    how: &Closed,
) -> ([GridWeight; 7], FloatLayer) {
    let (mut attn_in, mut middle) = (Vec::new(), Vec::new());
    let mut mlp_in = Vec::new();
    for x in &mut streams.float {
        run_layer(c, (l, w), window, x, &mut |site, _: usize, _: usize, data: &mut [f32]| match site {
            Site::AttnNorm => attn_in.extend_from_slice(data),
            Site::Middle => middle.extend_from_slice(data),
            Site::MlpNorm => mlp_in.extend_from_slice(data),
            _ => {}
        });
    }
    let out: Vec<f32> = streams.float.concat();
    let before: Vec<f32> = streams.quantized.concat();
    let [fq, fk, fv, fo, fgate, fup, fdown] = how.formats;
    let mut back = w.clone();

    let inputs = Inputs::new(&rms_norm(&before, &w.attn_norm, c.norm_eps), c.hidden).instead_of(attn_in);
    // Towards the wanted outputs, or what the weight makes of the float model's inputs.
    let one = |inputs: &Inputs, w: &Matrix, format, wanted: Option<&dyn Fn() -> Vec<f32>>| {
        let corrected = || match wanted {
            Some(wanted) => inputs.correct(w, &wanted()),
            None => inputs.follow(w),
        };
        let grid = inputs.found(w, format).unwrap_or_else(|| match how.correct {
            true => inputs.fit(&corrected(), format, how),
            false => inputs.fit(w, format, how),
        });
        let values = grid.dequantize();
        (grid, values)
    };
    let (q, k, v, o, gate, up, down);
    (q, back.q) = one(&inputs, &w.q, fq, None);
    (k, back.k) = one(&inputs, &w.k, fk, None);
    (v, back.v) = one(&inputs, &w.v, fv, None);

    let attn_out = attention(c, (l, &back), window, &streams.quantized);
    let inputs = Inputs::of_o(&attn_out, c.q_width(), c.head_dim, (&middle, c.hidden));
    let values;
    (o, values) = one(&inputs, &spread_heads(&w.o, c.head_dim), fo, Some(&|| difference(&middle, &before)));
    back.o = gather_heads(&values, c.head_dim);
    let mut x = before;
    add(&mut x, &linear(&attn_out, &back.o));

    let m = rms_norm(&x, &w.mlp_norm, c.norm_eps);
    let inputs = Inputs::new(&m, c.hidden).instead_of(mlp_in);
    (gate, back.gate) = one(&inputs, &w.gate, fgate, None);
    (up, back.up) = one(&inputs, &w.up, fup, None);
    let h = silu_mul(&linear(&m, &back.gate), &linear(&m, &back.up));
    let inputs = Inputs::of_down(&h, c.ffn, (&out, c.hidden));
    (down, back.down) = one(&inputs, &w.down, fdown, Some(&|| difference(&out, &x)));
    add(&mut x, &linear(&h, &back.down));

    let mut rest = x.as_slice();
    for stream in &mut streams.quantized {
        let (head, tail) = rest.split_at(stream.len());
        stream.copy_from_slice(head);
        rest = tail;
    }
    ([q, k, v, o, gate, up, down], back)
}

/// Quantizes all layers of `model` on the calibration windows of `text` and returns the model with their values;
/// embedding, norms and head stay as they are.
pub fn closed_model(
    model: &FloatModel,
    text: &[u32],
    protocol: Protocol,
    how: &dyn Fn(usize) -> Closed,
) -> Result<FloatModel> {
    let c = &model.config;
    let texts = windows(text, protocol)?;
    let window = Window::new(c, protocol.window, None);
    let float = texts.iter().map(|w| model.embed_tokens(w)).collect::<Result<Vec<_>>>()?;
    let mut streams = Streams { quantized: float.clone(), float };
    let mut out = model.clone();
    for (l, w) in out.layers.resident()?.iter_mut().enumerate() {
        *w = closed_layer(c, (l, w), &window, &mut streams, &how(l)).1;
    }
    Ok(out)
}

/// The input of o for all streams.
fn attention(
    c: &LlamaConfig,
    (l, w): (usize, &FloatLayer),
    window: &Window,
    streams: &[Vec<f32>],
) -> Vec<f32> {
    // The feed-forward part is not needed: one channel of zeros.
    let zeros = |rows, cols| Matrix { rows, cols, data: vec![0.0; rows * cols] };
    let w = FloatLayer {
        gate: zeros(1, c.hidden),
        up: zeros(1, c.hidden),
        down: zeros(c.hidden, 1),
        ..w.clone()
    };
    let mut out = Vec::new();
    for x in streams {
        run_layer(c, (l, &w), window, &mut x.clone(), &mut |site, _: usize, _: usize, data: &mut [f32]| {
            if site == Site::AttnOut {
                out.extend_from_slice(data);
            }
        });
    }
    out
}

fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(n: usize, seed: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..n).map(|_| random.f32() * 2.0 - 1.0).collect()
    }

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
            (moved(Inputs::of_down(&x, width, (&behind, hidden))), moved(Inputs::new(&x, width)));
        assert!(with < 0.01 && without > 1.0, "moved by {with}, and by {without} where it counts as others");
    }
}
