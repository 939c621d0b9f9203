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

/// Levels of a group and the step that belongs to them; zeros stay zeros.
#[inline]
fn quantize(format: WeightFormat, weight: &[i32; GROUP], level: &mut [i8; GROUP]) -> f32 {
    match format {
        WeightFormat::W2Sparse => two_levels((1, 2), weight, level),
        WeightFormat::W2Dense => two_levels((1, 3), weight, level),
        WeightFormat::W4 => linear(weight, level),
    }
}

/// Levels -7 to 7, the largest weight at the end.
fn linear(weight: &[i32; GROUP], level: &mut [i8; GROUP]) -> f32 {
    let largest = weight.iter().fold(0, |m, w| w.abs().max(m));
    if largest == 0 {
        return 0.0;
    }
    // Rounding by the floor of what is above 0: vector instructions.
    let scale = 7.0 / largest as f32;
    for (l, &w) in level.iter_mut().zip(weight) {
        *l = ((w as f32 * scale + 8.5) as i32 - 8) as i8;
    }
    largest as f32 / 7.0
}

/// Two magnitudes of levels: two rounds of levels for the step, and the step of least squares for the levels.
fn two_levels((small, large): (i32, i32), weight: &[i32; GROUP], level: &mut [i8; GROUP]) -> f32 {
    // Sums of at most 32 weights below 2^15: nothing wraps, and said so the loops become vector instructions.
    let sums = |from: i32| {
        let of = |(sum, count): (i32, i32), &w: &i32| {
            let mask = -i32::from(w.wrapping_abs() >= from);
            (sum.wrapping_add(w.wrapping_abs() & mask), count.wrapping_sub(mask))
        };
        weight.iter().fold((0, 0), of)
    };
    let (sum, count) = sums(1);
    if count == 0 {
        return 0.0;
    }
    let mut step = 2.0 * sum as f32 / (count * (small + large)) as f32;
    let mut middle = 0;
    for _ in 0..2 {
        middle = (step * (small + large) as f32 / 2.0) as i32;
        let (large_sum, large_count) = sums(middle.max(1));
        let products = small * sum + (large - small) * large_sum;
        let squares = small * small * count + (large * large - small * small) * large_count;
        step = products as f32 / squares as f32;
    }
    for (l, &w) in level.iter_mut().zip(weight) {
        let above = -i32::from(w.wrapping_abs() >= middle.max(1));
        let magnitude = small.wrapping_add(large.wrapping_sub(small) & above);
        let (sign, some) = (w >> 31, -i32::from(w != 0));
        *l = (((magnitude ^ sign).wrapping_sub(sign)) & some) as i8;
    }
    step
}
