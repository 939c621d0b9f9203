//! Rotation of the residual stream and of the values, folded into the weights around them (as QuaRot does):
//! outlying channels are spread over all. RMSNorm commutes with a rotation once its gain is in the next weight.

use accllm_hw::sizes::Linear;
use accllm_llm::Result;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatLayer, FloatModel, Matrix, on_rows};
use rayon::prelude::*;

/// An orthogonal matrix `[n, n]`, row major.
#[derive(Clone, Debug)]
pub struct Rotation {
    n: usize,
    q: Vec<f64>,
}

impl Rotation {
    /// A random rotation: signs, then a Hadamard matrix over the largest power of two that divides `n`, crossed
    /// with a random orthogonal matrix over the rest.
    pub fn random(n: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let power = 1usize << n.trailing_zeros();
        let rest = orthogonal(n / power, &mut random);
        let signs: Vec<f64> = (0..n).map(|_| if random.next() < 0.0 { -1.0 } else { 1.0 }).collect();
        let norm = 1.0 / (power as f64).sqrt();
        let mut q = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                let (a, b) = (i % power, j % power);
                let hadamard = if (a & b).count_ones() % 2 == 0 { norm } else { -norm };
                q[i * n + j] = rest[i / power * (n / power) + j / power] * hadamard * signs[j];
            }
        }
        Self { n, q }
    }

    /// `w <- w Q^T`: for weights that read the rotated tensor.
    fn columns(&self, w: &mut Matrix) {
        for_blocks(&mut w.data, self.n, |block, out| {
            for (i, o) in out.iter_mut().enumerate() {
                *o = self.dot(i, block);
            }
        });
    }

    /// `w <- Q w` on each run of `n` rows: for weights that write the rotated tensor.
    fn rows(&self, w: &mut Matrix) {
        let (n, cols) = (self.n, w.cols);
        w.data.par_chunks_mut(n * cols).for_each(|part| {
            let old: Vec<f64> = part.iter().map(|v| f64::from(*v)).collect();
            for (i, row) in part.chunks_exact_mut(cols).enumerate() {
                let mut sum = vec![0.0f64; cols];
                for (j, from) in old.chunks_exact(cols).enumerate() {
                    let factor = self.q[i * n + j];
                    sum.iter_mut().zip(from).for_each(|(s, v)| *s += factor * v);
                }
                row.iter_mut().zip(&sum).for_each(|(r, s)| *r = *s as f32);
            }
        });
    }

    fn dot(&self, row: usize, x: &[f64]) -> f32 {
        self.q[row * self.n..][..self.n].iter().zip(x).map(|(q, x)| q * x).sum::<f64>() as f32
    }
}

fn for_blocks(data: &mut [f32], n: usize, edit: impl Fn(&[f64], &mut [f32]) + Sync) {
    data.par_chunks_mut(n).for_each(|block| {
        let old: Vec<f64> = block.iter().map(|v| f64::from(*v)).collect();
        edit(&old, block);
    });
}

/// Moves the norm gains into the weights that follow them; a tied head becomes a matrix of its own.
///
/// # Errors
/// Layers that cannot be brought into memory.
pub fn fold_gains(model: &mut FloatModel) -> Result<()> {
    for w in model.layers.resident()? {
        for reader in [&mut w.q, &mut w.k, &mut w.v] {
            super::scale_columns(reader, &w.attn_norm);
        }
        for reader in [&mut w.gate, &mut w.up] {
            super::scale_columns(reader, &w.mlp_norm);
        }
        w.attn_norm.fill(1.0);
        w.mlp_norm.fill(1.0);
    }
    let mut head = model.head.take().unwrap_or_else(|| model.embed.clone());
    super::scale_columns(&mut head, &model.final_norm);
    model.head = Some(head);
    model.final_norm.fill(1.0);
    Ok(())
}

/// Rotates the residual stream by a random rotation of `seed`; norm gains become 1. The logits stay the same.
///
/// # Errors
/// Layers that cannot be brought into memory.
pub fn rotate_residual(model: &mut FloatModel, seed: u64) -> Result<()> {
    fold_gains(model)?;
    let r = Rotation::random(model.config.sizes.hidden, seed);
    r.columns(&mut model.embed);
    for w in model.layers.resident()? {
        [&mut w.q, &mut w.k, &mut w.v, &mut w.gate, &mut w.up].into_iter().for_each(|w| r.columns(w));
        on_rows(&mut w.o, &mut w.biases[Linear::O], |w| r.rows(w));
        on_rows(&mut w.down, &mut w.biases[Linear::Down], |w| r.rows(w));
    }
    if let Some(head) = &mut model.head {
        r.columns(head);
    }
    Ok(())
}

/// Rotates the values of each head (rows of W_v, columns of o); the layer's output stays the same.
pub fn rotate_values(c: &LlamaConfig, w: &mut FloatLayer, seed: u64) {
    let r = Rotation::random(c.sizes.head_dim, seed);
    on_rows(&mut w.v, &mut w.biases[Linear::V], |w| r.rows(w));
    r.columns(&mut w.o);
}

/// A random orthogonal matrix: Gram-Schmidt of a random one.
fn orthogonal(n: usize, random: &mut Random) -> Vec<f64> {
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(n);
    while rows.len() < n {
        let mut row: Vec<f64> = (0..n).map(|_| (0..4).map(|_| random.next()).sum()).collect();
        // Twice, for accuracy.
        for _ in 0..2 {
            for other in &rows {
                let along: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
        }
        let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm > 1e-3 {
            rows.push(row.into_iter().map(|v| v / norm).collect());
        }
    }
    rows.into_iter().flatten().collect()
}

/// Numbers in -1..1 (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_are_orthogonal() {
        for n in [1, 10, 40, 64, 72] {
            let r = Rotation::random(n, 5);
            for i in 0..n {
                for j in 0..n {
                    let rows = r.q[i * n..][..n].iter().zip(&r.q[j * n..][..n]);
                    let product: f64 = rows.map(|(a, b)| a * b).sum();
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((product - expected).abs() < 1e-12, "{n}: [{i}][{j}] is {product}");
                }
            }
        }
    }
}
