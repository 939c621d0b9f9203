//! Finds the W2 grid of weights that already lie on one (trained quantization-aware, stored dequantized).

use crate::grid::{GridRow, GridWeight, join};
use accllm_llm::float::Matrix;
use accllm_llm::model::{GROUP, WeightFormat};
use rayon::prelude::*;

/// Recovers levels, scales and row scales of a weight whose every row is `level * scale8 * row_scale`, up to
/// the rounding of the stored type (f16, bf16 or f32, found from the values); `None` when it is not.
///
/// Both W2 formats are tried. Columns must be a multiple of 32.
pub fn recover(w: &Matrix) -> Option<GridWeight> {
    if w.cols == 0 || !w.cols.is_multiple_of(GROUP) {
        return None;
    }
    let precision = Precision::of(&w.data);
    [WeightFormat::W2Sparse, WeightFormat::W2Dense].into_iter().find_map(|format| {
        // The first row rejects an ordinary weight at once.
        recover_row(w.row(0), format, precision)?;
        let rows: Option<Vec<_>> =
            (0..w.rows).into_par_iter().map(|r| recover_row(w.row(r), format, precision)).collect();
        Some(join(format, w.cols, rows?))
    })
}

/// Rounding of the type the values were stored in.
#[derive(Clone, Copy)]
struct Precision {
    /// Largest relative rounding error of a normal value.
    relative: f64,
    /// Largest absolute rounding error of a subnormal value.
    absolute: f64,
}

impl Precision {
    /// The narrowest type that holds all of `data`.
    fn of(data: &[f32]) -> Self {
        if data.iter().all(|v| half::f16::from_f32(*v).to_f32() == *v) {
            Self { relative: 2f64.powi(-11), absolute: 2f64.powi(-25) }
        } else if data.iter().all(|v| half::bf16::from_f32(*v).to_f32() == *v) {
            Self { relative: 2f64.powi(-9), absolute: 0.0 }
        } else {
            // A product of three f32 numbers: a few roundings.
            Self { relative: 2f64.powi(-22), absolute: 0.0 }
        }
    }

    /// Interval of exact values that would be stored as `v`.
    fn around(self, v: f64) -> (f64, f64) {
        let e = (v * self.relative).max(self.absolute);
        (v - e, v + e)
    }
}

/// What one group of 32 columns says about its step.
enum Group {
    /// All zero.
    Empty,
    /// Magnitudes of the lower and upper level are known: their common step.
    Step(f64),
    /// One magnitude only: it is the lower or the upper level.
    Either(f64),
}

fn recover_row(row: &[f32], format: WeightFormat, precision: Precision) -> Option<GridRow> {
    let groups = row.chunks_exact(GROUP).map(|g| classify(g, format)).collect::<Option<Vec<_>>>()?;
    let upper = upper_level(format);
    let largest = |pick: fn(&Group) -> Option<f64>| groups.iter().filter_map(pick).fold(0.0, f64::max);
    let sure = largest(|g| if let Group::Step(d) = g { Some(*d) } else { None });
    let unsure = largest(|g| if let Group::Either(d) = g { Some(*d) } else { None });
    let references = match (sure > 0.0, unsure > 0.0) {
        (true, _) => vec![sure],
        (false, true) => vec![unsure, unsure / upper],
        (false, false) => {
            return Some(GridRow {
                level: vec![0; row.len()],
                scale: vec![0; groups.len()],
                offset: Vec::new(),
                row_scale: 0.0,
            });
        }
    };
    // Row scales are usually the largest step over 255, so that is tried first.
    let candidates = references.iter().flat_map(|d| (1..=255u8).rev().map(move |n| (*d, n)));
    let (unit, steps) = candidates.into_iter().find_map(|(d, n)| fit(&groups, d, n, upper, precision))?;
    let level = row.iter().enumerate().map(|(c, v)| {
        let (n, lower) = steps[c / GROUP];
        match (n, *v == 0.0) {
            (0, _) | (_, true) => 0,
            _ => {
                let far = f64::from(v.abs()) > lower * (1.0 + upper) / 2.0;
                (if far { upper as i8 } else { 1 }) * (v.signum() as i8)
            }
        }
    });
    Some(GridRow {
        level: level.collect(),
        scale: steps.iter().map(|s| s.0).collect(),
        offset: Vec::new(),
        row_scale: unit as f32,
    })
}

/// The larger of the two level magnitudes.
fn upper_level(format: WeightFormat) -> f64 {
    f64::from(format.levels().iter().map(|l| l.unsigned_abs()).max().unwrap_or(1))
}

/// Checks the level structure of a group; `None` when it does not fit the format.
fn classify(group: &[f32], format: WeightFormat) -> Option<Group> {
    let magnitudes = || group.iter().map(|v| f64::from(v.abs())).filter(|v| *v > 0.0);
    let (low, high) = magnitudes().fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    if high == 0.0 {
        return Some(Group::Empty);
    }
    let kept = |q: &[f32]| q.iter().filter(|v| **v != 0.0).count();
    let wanted = if format == WeightFormat::W2Sparse { 2 } else { 4 };
    if group.chunks_exact(4).any(|q| kept(q) != wanted) {
        return None;
    }
    // Values within a part in 128 of the same magnitude are one level: coarser than any stored type.
    let near = |a: f64, b: f64| (a - b).abs() <= b / 128.0;
    if near(low, high) {
        return Some(Group::Either((low + high) / 2.0));
    }
    let upper = upper_level(format);
    let two = near(high, low * upper) && magnitudes().all(|v| near(v, low) || near(v, high));
    // The smaller level has the larger relative error under subnormal rounding; the upper one is exact enough.
    two.then_some(Group::Step(high / upper))
}

/// Tries `reference / n` as the row scale: every group's step must be an integer 1..=255 of it, within the
/// rounding of the stored values. Returns the row scale and, per group, its scale and step.
fn fit(groups: &[Group], reference: f64, n: u8, upper: f64, p: Precision) -> Option<(f64, Vec<(u8, f64)>)> {
    let (low, high) = p.around(reference);
    let mut range = (low / f64::from(n), high / f64::from(n));
    let mut steps = Vec::with_capacity(groups.len());
    for group in groups {
        let options: &[f64] = match group {
            Group::Empty => {
                steps.push((0, 0.0));
                continue;
            }
            Group::Step(d) => &[*d],
            Group::Either(d) => &[*d, *d / upper],
        };
        let (narrowed, step) = options.iter().find_map(|d| narrow(range, *d, p))?;
        range = narrowed;
        steps.push(step);
    }
    Some(((range.0 + range.1) / 2.0, steps))
}

/// Range of row scales within `range` for which `step` is an integer multiple, and that integer.
fn narrow(range: (f64, f64), step: f64, p: Precision) -> Option<((f64, f64), (u8, f64))> {
    let n = (2.0 * step / (range.0 + range.1)).round();
    if !(1.0..=255.0).contains(&n) {
        return None;
    }
    let (low, high) = p.around(step);
    let both = (range.0.max(low / n), range.1.min(high / n));
    (both.0 <= both.1).then_some((both, (n as u8, step)))
}
