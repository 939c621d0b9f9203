//! Fits a weight to a grid: 2:4 selection, levels, group scales and offsets, row scales.
//!
//! The error that is minimized is `sum_c power[c] * (w[c] - q[c])^2`, with `power` the mean square of the
//! input channel: the diagonal of the layer's Hessian (as Wanda ranks weights by `|w| * norm(x)`).

use super::grid::{GridRow, GridWeight, Step, join, unit};
use crate::float::Matrix;
use crate::model::{GROUP, WeightFormat};
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
pub(super) fn on_w4_grid(w: &Matrix, power: &[f32], used: &[bool]) -> Option<GridWeight> {
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

/// One column of a group: weight, importance, whether it is real.
#[derive(Clone, Copy, Default)]
pub(super) struct Column {
    pub w: f32,
    pub power: f32,
    pub used: bool,
}

fn fit_row(row: &[f32], power: &[f32], used: &[bool], format: WeightFormat) -> GridRow {
    let columns: Vec<Column> = row
        .iter()
        .zip(power)
        .zip(used)
        // A channel that never fired in calibration still counts a little.
        .map(|((w, p), used)| Column { w: *w, power: p.max(1e-12), used: *used })
        .collect();
    let padded = columns.len().next_multiple_of(GROUP);
    let mut groups: Vec<[Column; GROUP]> = vec![[Column::default(); GROUP]; padded / GROUP];
    for (c, column) in columns.iter().enumerate() {
        groups[c / GROUP][c % GROUP] = *column;
    }
    let steps: Vec<Step> = groups.iter().map(|g| best_step(g, format)).collect();
    let unit = unit(&steps);
    let mut out = GridRow::zero(padded, format, unit);
    for (g, (group, step)) in groups.iter().zip(&steps).enumerate() {
        if let Some(step) = out.set(g, *step) {
            assign(group, step, format, &mut out.level[g * GROUP..(g + 1) * GROUP]);
        }
    }
    out
}

/// The step of least error; size 0 for an all-zero group.
pub(super) fn best_step(group: &[Column], format: WeightFormat) -> Step {
    let used = || group.iter().filter(|c| c.used).map(|c| c.w);
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
    let mut level = [0i8; GROUP];
    let mut best = (f32::INFINITY, around(top));
    for i in (TRIES / 4..=TRIES).rev() {
        let step = around(top * i as f32 / TRIES as f32);
        assign(group, step, format, &mut level);
        let step = project(group, &level, step, format);
        let error = assign(group, step, format, &mut level);
        if error < best.0 {
            best = (error, step);
        }
    }
    best.1
}

/// The best step for levels that are given: least squares.
fn project(group: &[Column], level: &[i8], step: Step, format: WeightFormat) -> Step {
    let (mut n, mut l1, mut ll, mut w1, mut wl) = (0.0f32, 0.0f32, 0.0f32, 0.0f32, 0.0f32);
    for (c, l) in group.iter().zip(level).filter(|(c, _)| c.used) {
        let l = f32::from(*l);
        n += c.power;
        l1 += c.power * l;
        ll += c.power * l * l;
        w1 += c.power * c.w;
        wl += c.power * c.w * l;
    }
    let free = format == WeightFormat::W4 && n > 0.0;
    let (over, under) = if free { (wl - w1 * l1 / n, ll - l1 * l1 / n) } else { (wl, ll) };
    if !(over > 0.0 && under > 0.0) {
        return step;
    }
    let size = over / under;
    Step { size, offset: if free { (w1 - size * l1) / n } else { 0.0 } }
}

/// Levels of a group (columns in fours) for `step`; returns the weighted error.
pub(super) fn assign(group: &[Column], step: Step, format: WeightFormat, level: &mut [i8]) -> f32 {
    let mut total = 0.0;
    for (columns, level) in group.chunks_exact(4).zip(level.chunks_exact_mut(4)) {
        let mut gain = [f32::NEG_INFINITY; 4];
        for (i, c) in columns.iter().enumerate() {
            level[i] = 0;
            if c.used {
                let w = c.w - step.offset;
                level[i] = nearest(w / step.size, format);
                let kept = w - f32::from(level[i]) * step.size;
                gain[i] = c.power * (c.w * c.w - kept * kept);
                total += c.power * c.w * c.w;
            }
        }
        if format == WeightFormat::W2Sparse {
            let kept = best_two(gain);
            for i in 0..4 {
                if !kept[i] {
                    level[i] = 0;
                    gain[i] = f32::NEG_INFINITY;
                }
            }
        }
        total -= gain.iter().filter(|g| g.is_finite()).sum::<f32>();
    }
    total
}

/// The two largest of four; the first ones among equals.
pub(crate) fn best_two(x: [f32; 4]) -> [bool; 4] {
    let [a, b, c, d] = x;
    // Each pair once: who comes first. Two wins or more are among the best two.
    let (ab, ac, ad) = (u8::from(a >= b), u8::from(a >= c), u8::from(a >= d));
    let (bc, bd, cd) = (u8::from(b >= c), u8::from(b >= d), u8::from(c >= d));
    [ab + ac + ad >= 2, (1 - ab) + bc + bd >= 2, (1 - ac) + (1 - bc) + cd >= 2, 3 - ad - bd - cd >= 2]
}

/// Nearest level to `x` (in steps).
pub(crate) fn nearest(x: f32, format: WeightFormat) -> i8 {
    let sign = if x < 0.0 { -1 } else { 1 };
    match format {
        WeightFormat::W2Sparse => sign * if x.abs() < 1.5 { 1 } else { 2 },
        WeightFormat::W2Dense => sign * if x.abs() < 2.0 { 1 } else { 3 },
        WeightFormat::W4 => x.round().clamp(-8.0, 7.0) as i8,
    }
}
