//! Weights that lie on a W2 grid are recovered from their stored, rounded values.

use accllm_llm::float::Matrix;
use accllm_llm::model::{Levels, WeightFormat};
use accllm_quant::grid::GridWeight;
use accllm_quant::quantize::recover;
use proptest::prelude::*;

const ROWS: usize = 3;
const GROUPS: usize = 4;
const COLS: usize = 32 * GROUPS;

/// A random grid: levels, scales with one 255 in each row, row scales over many binades.
fn grid(format: WeightFormat) -> impl Strategy<Value = GridWeight> {
    let picks =
        proptest::collection::vec((0usize..6, 0usize..4, 0usize..4, 0usize..4, 0usize..4), ROWS * COLS / 4);
    let scales = proptest::collection::vec(0u8..=255, ROWS * GROUPS);
    let full = proptest::collection::vec(0usize..GROUPS, ROWS);
    let row_scales = proptest::collection::vec((-13.0f32..-6.0).prop_map(f32::exp2), ROWS);
    (picks, scales, full, row_scales).prop_map(move |(picks, mut scale, full, row_scale)| {
        let values = format.levels();
        let mut level: Vec<i8> = picks
            .iter()
            .flat_map(|(pattern, a, b, c, d)| {
                let mut quad = [values[*a], values[*b], values[*c], values[*d]];
                if format == WeightFormat::W2Sparse {
                    let (x, y) = accllm_hw::beat::PATTERNS[*pattern];
                    (0..4).filter(|i| *i != x && *i != y).for_each(|i| quad[i] = 0);
                }
                quad
            })
            .collect();
        for (r, g) in full.iter().enumerate() {
            scale[r * GROUPS + g] = 255;
        }
        for (group, scale) in level.chunks_exact_mut(32).zip(&scale) {
            if *scale == 0 {
                group.fill(0);
            }
        }
        let grid = Levels { format, rows: ROWS, cols: COLS, level, scale, offset: Vec::new() };
        GridWeight { grid, row_scale }
    })
}

fn stored(w: &GridWeight, round: fn(f32) -> f32) -> Matrix {
    let mut m = w.dequantize();
    m.data.iter_mut().for_each(|v| *v = round(*v));
    m
}

fn f16(v: f32) -> f32 {
    half::f16::from_f32(v).to_f32()
}

fn bf16(v: f32) -> f32 {
    half::bf16::from_f32(v).to_f32()
}

/// True when a group holds both magnitudes of its format, which makes its scale unique.
fn both_magnitudes(group: &[i8]) -> bool {
    let (mut low, mut high) = (false, false);
    for l in group {
        low |= l.abs() == 1;
        high |= l.abs() > 1;
    }
    low && high
}

fn check(original: &GridWeight, round: fn(f32) -> f32) -> Result<(), TestCaseError> {
    let m = stored(original, round);
    let found = recover(&m).ok_or_else(|| TestCaseError::fail("not recovered"))?;
    prop_assert_eq!(found.grid.format, original.grid.format);
    prop_assert_eq!(found.grid.rows, ROWS);
    let again = stored(&found, round);
    for (i, (a, b)) in m.data.iter().zip(&again.data).enumerate() {
        prop_assert!((a - b).abs() <= a.abs() * 2f32.powi(-10) + 1e-7, "element {}: {} became {}", i, a, b);
    }
    let groups = original.grid.level.chunks_exact(32).zip(found.grid.level.chunks_exact(32));
    for (g, (before, after)) in groups.enumerate() {
        if both_magnitudes(before) {
            prop_assert_eq!(before, after);
            prop_assert_eq!(original.grid.scale[g], found.grid.scale[g]);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn sparse_grids_in_f16(w in grid(WeightFormat::W2Sparse)) {
        check(&w, f16)?;
    }

    #[test]
    fn dense_grids_in_f16(w in grid(WeightFormat::W2Dense)) {
        check(&w, f16)?;
    }

    #[test]
    fn sparse_grids_in_f32(w in grid(WeightFormat::W2Sparse)) {
        check(&w, |v| v)?;
    }

    #[test]
    fn one_weight_off_the_grid_is_noticed(w in grid(WeightFormat::W2Sparse), at in 0usize..ROWS * COLS) {
        let mut m = stored(&w, f16);
        prop_assume!(m.data[at] != 0.0 && w.grid.level[at / 32 * 32..][..32].iter().any(|l| l.abs() == 1));
        m.data[at] = f16(m.data[at] * 2.7);
        prop_assert!(recover(&m).is_none());
    }
}

#[test]
fn coarse_rounding_is_followed() {
    // bf16 keeps 8 bits: scales need not be unique, but the values must come back within its rounding.
    let mut grid = Levels {
        format: WeightFormat::W2Sparse,
        rows: 1,
        cols: 64,
        level: [1, 0, -2, 0, 0, 2, 0, 1].repeat(8),
        scale: vec![255, 101],
        offset: Vec::new(),
    };
    grid.level[63] = -1;
    let w = GridWeight { grid, row_scale: vec![0.0123] };
    let m = stored(&w, bf16);
    let found = recover(&m).map(|g| (g.grid.level.clone(), g.dequantize())).unwrap_or((vec![], m.clone()));
    assert_eq!(found.0, w.grid.level);
    assert!(m.data.iter().zip(&found.1.data).all(|(a, b)| (a - b).abs() <= a.abs() / 128.0));
}

#[test]
fn ordinary_weights_are_not_on_a_grid() {
    let data: Vec<f32> = (0..ROWS * COLS).map(|i| ((i * 7919 % 4093) as f32 / 2048.0) - 1.0).collect();
    assert!(recover(&Matrix { rows: ROWS, cols: COLS, data: data.clone() }).is_none());
    assert!(recover(&Matrix { rows: ROWS, cols: 40, data: data[..ROWS * 40].to_vec() }).is_none());
    let zero = Matrix { rows: 1, cols: 32, data: vec![0.0; 32] };
    assert_eq!(recover(&zero).map(|g| g.row_scale), Some(vec![0.0]));
}
