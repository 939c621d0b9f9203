//! How something is trained: passes, learning rates and their schedule, order of the data.

/// How far a quantization is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reached {
    /// Layers finished.
    pub layer: usize,
    /// Layers in all.
    pub layers: usize,
    /// Training steps done of the layer at work.
    pub step: usize,
    /// Training steps of a layer.
    pub steps: usize,
    /// Loss of the last step.
    pub loss: Option<f64>,
}

/// Training of a layer, or of a whole model; by default none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Training {
    /// Passes over the sequences.
    pub epochs: usize,
    /// Tokens of a step (whole sequences; at least one).
    pub batch: usize,
    /// Learning rate of the weights, in levels.
    pub weights: f64,
    /// Of the scales, relative.
    pub scales: f64,
    /// Of the norm gains, relative.
    pub gains: f64,
    /// Order of the sequences.
    pub seed: u64,
}

impl Training {
    /// The sequences of each step, of `count` of `tokens` each; what else is trained by the same choices takes another
    /// `part`.
    pub(super) fn steps(&self, count: usize, tokens: usize, part: usize) -> Vec<Vec<usize>> {
        let per_step = (self.batch / tokens).clamp(1, count.max(1));
        let pass = |epoch| {
            let order = shuffled(count, self.seed.wrapping_add((part * self.epochs + epoch) as u64));
            order.chunks(per_step).map(<[usize]>::to_vec).collect::<Vec<_>>()
        };
        (0..self.epochs).flat_map(pass).collect()
    }
}

/// Warm-up over the first twentieth, then half a cosine down to a twentieth.
pub(super) fn cosine(step: usize, steps: usize) -> f64 {
    let at = (step as f64 + 0.5) / steps.max(1) as f64;
    if at < 0.05 {
        return at / 0.05;
    }
    let phase = (at - 0.05) / 0.95 * std::f64::consts::PI;
    0.05 + 0.95 * 0.5 * (1.0 + phase.cos())
}

/// `0..n` in an order that depends on `seed` alone.
fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut order);
    order
}
