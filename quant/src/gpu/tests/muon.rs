//! The optimizers.

use super::*;
use crate::gpu::net::Keeping;
use crate::gpu::optimizer::{Optimizer, Rates};

/// From a gradient, one step of each kind: Muon's direction is the one that Newton-Schulz gives, Adam's the sign.
#[test]
fn a_step_of_muon_is_orthogonal_and_one_of_adam_a_sign() {
    on_devices(|device| {
        let shape = KernelShape::of(&config()).unwrap();
        let optimizer = Optimizer::new(device, shape, &all_in(WeightFormat::W4), Keeping::All).unwrap();
        let all = shape.sizes.layers * shape.layer();
        let (weights, gradient) = (random(all, 21), random(all, 22));
        put(device, optimizer.layers, &weights).unwrap();
        put(device, optimizer.gradients.layers, &gradient).unwrap();
        let (table, d_table) = (
            random(shape.sizes.vocab * shape.sizes.hidden, 23),
            random(shape.sizes.vocab * shape.sizes.hidden, 24),
        );
        put(device, optimizer.embed.weights, &table).unwrap();
        put(device, optimizer.gradients.table, &d_table).unwrap();
        optimizer.set(0, Rates { muon: 0.01, embedding: 0.001, gains: 0.0, frozen: false }).unwrap();
        optimizer.step_layers(0).unwrap();
        optimizer.step_tables().unwrap();
        let moved: Vec<f32> = fetch(device, optimizer.layers, all).unwrap();
        for (i, p) in shape.parts().into_iter().enumerate() {
            let at = shape.layer() + p.at;
            let long = p.rows.max(p.cols) as f32;
            let step: Vec<f32> =
                (at..at + p.len()).map(|i| (weights[i] - moved[i]) / (0.01 * 0.2 * long.sqrt())).collect();
            let wanted = orthogonal(&gradient[at..at + p.len()], p.rows, p.cols);
            let error = distance(&step, &wanted);
            assert!(error < 0.1, "linear {i}: {error}");
        }
        let after: Vec<f32> = fetch(device, optimizer.embed.weights, table.len()).unwrap();
        for ((a, b), g) in after.iter().zip(&table).zip(&d_table) {
            assert!((b - a - 0.001 * g.signum()).abs() < 1e-5, "{a} from {b} by {g}");
        }
    });
}

/// Newton-Schulz in 32 bits: `X <- a X + (b A + c A^2) X` with `A = X X^T`.
fn orthogonal(gradient: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    // `[m, k]` by `[k, n]`.
    let times = |a: &[f32], b: &[f32], k: usize| -> Vec<f32> {
        let n = b.len() / k;
        let row =
            |a: &[f32]| -> Vec<f32> { (0..n).map(|c| (0..k).map(|i| a[i] * b[i * n + c]).sum()).collect() };
        a.chunks_exact(k).flat_map(row).collect()
    };
    let turned =
        |x: &[f32]| -> Vec<f32> { (0..rows * cols).map(|i| x[i % rows * cols + i / rows]).collect() };
    let size = gradient.iter().map(|g| g * g).sum::<f32>().sqrt() * 1.02;
    let mut x: Vec<f32> = gradient.iter().map(|g| g / size).collect();
    for _ in 0..5 {
        let gram = times(&x, &turned(&x), cols);
        let square = times(&gram, &gram, rows);
        let b: Vec<f32> = gram.iter().zip(&square).map(|(a, s)| -4.775 * a + 2.0315 * s).collect();
        x = x.iter().zip(times(&b, &x, rows)).map(|(x, y)| 3.4445 * x + y).collect();
    }
    x
}
