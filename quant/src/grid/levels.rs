//! Fits a weight to a grid: 2:4 selection, levels, group scales and offsets, row scales.
//!
//! The error that is minimized is `sum_c power[c] * (w[c] - q[c])^2`, with `power` the mean square of the
//! input channel: the diagonal of the layer's Hessian (as Wanda ranks weights by `|w| * norm(x)`).

use crate::grid::{GridRow, GridWeight, Step, join, unit};
use accllm_llm::float::Matrix;
use accllm_llm::model::{GROUP, WeightFormat};
use accllm_llm::simd::{Simd, versions};
use rayon::prelude::*;

/// Steps tried per group, as fractions of the largest step that makes sense.
const TRIES: u32 = 24;

/// Fits `w`; `power` is per column, and `used` tells weights from padding columns (whose level stays 0).
pub fn fit(w: &Matrix, power: &[f32], used: &[bool], format: WeightFormat) -> GridWeight {
    let rows = (0..w.rows).into_par_iter().map(|r| fit_row(w.row(r), power, used, format)).collect();
    join(format, w.cols, rows)
}

/// Largest weighted square of the error, as a part of the weight's own, of a weight that lies on a W4 grid. Rounding
/// others to it leaves ten times as much; what is left here is the rounding of scales and offsets to 8 bits.
const ON_GRID: f64 = 5e-4;

/// Rows that are looked at first: most weights lie on no grid.
const FIRST_ROWS: usize = 64;

/// The W4 grid on which `w` already lies: it comes from a checkpoint of 4 bits with the same groups. Arguments as of
/// [`fit`].
pub(crate) fn on_w4_grid(w: &Matrix, power: &[f32], used: &[bool]) -> Option<GridWeight> {
    let near = |w: &Matrix| {
        let grid = fit(w, power, used, WeightFormat::W4);
        let (mut error, mut all) = (0.0f64, 0.0f64);
        let back = grid.dequantize();
        for (row, back) in w.data.chunks_exact(w.cols).zip(back.data.chunks_exact(w.cols)) {
            for (((w, q), p), _) in row.iter().zip(back).zip(power).zip(used).filter(|(_, used)| **used) {
                error += f64::from(p * (w - q) * (w - q));
                all += f64::from(p * w * w);
            }
        }
        (error <= ON_GRID * all).then_some(grid)
    };
    let some: Vec<&[f32]> =
        (0..w.rows).step_by(w.rows.div_ceil(FIRST_ROWS).max(1)).map(|r| w.row(r)).collect();
    near(&Matrix { rows: some.len(), cols: w.cols, data: some.concat() })?;
    near(w)
}

/// Columns that share a step.
pub(crate) struct Columns<const N: usize> {
    w: [f32; N],
    /// What each counts.
    power: [f32; N],
    /// Tells weights from padding.
    used: [bool; N],
}

impl<const N: usize> Columns<N> {
    /// Of weights and what they count; `None` for padding.
    pub fn new(column: impl Fn(usize) -> Option<(f32, f32)>) -> Self {
        let mut columns = Self { w: [0.0; N], power: [0.0; N], used: [false; N] };
        for i in 0..N {
            if let Some((w, power)) = column(i) {
                (columns.w[i], columns.power[i], columns.used[i]) = (w, power, true);
            }
        }
        columns
    }
}

fn fit_row(row: &[f32], power: &[f32], used: &[bool], format: WeightFormat) -> GridRow {
    let simd = Simd::best();
    let padded = row.len().next_multiple_of(GROUP);
    // A channel that never fired in calibration still counts a little.
    let column = |c: usize| (c < row.len() && used[c]).then(|| (row[c], power[c].max(1e-12)));
    let groups: Vec<Columns<GROUP>> =
        (0..padded / GROUP).map(|g| Columns::new(|i| column(g * GROUP + i))).collect();
    let steps: Vec<Step> = groups.iter().map(|g| best_step(simd, g, format)).collect();
    let mut out = GridRow::zero(padded, format, unit(&steps));
    for (g, (group, step)) in groups.iter().zip(&steps).enumerate() {
        if let Some(step) = out.set(g, *step) {
            let levels = assign(group, step, format).0;
            out.level[g * GROUP..].iter_mut().zip(levels).for_each(|(out, l)| *out = l as i8);
        }
    }
    out
}

