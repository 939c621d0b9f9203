//! Fits a weight to a grid: 2:4 selection, levels, group scales and row scales.
//!
//! The error that is minimized is `sum_c power[c] * (w[c] - q[c])^2`, with `power` the mean square of the
//! input channel: the diagonal of the layer's Hessian (as Wanda ranks weights by `|w| * norm(x)`).

use super::grid::{GridRow, GridWeight, join};
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
    let steps: Vec<f32> = groups.iter().map(|g| best_step(g, format)).collect();
    let row_scale = steps.iter().copied().fold(0.0, f32::max) / 255.0;
    let mut scale = vec![0u8; groups.len()];
    let mut level = vec![0i8; padded];
    for (g, (group, step)) in groups.iter().zip(&steps).enumerate() {
        if *step > 0.0 && row_scale > 0.0 {
            scale[g] = (step / row_scale).round().clamp(1.0, 255.0) as u8;
            let d = f32::from(scale[g]) * row_scale;
            assign(group, d, format, &mut level[g * GROUP..(g + 1) * GROUP]);
        }
    }
    GridRow { level, scale, row_scale }
}

/// The step of least error; 0 for an all-zero group.
pub(super) fn best_step(group: &[Column], format: WeightFormat) -> f32 {
    let largest = group.iter().filter(|c| c.used).map(|c| c.w.abs()).fold(0.0, f32::max);
    if largest == 0.0 {
        return 0.0;
    }
    let top = match format {
        WeightFormat::W2Sparse => largest,
        WeightFormat::W2Dense => largest / 1.5,
        WeightFormat::W4 => largest / 7.0,
    };
    let mut level = [0i8; GROUP];
    let mut best = (f32::INFINITY, top);
    for i in (TRIES / 4..=TRIES).rev() {
        let d = top * i as f32 / TRIES as f32;
        assign(group, d, format, &mut level);
        // With the levels fixed the best step is a projection.
        let (mut wl, mut ll) = (0.0f32, 0.0f32);
        for (c, l) in group.iter().zip(&level) {
            wl += c.power * c.w * f32::from(*l);
            ll += c.power * f32::from(*l) * f32::from(*l);
        }
        let d = if wl > 0.0 { wl / ll } else { d };
        let error = assign(group, d, format, &mut level);
        if error < best.0 {
            best = (error, d);
        }
    }
    best.1
}

/// Levels of a group (columns in fours) for step `d`; returns the weighted error.
pub(super) fn assign(group: &[Column], d: f32, format: WeightFormat, level: &mut [i8]) -> f32 {
    let mut total = 0.0;
    for (columns, level) in group.chunks_exact(4).zip(level.chunks_exact_mut(4)) {
        let mut gain = [f32::NEG_INFINITY; 4];
        for (i, c) in columns.iter().enumerate() {
            level[i] = 0;
            if c.used {
                level[i] = nearest(c.w / d, format);
                let kept = c.w - f32::from(level[i]) * d;
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
