//! The optimizers.

use super::*;
use crate::gpu::optimizer::{Optimizer, Rates};

/// From a gradient, one step of each kind: Muon's direction is nearly orthogonal, Adam's the sign.
#[test]
fn a_step_of_muon_is_orthogonal_and_one_of_adam_a_sign() {
    on_devices(|device| {
        let shape = Shape::of(&config()).unwrap();
        let optimizer = Optimizer::new(device, shape).unwrap();
        let all = shape.layers * shape.layer();
        let (weights, gradient) = (random(all, 21), random(all, 22));
        put(device, optimizer.layers, &weights).unwrap();
        put(device, optimizer.gradients.layers, &gradient).unwrap();
        let (table, d_table) =
            (random(shape.vocab * shape.hidden, 23), random(shape.vocab * shape.hidden, 24));
        put(device, optimizer.table, &table).unwrap();
        put(device, optimizer.gradients.table, &d_table).unwrap();
        optimizer.set(0, Rates { muon: 0.01, embedding: 0.001, gains: 0.0 }).unwrap();
        optimizer.step().unwrap();
        let moved: Vec<f32> = fetch(device, optimizer.layers, all).unwrap();
        for (i, p) in shape.parts().into_iter().enumerate() {
            let at = shape.layer() + p.at;
            let long = p.rows.max(p.cols) as f32;
            let step: Vec<f32> =
                (at..at + p.len()).map(|i| (weights[i] - moved[i]) / (0.01 * 0.2 * long.sqrt())).collect();
            // The mean square of the singular values, and how the step lies to the gradient.
            let side = p.rows.min(p.cols) as f32;
            let energy = step.iter().map(|v| v * v).sum::<f32>() / side;
            let along: f32 = step.iter().zip(&gradient[at..]).map(|(a, b)| a * b).sum();
            assert!((0.5..1.3).contains(&energy), "linear {i}: {energy}");
            assert!(along > 0.0, "linear {i} goes up");
            check_rows(&step, p.rows, p.cols);
        }
        let after: Vec<f32> = fetch(device, optimizer.table, table.len()).unwrap();
        for ((a, b), g) in after.iter().zip(&table).zip(&d_table) {
            assert!((b - a - 0.001 * g.signum()).abs() < 1e-5, "{a} from {b} by {g}");
        }
    });
}

/// The shorter side's vectors have about the same length and are far from parallel.
fn check_rows(step: &[f32], rows: usize, cols: usize) {
    let side = rows.min(cols);
    let vector = |i: usize| -> Vec<f32> {
        if rows <= cols {
            step[i * cols..(i + 1) * cols].to_vec()
        } else {
            (0..rows).map(|r| step[r * cols + i]).collect()
        }
    };
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let vectors: Vec<Vec<f32>> = (0..side.min(16)).map(vector).collect();
    for (i, a) in vectors.iter().enumerate() {
        assert!((0.3..1.5).contains(&dot(a, a)), "{i}: {}", dot(a, a));
        for b in &vectors[i + 1..] {
            assert!(dot(a, b).abs() < 0.35, "{i}: {}", dot(a, b));
        }
    }
}
