//! Operations without weights.

use super::super::attention::{self, Geometry, attend, rope};
use super::super::loss::{self, divergence};
use super::super::ops::{self, linear, rms_norm, silu_mul, straight_through};
use super::{assert_same, random, values, var, with_gradients};
use candle_core::{Result, Var};
use std::sync::Arc;

#[test]
fn norms() -> Result<()> {
    // More rows than are summed at a time, and widths that are no multiple of the lanes.
    for (rows, width) in [(1, 16), (3, 20), (150, 48), (130, 7)] {
        let x = var(random(rows * width, 1), (rows, width))?;
        let gain = Var::from_vec(random(width, 2), width, x.device())?;
        let (a, b) = (rms_norm(&x, &gain, 1e-3)?, ops::composed::rms_norm(&x, &gain, 1e-3)?);
        assert_same("norm", &a, &b, &[&x, &gain])?;
    }
    Ok(())
}

#[test]
fn linears() -> Result<()> {
    // More tokens and more rows than one thread takes at a time, and fewer.
    for (tokens, columns, rows) in [(1, 8, 1), (5, 33, 7), (300, 20, 9), (7, 20, 260)] {
        let x = var(random(tokens * columns, 1), (tokens, columns))?;
        let w = var(random(rows * columns, 2), (rows, columns))?;
        assert_same("linear", &linear(&x, &w)?, &ops::composed::linear(&x, &w)?, &[&x, &w])?;
    }
    Ok(())
}

#[test]
fn gated_units() -> Result<()> {
    let gate = var(random(5 * 33, 1).iter().map(|v| v * 12.0).collect(), (5, 33))?;
    let up = var(random(5 * 33, 2), (5, 33))?;
    assert_same("silu", &silu_mul(&gate, &up)?, &ops::composed::silu_mul(&gate, &up)?, &[&gate, &up])
}

/// Head counts `(query, KV)`, width of a head, and tokens of a sequence.
const SHAPES: [(usize, usize, usize, usize); 4] = [(4, 2, 10, 5), (3, 1, 8, 7), (2, 2, 64, 1), (6, 3, 2, 33)];

/// The geometry of one of [`SHAPES`].
fn geometry(shape: (usize, usize, usize, usize)) -> Geometry {
    let (heads, kv_heads, head_dim, seq) = shape;
    let angle = |t: usize, i: usize| ((t * 7 + i) as f32 * 0.37).sin_cos();
    let angles = (0..seq).map(|t| (0..head_dim / 2).map(|i| angle(t, i)).collect()).collect();
    Geometry { seq, heads, kv_heads, head_dim, angles: Arc::new(angles) }
}

#[test]
fn rotations_of_several_sequences() -> Result<()> {
    for g in SHAPES.map(geometry) {
        let x = var(random(3 * g.seq * g.q_width(), 1), (3 * g.seq, g.q_width()))?;
        assert_same("rope", &rope(&x, &g)?, &attention::composed::rope(&x, &g)?, &[&x])?;
    }
    Ok(())
}

#[test]
fn attention_of_several_sequences_with_shared_heads() -> Result<()> {
    for g in SHAPES.map(geometry) {
        let rows = 3 * g.seq;
        let spread = |n, seed| random(n, seed).iter().map(|v| v * 3.0).collect::<Vec<f32>>();
        let q = var(spread(rows * g.q_width(), 1), (rows, g.q_width()))?;
        let k = var(spread(rows * g.kv_width(), 2), (rows, g.kv_width()))?;
        let v = var(random(rows * g.kv_width(), 3), (rows, g.kv_width()))?;
        let (a, b) = (attend(&q, &k, &v, &g)?, attention::composed::attend(&q, &k, &v, &g)?);
        match g.seq {
            // With one token seen the gradients of q and k are zero.
            1 => assert_same("attention", &a, &b, &[&v])?,
            _ => assert_same("attention", &a, &b, &[&q, &k, &v])?,
        }
    }
    Ok(())
}

#[test]
fn divergences() -> Result<()> {
    let student = var(random(5 * 37, 1).iter().map(|v| v * 6.0).collect(), (5, 37))?;
    let teacher = var(random(5 * 37, 2).iter().map(|v| v * 6.0).collect(), (5, 37))?;
    let (a, b) = (divergence(&student, &teacher)?, loss::composed::divergence(&student, &teacher)?);
    assert_same("divergence", &a, &b, &[&student])?;
    assert!(a.backward()?.get(&teacher).is_none(), "the teacher is not taught");
    let none = divergence(&student, student.as_tensor())?.to_scalar::<f32>()?;
    assert!(none.abs() < 1e-6, "of a distribution from itself: {none}");
    Ok(())
}

#[test]
fn rounding_passes_the_gradient_as_it_is() -> Result<()> {
    let x = var(random(4 * 6, 1), (4, 6))?;
    let y = straight_through(&x, |row| row.iter_mut().for_each(|v| *v = v.round() + row_mark()))?;
    let expected: Vec<f32> = values(&x)?.iter().map(|v| v.round() + row_mark()).collect();
    let all = with_gradients(&y, &[&x])?;
    assert_eq!((&all[0], &all[1]), (&expected, &random(4 * 6, 99)));
    Ok(())
}

/// So that the value differs from what rounding alone would give.
fn row_mark() -> f32 {
    0.25
}
