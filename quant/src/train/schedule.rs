//! Learning-rate schedule and the order of the data.

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
pub(super) fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut order);
    order
}
