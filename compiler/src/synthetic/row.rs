//! Levels, scales and offsets of a row.

use super::normal::Normal;
use super::rng::Rng;
use crate::image::RowSpace;
use accllm_hw::beat::{OFFSET_SHIFT, PATTERNS, WeightFormat};
use accllm_hw::config::GROUP;

/// How weights are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Every level and pattern equally likely, scales from 60 to 255 and some 0: reaches corner cases.
    Uniform,
    /// As a real model's: normal weights, the two smaller of four pruned (2:4), rounded to the levels of a step that
    /// fits the group with least squares; scales relative to the row's largest step; offsets of up to half a step.
    Normal,
}

/// Makes a row of `padded` columns, of which `real` tells weights from padding (all are weights where it is not given).
pub(super) fn fill(
    values: Values,
    format: WeightFormat,
    padded: usize,
    real: Option<&dyn Fn(usize) -> bool>,
    rng: &mut Rng,
    space: &mut RowSpace,
) {
    space.level.clear();
    space.level.resize(padded, 0);
    space.scale.clear();
    space.offset.clear();
    match values {
        Values::Uniform => uniform(format, |c| real.is_none_or(|real| real(c)), rng, space),
        Values::Normal => normal(format, real, rng, space),
    }
    if format == WeightFormat::W4 {
        let most = |scale: u8| match values {
            Values::Uniform => i64::from(i8::MAX),
            Values::Normal => i64::from(scale >> (OFFSET_SHIFT + 1)),
        };
        let offset = |scale: &u8| rng.range(-most(*scale), most(*scale)) as i8;
        space.offset.extend(space.scale.iter().map(offset));
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

/// A group of 32 weights: column 4q + c at `[c][q]`, so that what is done to every four is done to vectors.
type Group = [[i32; QUADS]; 4];

/// Fours of a group.
const QUADS: usize = GROUP / 4;

fn normal(format: WeightFormat, real: Option<&dyn Fn(usize) -> bool>, rng: &mut Rng, space: &mut RowSpace) {
    let draw = Normal::new();
    let mut steps = Vec::with_capacity(space.level.len() / GROUP);
    for (first, level) in (0..).step_by(GROUP).zip(space.level.as_chunks_mut::<GROUP>().0) {
        let mut group = draw.group(rng, format == WeightFormat::W2Sparse);
        if let Some(real) = real {
            for (c, column) in group.iter_mut().enumerate() {
                for (q, w) in column.iter_mut().enumerate() {
                    *w = if real(first + 4 * q + c) { *w } else { 0 };
                }
            }
        }
        let step = match format {
            WeightFormat::W2Sparse => two_levels(1, 2, 0.744, &mut group),
            WeightFormat::W2Dense => two_levels(1, 3, 0.622, &mut group),
            WeightFormat::W4 => linear(&mut group),
        };
        steps.push(step);
        for (q, quad) in level.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *quad = std::array::from_fn(|c| group[c][q] as i8);
        }
    }
    let largest = steps.iter().copied().fold(0.0, f32::max).max(1.0);
    space.scale.extend(steps.iter().map(|s| match *s {
        s if s > 0.0 => (255.0 * s / largest).round().max(1.0) as u8,
        _ => 0,
    }));
}

impl Normal {
    /// Weights of a group; where `sparse`, the two smaller of each four are 0 (among equals the later ones).
    #[inline]
    fn group(&self, rng: &mut Rng, sparse: bool) -> Group {
        let mut index = [[0; QUADS]; 4];
        let mut out = [[0; QUADS]; 4];
        for q in 0..QUADS {
            let four = self.four(rng);
            for c in 0..4 {
                (index[c][q], out[c][q]) = (four.rank[c], four.value[c]);
            }
        }
        if sparse {
            let [a, b, c, d] = index;
            for q in 0..QUADS {
                let over = |x: &[i32; QUADS], y: &[i32; QUADS]| i32::from(x[q] >= y[q]);
                let (ab, ac, ad) = (over(&a, &b), over(&a, &c), over(&a, &d));
                let (bc, bd, cd) = (over(&b, &c), over(&b, &d), over(&c, &d));
                let beaten = [3 - ab - ac - ad, ab + 2 - bc - bd, ac + bc + 1 - cd, ad + bd + cd];
                for (out, beaten) in out.iter_mut().zip(beaten) {
                    out[q] &= -i32::from(beaten < 2);
                }
            }
        }
        out
    }
}

/// Levels -7 to 7 in place of weights, the largest weight at the end; the step.
fn linear(group: &mut Group) -> f32 {
    let largest = group.as_flattened().iter().fold(0, |m, w| w.wrapping_abs().max(m));
    if largest == 0 {
        return 0.0;
    }
    // Rounding by the floor of what is above 0: vector instructions.
    let scale = 7.0 / largest as f32;
    for w in group.as_flattened_mut() {
        *w = (*w as f32 * scale + 8.5) as i32 - 8;
    }
    largest as f32 / 7.0
}

/// Levels of two magnitudes in place of weights, zeros stay; the step. Two rounds of levels for the step, and the
/// step of least squares for the levels, from `start` times the mean magnitude, which is where many weights end.
fn two_levels(small: i32, large: i32, start: f32, group: &mut Group) -> f32 {
    let group = group.as_flattened_mut();
    // Sums of at most 32 weights below 2^15: nothing wraps, and said so the loops become vector instructions.
    let sums = |group: &[i32], from: i32| {
        let of = |(sum, count): (i32, i32), w: &i32| {
            let mask = -i32::from(w.wrapping_abs() >= from);
            (sum.wrapping_add(w.wrapping_abs() & mask), count.wrapping_sub(mask))
        };
        group.iter().fold((0, 0), of)
    };
    let (sum, count) = sums(group, 1);
    if count == 0 {
        return 0.0;
    }
    let mut step = start * sum as f32 / count as f32;
    let mut middle = 0;
    for _ in 0..2 {
        middle = ((step * (small + large) as f32 / 2.0) as i32).max(1);
        let (large_sum, large_count) = sums(group, middle);
        let products = small * sum + (large - small) * large_sum;
        let squares = small * small * count + (large * large - small * small) * large_count;
        step = products as f32 / squares as f32;
    }
    for w in group {
        let above = -i32::from(w.wrapping_abs() >= middle);
        let magnitude = small.wrapping_add(large.wrapping_sub(small) & above);
        let (sign, some) = (*w >> 31, -i32::from(*w != 0));
        *w = ((magnitude ^ sign).wrapping_sub(sign)) & some;
    }
    step
}
