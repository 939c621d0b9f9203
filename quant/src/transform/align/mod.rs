//! Alignment of q and k: each RoPE pair of k takes a factor and an angle, the same pair of q the inverse factor and
//! the same angle. Both commute with RoPE, so the scores stay the same.
//!
//! K is rounded after a Hadamard transform to 16 levels between the extremes of a head, so the mean square of a
//! score's error is about `range(H k)^2 / (12 * 15^2) * sum q^2`. Factors and angles are searched, pair by pair, for
//! the least of it over calibrated keys; [`super::balance_qk`] is a closed form that takes `sum k^2` for the range.
//!
//! A third to a half of K's energy in a head is often the constant mean of one slow pair. Element 0 is the same
//! constant in all outputs of the transform, which the zero point takes away whatever its size. So one pair of each head
//! may lead: it changes places with pair 0, and its mean is turned into element 0.

mod head;

use super::{PairPower, scale_rows};
use accllm_hw::sizes::Linear;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatLayer, Matrix, Site, Tap, on_rows};
use head::Head;
use rayon::prelude::*;

/// Keys of a layer that are looked at.
const KEYS: usize = 384;
/// One key in so many is kept, so that they come from several windows.
const KEEP_EVERY: usize = 17;

/// Keys and powers of q and k, per layer; a tap.
#[derive(Clone, Debug)]
pub struct KeySample {
    /// Energy of the pairs.
    pub power: PairPower,
    keys: Vec<Vec<f32>>,
    seen: Vec<usize>,
}

impl KeySample {
    /// Nothing seen.
    pub fn new(c: &LlamaConfig) -> Self {
        Self {
            power: PairPower::new(c),
            keys: vec![Vec::new(); c.sizes.layers],
            seen: vec![0; c.sizes.layers],
        }
    }
}

impl Tap for KeySample {
    fn tensor(&mut self, site: Site, layer: usize, width: usize, data: &mut [f32]) {
        self.power.tensor(site, layer, width, data);
        if site != Site::Key {
            return;
        }
        let (Some(keys), Some(seen)) = (self.keys.get_mut(layer), self.seen.get_mut(layer)) else { return };
        for row in data.chunks_exact(width) {
            if seen.is_multiple_of(KEEP_EVERY) && keys.len() < KEYS * width {
                keys.extend_from_slice(row);
            }
            *seen += 1;
        }
    }
}

/// Most runs of KV heads that lead with pairs of their own: each is an instruction more in several places of a program.
const RUNS: usize = 8;
/// Leading pairs that are tried with a search.
const TRIED: usize = 3;

/// What an alignment did.
#[derive(Clone, Debug, PartialEq)]
pub struct Aligned {
    /// Estimated error of the scores after it over before.
    pub error: f64,
    /// Leading RoPE pair of each KV head.
    pub leads: Vec<u8>,
}

/// Aligns layer `l`; scores stay the same. `lead`: chooses leading pairs too, with which K must then be rounded.
pub fn align_qk(c: &LlamaConfig, w: &mut FloatLayer, l: usize, sample: &KeySample, lead: bool) -> Aligned {
    let (half, group) = (c.sizes.head_dim / 2, c.sizes.group());
    let mut heads: Vec<Head> = (0..c.sizes.kv_heads)
        .into_par_iter()
        .map(|kv| {
            let keys = sample.keys[l]
                .chunks_exact(c.sizes.kv_width())
                .map(|row| &row[kv * c.sizes.head_dim..][..c.sizes.head_dim]);
            Head::new(keys, half, sample.power.of_group(l, kv, group))
        })
        .collect();
    let runs =
        (1..=RUNS.min(c.sizes.kv_heads)).rev().find(|n| c.sizes.kv_heads.is_multiple_of(*n)).unwrap_or(1);
    heads.par_chunks_mut(c.sizes.kv_heads / runs).for_each(|run| {
        let leads = if lead { common_leads(run) } else { vec![None] };
        let searched = leads.into_iter().map(|lead| {
            let mut heads = run.to_vec();
            for head in &mut heads {
                head.start(lead);
                head.search();
                head.keep_scale();
            }
            heads
        });
        let size = |heads: &Vec<Head>| log_sum(heads.iter().map(|h| h.error));
        if let Some(best) = searched.min_by(|a, b| size(a).total_cmp(&size(b))) {
            run.clone_from_slice(&best);
        }
    });
    for (kv, head) in heads.iter().enumerate() {
        on_rows(&mut w.k, &mut w.biases[Linear::K], |k| turn(k, kv, half, &head.turned));
        for h in kv * group..(kv + 1) * group {
            on_rows(&mut w.q, &mut w.biases[Linear::Q], |q| turn(q, h, half, &head.turned));
        }
    }
    let factors = |h: &Head| h.turned.iter().map(|t| t.0).collect::<Vec<f32>>();
    let both = |f: Vec<f32>| f.iter().chain(&f).copied().collect::<Vec<f32>>();
    let k: Vec<f32> = heads.iter().flat_map(|h| both(factors(h))).collect();
    let q: Vec<f32> = heads.iter().flat_map(|h| both(factors(h)).repeat(group)).map(|f| 1.0 / f).collect();
    on_rows(&mut w.k, &mut w.biases[Linear::K], |w| scale_rows(w, &k));
    on_rows(&mut w.q, &mut w.biases[Linear::Q], |w| scale_rows(w, &q));
    let sum = |of: fn(&Head) -> f64| heads.iter().map(of).sum::<f64>();
    let before = sum(|h| h.before);
    Aligned {
        error: if before > 0.0 { sum(|h| h.error) / before } else { 1.0 },
        leads: heads.iter().map(|h| h.lead as u8).collect(),
    }
}

/// Sum of the logarithms.
fn log_sum(errors: impl Iterator<Item = f64>) -> f64 {
    errors.map(|e| e.max(f64::MIN_POSITIVE).ln()).sum()
}

/// The leading pairs, or none, that suit best heads that have one in common, before any search.
fn common_leads(run: &[Head]) -> Vec<Option<usize>> {
    let errors: Vec<Vec<f64>> = run.iter().map(Head::lead_errors).collect();
    // The first is without.
    let all = (0..errors.first().map_or(0, Vec::len)).map(|i| (log_sum(errors.iter().map(|e| e[i])), i));
    let mut all: Vec<(f64, usize)> = all.collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.iter().take(TRIED).map(|(_, i)| i.checked_sub(1)).collect()
}

/// Turns the pairs of a head's rows by their angles.
fn turn(w: &mut Matrix, head: usize, half: usize, turned: &[(f32, f32)]) {
    let cols = w.cols;
    let rows = &mut w.data[head * 2 * half * cols..][..2 * half * cols];
    let (low, high) = rows.split_at_mut(half * cols);
    for ((low, high), (_, angle)) in low.chunks_exact_mut(cols).zip(high.chunks_exact_mut(cols)).zip(turned) {
        let (sin, cos) = angle.sin_cos();
        for (a, b) in low.iter_mut().zip(high) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}