versions! {
    /// The step of least error; size 0 for an all-zero group.
    pub(crate) fn best_step(group: &Columns<GROUP>, format: WeightFormat) -> Step {
        let used = || group.w.iter().zip(&group.used).filter(|(_, used)| **used).map(|(w, _)| *w);
        let largest = used().map(f32::abs).fold(0.0, f32::max);
        if largest == 0.0 {
            return Step::default();
        }
        let (low, high) = used().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), w| (l.min(w), h.max(w)));
        let top = match format {
            WeightFormat::W2Sparse => largest,
            WeightFormat::W2Dense => largest / 1.5,
            // Equal weights: any step will do that keeps the level small.
            WeightFormat::W4 => ((high - low) / 15.0).max(largest / 127.0),
        };
        // Levels are from -8 to 7: their middle is half a step below 0.
        let around = |size: f32| match format {
            WeightFormat::W4 => Step { size, offset: (low + high) / 2.0 + size / 2.0 },
            _ => Step { size, offset: 0.0 },
        };
        let mut best = (f32::NEG_INFINITY, around(top));
        for i in (TRIES / 4..=TRIES).rev() {
            let step = around(top * i as f32 / TRIES as f32);
            let step = project(group, &assign(group, step, format).0, step, format);
            let gain = assign(group, step, format).1;
            if gain > best.0 {
                best = (gain, step);
            }
        }
        best.1
    }
}

/// The best step for levels that are given: least squares.
#[inline(always)]
fn project(group: &Columns<GROUP>, level: &[f32; GROUP], step: Step, format: WeightFormat) -> Step {
    // Sums in four lanes: of the powers, and of their products with levels, squares of levels, weights, and both.
    let mut sums = [[0.0f32; 4]; 5];
    for first in (0..GROUP).step_by(4) {
        for lane in 0..4 {
            let i = first + lane;
            let (p, l, w) = (group.power[i], level[i], group.w[i]);
            for (sum, x) in sums.iter_mut().zip([p, p * l, p * l * l, p * w, p * w * l]) {
                sum[lane] += x;
            }
        }
    }
    let [n, l1, ll, w1, wl] = sums.map(|s| s.iter().sum::<f32>());
    let free = format == WeightFormat::W4 && n > 0.0;
    let (over, under) = if free { (wl - w1 * l1 / n, ll - l1 * l1 / n) } else { (wl, ll) };
    if !(over > 0.0 && under > 0.0) {
        return step;
    }
    let size = over / under;
    Step { size, offset: if free { (w1 - size * l1) / n } else { 0.0 } }
}

/// Levels of columns (whole fours) for `step`, 0 for padding, and by how much they make the weighted error smaller than
/// zeros would.
#[inline(always)]
pub(crate) fn assign<const N: usize>(c: &Columns<N>, step: Step, format: WeightFormat) -> ([f32; N], f32) {
    let (mut level, mut gain) = ([0.0f32; N], [0.0f32; N]);
    for i in 0..N {
        let w = c.w[i] - step.offset;
        level[i] = nearest(w / step.size, format);
        let left = w - level[i] * step.size;
        gain[i] = c.power[i] * (c.w[i] * c.w[i] - left * left);
    }
    let mut sums = [0.0f32; 4];
    for first in (0..N).step_by(4) {
        let mut kept = [true; 4];
        if format == WeightFormat::W2Sparse {
            let of = |i: usize| if c.used[first + i] { gain[first + i] } else { f32::NEG_INFINITY };
            kept = best_two([of(0), of(1), of(2), of(3)]);
        }
        for lane in 0..4 {
            let i = first + lane;
            let kept = kept[lane] && c.used[i];
            level[i] = if kept { level[i] } else { 0.0 };
            sums[lane] += if kept { gain[i] } else { 0.0 };
        }
    }
    (level, sums.iter().sum())
}

/// The two largest of four; the first ones among equals.
#[inline(always)]
pub(crate) fn best_two(x: [f32; 4]) -> [bool; 4] {
    let [a, b, c, d] = x;
    // Each pair once: who comes first. Two wins or more are among the best two.
    let (ab, ac, ad) = (u8::from(a >= b), u8::from(a >= c), u8::from(a >= d));
    let (bc, bd, cd) = (u8::from(b >= c), u8::from(b >= d), u8::from(c >= d));
    [ab + ac + ad >= 2, (1 - ab) + bc + bd >= 2, (1 - ac) + (1 - bc) + cd >= 2, 3 - ad - bd - cd >= 2]
}

/// Nearest level to `x` (in steps); a whole number of 8 bits.
#[inline(always)]
pub(crate) fn nearest(x: f32, format: WeightFormat) -> f32 {
    let sign = if x < 0.0 { -1.0 } else { 1.0 };
    match format {
        WeightFormat::W2Sparse => sign * if x.abs() < 1.5 { 1.0 } else { 2.0 },
        WeightFormat::W2Dense => sign * if x.abs() < 2.0 { 1.0 } else { 3.0 },
        WeightFormat::W4 => x.round().clamp(-8.0, 7.0),
    }
}
