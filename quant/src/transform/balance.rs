//! Balance of q and k: each RoPE pair of k takes a factor, the same pair of q its inverse. Scores stay the same,
//! since a factor on both elements of a pair commutes with RoPE.
//!
//! K is rounded after a Hadamard transform, so its error is spread evenly over the elements: the mean square of
//! a score's error is about `sum k^2 * sum q^2`. That is least when every pair has as much of q as of k.

use super::scale_rows;
use accllm_hw::sizes::Linear;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatLayer, Site, Tap, on_rows};

/// Largest factor, and the inverse of the smallest one.
const LIMIT: f64 = 64.0;

/// Energy of the RoPE pairs of q and k, per layer; a tap.
#[derive(Clone, Debug)]
pub struct PairPower {
    head_dim: usize,
    /// Per layer, per head and pair: sum of squares of q.
    q: Vec<Vec<f64>>,
    /// Of k.
    k: Vec<Vec<f64>>,
}

impl PairPower {
    /// Nothing seen.
    pub fn new(c: &LlamaConfig) -> Self {
        let zeros = |heads: usize| vec![vec![0.0; heads * c.sizes.head_dim / 2]; c.sizes.layers];
        Self { head_dim: c.sizes.head_dim, q: zeros(c.sizes.heads), k: zeros(c.sizes.kv_heads) }
    }

    /// Of q, per pair: sum over the query heads of KV head `kv` of layer `l`.
    pub(super) fn of_group(&self, l: usize, kv: usize, group: usize) -> Vec<f64> {
        let half = self.head_dim / 2;
        let one = |i: usize| (kv * group..(kv + 1) * group).map(|h| self.q[l][h * half + i]).sum();
        (0..half).map(one).collect()
    }
}

impl Tap for PairPower {
    fn tensor(&mut self, site: Site, layer: usize, width: usize, data: &mut [f32]) {
        let sums = match site {
            Site::Query => &mut self.q,
            Site::Key => &mut self.k,
            _ => return,
        };
        let Some(sums) = sums.get_mut(layer) else { return };
        let half = self.head_dim / 2;
        for row in data.chunks_exact(width) {
            for (head, sums) in row.chunks_exact(2 * half).zip(sums.chunks_exact_mut(half)) {
                let (low, high) = head.split_at(half);
                for ((a, b), sum) in low.iter().zip(high).zip(sums) {
                    *sum += f64::from(*a) * f64::from(*a) + f64::from(*b) * f64::from(*b);
                }
            }
        }
    }
}

/// Balances layer `l`; `exponent` 1 evens out the pairs, 0 does nothing. Scores stay the same.
pub fn balance_qk(c: &LlamaConfig, w: &mut FloatLayer, l: usize, power: &PairPower, exponent: f64) {
    let (half, group) = (c.sizes.head_dim / 2, c.sizes.group());
    let mut k_rows = Vec::with_capacity(c.sizes.kv_width());
    let mut q_rows = Vec::with_capacity(c.sizes.q_width());
    for kv in 0..c.sizes.kv_heads {
        let factor = factors(&power.of_group(l, kv, group), &power.k[l][kv * half..][..half], exponent);
        let both = || factor.iter().chain(&factor);
        k_rows.extend(both().map(|f| *f as f32));
        for _ in 0..group {
            q_rows.extend(both().map(|f| (1.0 / f) as f32));
        }
    }
    on_rows(&mut w.k, &mut w.biases[Linear::K], |k| scale_rows(k, &k_rows));
    on_rows(&mut w.q, &mut w.biases[Linear::Q], |q| scale_rows(q, &q_rows));
}

/// As [`balance_qk`] in full, in the gains of the norms of heads: the same factors for all heads.
pub(super) fn balance_gains(c: &LlamaConfig, w: &mut FloatLayer, l: usize, power: &PairPower) {
    let half = c.sizes.head_dim / 2;
    let sum = |of: &[f64]| -> Vec<f64> { (0..half).map(|i| of.iter().skip(i).step_by(half).sum()).collect() };
    let factors = factors(&sum(&power.q[l]), &sum(&power.k[l]), 1.0);
    let both = factors.iter().chain(&factors);
    for ((q, k), f) in w.q_norm.iter_mut().zip(&mut w.k_norm).zip(both) {
        (*q, *k) = ((f64::from(*q) / f) as f32, (f64::from(*k) * f) as f32);
    }
}

/// Factors that balance pairs with these energies of q and of k; the head as a whole keeps its scale.
pub(super) fn factors(q: &[f64], k: &[f64], exponent: f64) -> Vec<f64> {
    // The fourth root of the ratio.
    let ratio = |(q, k): (&f64, &f64)| if *q > 0.0 && *k > 0.0 { (q / k).powf(0.25 * exponent) } else { 1.0 };
    let mut factors: Vec<f64> = q.iter().zip(k).map(ratio).collect();
    let mean = (factors.iter().map(|f| f.ln()).sum::<f64>() / factors.len() as f64).exp();
    factors.iter_mut().for_each(|f| *f = (*f / mean).clamp(1.0 / LIMIT, LIMIT));
    factors
}
