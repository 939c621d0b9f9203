//! Rotary position embedding, Hugging Face convention (element `i` pairs with `i + head_dim/2`).

/// Rotation angles of one head.
#[derive(Clone, Debug)]
pub struct Rope {
    /// Radians per position for each pair.
    frequency: Vec<f64>,
}

impl Rope {
    /// Frequencies of `rope` for heads of width `head_dim`.
    pub fn new(head_dim: usize, rope: &accllm_hw::rope::Rope) -> Self {
        Self { frequency: (0..head_dim / 2).map(|i| rope.frequency(i, head_dim)).collect() }
    }

    /// `(cos, sin)` of every pair at `position`, angles in f64.
    pub fn angles(&self, position: usize) -> Vec<(f32, f32)> {
        self.frequency
            .iter()
            .map(|f| {
                let (sin, cos) = (position as f64 * f).sin_cos();
                (cos as f32, sin as f32)
            })
            .collect()
    }

    /// Rotates every head of `row` by `angles`.
    pub fn rotate(row: &mut [f32], angles: &[(f32, f32)]) {
        let half = angles.len();
        for head in row.chunks_exact_mut(2 * half) {
            let (low, high) = head.split_at_mut(half);
            for ((a, b), (cos, sin)) in low.iter_mut().zip(high).zip(angles) {
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }
}
