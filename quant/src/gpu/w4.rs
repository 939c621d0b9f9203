//! The rounding to W4 that the training simulates, of the head in its last part and of what other weights are to be W4, on the
//! CPU: the same to the bit as the kernel `round_weights`.
//!
//! A group of 32 columns begins with 16 levels from its smallest weight to its largest; two rounds of levels and least squares
//! move step and offset. Both are rounded to 8 bits of what the row's largest need, and levels are taken anew.

use super::w2::tree_sum;
use crate::grid::{GridRow, GridWeight, Step, join, unit};
use accllm_llm::float::Matrix;
use accllm_llm::model::{GROUP, WeightFormat};
use rayon::prelude::*;

/// Rounds of levels and least squares.
const ROUNDS: usize = 2;
/// Levels.
const LOW: f32 = -8.0;
const HIGH: f32 = 7.0;

/// The grid of a weight; columns are a multiple of 32.
pub(super) fn round_w4(w: &Matrix) -> GridWeight {
    join(WeightFormat::W4, w.cols, (0..w.rows).into_par_iter().map(|r| row(w.row(r))).collect())
}

fn row(w: &[f32]) -> GridRow {
    let (groups, _) = w.as_chunks::<GROUP>();
    let steps: Vec<Step> = groups.iter().map(step).collect();
    let mut out = GridRow::zero(w.len(), WeightFormat::W4, unit(&steps));
    for (g, (group, step)) in groups.iter().zip(&steps).enumerate() {
        if let Some(step) = out.set(g, *step) {
            let levels = group.map(|w| level(w, step) as i8);
            out.level[g * GROUP..(g + 1) * GROUP].copy_from_slice(&levels);
        }
    }
    out
}

fn level(w: f32, step: Step) -> f32 {
    ((w - step.offset) / step.size).round().clamp(LOW, HIGH)
}

/// The grid of a group; nothing for one of zeros.
fn step(w: &[f32; GROUP]) -> Step {
    let high = w.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let low = w.iter().copied().fold(f32::INFINITY, f32::min);
    let size = ((high - low) / 15.0).max(high.max(-low) / 127.0);
    if size <= 0.0 {
        return Step::default();
    }
    let mut step = Step { size, offset: (low + high) / 2.0 + size / 2.0 };
    let n = GROUP as f32;
    for _ in 0..ROUNDS {
        let level = w.map(|w| level(w, step));
        let (l1, l2) = (tree_sum(level), tree_sum(level.map(|l| l * l)));
        let (w1, wl) = (tree_sum(*w), tree_sum(std::array::from_fn(|i| w[i] * level[i])));
        let (over, under) = (wl - w1 * l1 / n, l2 - l1 * l1 / n);
        if over > 0.0 && under > 0.0 {
            let size = over / under;
            step = Step { size, offset: (w1 - size * l1) / n };
        }
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::fit;
    use crate::train::tests::random;

    fn error(w: &Matrix, grid: &GridWeight) -> f64 {
        let back = grid.dequantize();
        w.data.iter().zip(&back.data).map(|(a, b)| f64::from((a - b) * (a - b))).sum()
    }

    /// About as near as the quantizer's own search without activations.
    #[test]
    fn it_is_near() {
        let w = Matrix { rows: 24, cols: 160, data: random(24 * 160, 3) };
        let (ours, search) = (round_w4(&w), fit(&w, &[1.0; 160], &[true; 160], WeightFormat::W4));
        let (ours, search) = (error(&w, &ours), error(&w, &search));
        assert!(ours < 1.1 * search, "{ours} for {search}");
    }

    #[test]
    fn zeros_and_equal_weights() {
        let mut data = vec![0.0; 128];
        data[32..64].fill(0.25);
        data[64..96].fill(-0.5);
        let w = Matrix { rows: 1, cols: 128, data };
        let back = round_w4(&w).dequantize();
        for (a, b) in w.data.iter().zip(&back.data) {
            assert!((a - b).abs() <= 0.5 / 127.0, "{b} for {a}");
        }
        let zeros = Matrix { rows: 1, cols: 64, data: vec![0.0; 64] };
        assert!(round_w4(&zeros).dequantize().data.iter().all(|v| *v == 0.0));
    }
}
