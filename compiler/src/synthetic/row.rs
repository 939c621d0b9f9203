//! Levels and scales of a row.

use super::normal::Normal;
use super::rng::Rng;
use crate::image::RowSpace;
use accllm_hw::beat::{PATTERNS, WeightFormat};
use accllm_hw::config::GROUP;

/// How weights are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Every level and pattern equally likely, scales from 60 to 255 and some 0: reaches corner cases.
    Uniform,
    /// As a real model's: normal weights, the two smaller of four pruned (2:4), rounded to the levels of a step that
    /// fits the group with least squares; scales relative to the row's largest step.
    Normal,
}

/// Makes a row of `padded` columns, of which `real` tells weights from padding.
pub(super) fn fill(
    (values, format): (Values, WeightFormat),
    padded: usize,
    real: impl Fn(usize) -> bool,
    rng: &mut Rng,
    space: &mut RowSpace,
) {
    space.level.clear();
    space.level.resize(padded, 0);
    space.scale.clear();
    match values {
        Values::Uniform => uniform(format, real, rng, space),
        Values::Normal => normal(format, real, rng, space),
    }
}

fn uniform(format: WeightFormat, real: impl Fn(usize) -> bool, rng: &mut Rng, space: &mut RowSpace) {
    let levels = format.levels();
    for (first, group) in (0..).step_by(GROUP).zip(space.level.chunks_exact_mut(GROUP)) {
        space.scale.push(if rng.range(0, 40) == 0 { 0 } else { rng.range(60, 255) as u8 });
        for (first, quad) in (first..).step_by(4).zip(group.chunks_exact_mut(4)) {
            let mut set = |c: usize, rng: &mut Rng| {
                if real(first + c) {
                    quad[c] = levels[rng.range(0, levels.len() as i64 - 1) as usize];
                }
            };
            if format == WeightFormat::W2Sparse {
                let (a, b) = PATTERNS[rng.range(0, 5) as usize];
                set(a, rng);
                set(b, rng);
            } else {
                (0..4).for_each(|c| set(c, rng));
            }
        }
    }
}

fn normal(format: WeightFormat, real: impl Fn(usize) -> bool, rng: &mut Rng, space: &mut RowSpace) {
    let draw = Normal::new();
    let mut steps = Vec::with_capacity(space.level.len() / GROUP);
    for (first, level) in (0..).step_by(GROUP).zip(space.level.as_chunks_mut::<GROUP>().0) {
        let mut weight = [0i32; GROUP];
        for (first, quad) in (first..).step_by(4).zip(weight.as_chunks_mut::<4>().0) {
            let four = draw.four(rng);
            *quad = four.signed();
            if format == WeightFormat::W2Sparse {
                prune(quad, four.magnitude);
            }
            for (c, w) in quad.iter_mut().enumerate() {
                if !real(first + c) {
                    *w = 0;
                }
            }
        }
        steps.push(quantize(format, &weight, level));
    }
    let largest = steps.iter().copied().fold(0.0, f32::max).max(1.0);
    space.scale.extend(steps.iter().map(|s| match *s {
        s if s > 0.0 => (255.0 * s / largest).round().max(1.0) as u8,
        _ => 0,
    }));
}

/// Keeps the two largest of four.
#[inline]
fn prune(quad: &mut [i32; 4], m: [u16; 4]) {
    // How many of the others beat each; the lower column wins among equals.
    for c in 0..4 {
        let beaten = (0..4).filter(|&o| m[o] > m[c] || m[o] == m[c] && o < c).count();
        if beaten >= 2 {
            quad[c] = 0;
        }
    }
}

/// Levels of a group and the step that belongs to them; zeros stay where they are unless the format has none.
#[inline]
fn quantize(format: WeightFormat, weight: &[i32; GROUP], level: &mut [i8; GROUP]) -> f32 {
    let (small, large) = match format {
        WeightFormat::W2Sparse => (1, 2),
        WeightFormat::W2Dense => (1, 3),
        WeightFormat::W4 => {
            let largest = weight.iter().fold(0, |m, w| w.abs().max(m));
            if largest == 0 {
                return 0.0;
            }
            for (l, w) in level.iter_mut().zip(weight) {
                *l = (*w as f32 * 7.0 / largest as f32).round() as i8;
            }
            return largest as f32 / 7.0;
        }
    };
    let sum = |of: &dyn Fn(i32) -> i32| weight.iter().map(|&w| of(w.abs())).sum::<i32>() as f32;
    let count = sum(&|w| i32::from(w != 0));
    if count == 0.0 {
        return 0.0;
    }
    // Two rounds of: levels for the step, the step of least squares for the levels.
    let mut step = 2.0 * sum(&|w| w) / count / (small + large) as f32;
    for _ in 0..2 {
        let middle = (step * (small + large) as f32 / 2.0) as i32;
        let of = |w: i32| {
            if w == 0 {
                0
            } else if w < middle {
                small
            } else {
                large
            }
        };
        step = sum(&|w| w * of(w)) / sum(&|w| of(w) * of(w));
        for (l, &w) in level.iter_mut().zip(weight) {
            *l = (of(w.abs()) * w.signum()) as i8;
        }
    }
    step
}
