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

use super::{PairPower, scale_rows};
use crate::float::{FloatLayer, Matrix, Site, Tap};
use crate::hf::LlamaConfig;
use rayon::prelude::*;

/// Keys of a layer that are looked at.
const KEYS: usize = 384;
/// One key in so many is kept, so that they come from several windows.
const KEEP_EVERY: usize = 17;
/// Tries of each pass over the pairs: factors, and angles in parts of a half turn.
const PASSES: [(&[f32], usize); 3] = [(&[0.7, 1.4], 8), (&[0.84, 1.19], 16), (&[0.92, 1.09], 32)];
/// Largest factor, and the inverse of the smallest one.
const LIMIT: f32 = 64.0;

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
        Self { power: PairPower::new(c), keys: vec![Vec::new(); c.layers], seen: vec![0; c.layers] }
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
/// Least part of its energy that the leading pair counts with when factors are chosen.
const LEAST: f64 = 0.02;

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
    let (half, group) = (c.head_dim / 2, c.group());
    let mut heads: Vec<Head> = (0..c.kv_heads)
        .into_par_iter()
        .map(|kv| {
            let keys =
                sample.keys[l].chunks_exact(c.kv_width()).map(|row| &row[kv * c.head_dim..][..c.head_dim]);
            Head::new(keys, half, sample.power.of_group(l, kv, group))
        })
        .collect();
    let runs = (1..=RUNS.min(c.kv_heads)).rev().find(|n| c.kv_heads.is_multiple_of(*n)).unwrap_or(1);
    heads.par_chunks_mut(c.kv_heads / runs).for_each(|run| {
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
        turn(&mut w.k, kv, half, &head.turned);
        for h in kv * group..(kv + 1) * group {
            turn(&mut w.q, h, half, &head.turned);
        }
    }
    let factors = |h: &Head| h.turned.iter().map(|t| t.0).collect::<Vec<f32>>();
    let both = |f: Vec<f32>| f.iter().chain(&f).copied().collect::<Vec<f32>>();
    let k: Vec<f32> = heads.iter().flat_map(|h| both(factors(h))).collect();
    let q: Vec<f32> = heads.iter().flat_map(|h| both(factors(h)).repeat(group)).map(|f| 1.0 / f).collect();
    scale_rows(&mut w.k, &k);
    scale_rows(&mut w.q, &q);
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

/// A KV head whose pairs are searched.
#[derive(Clone)]
struct Head {
    half: usize,
    /// Width of the transform.
    n: usize,
    /// Keys `[tokens, 2 * half]` as they came.
    keys: Vec<f32>,
    /// Their transforms `[tokens, n]` with the choices so far.
    spread: Vec<f32>,
    /// Mean square of the pairs of q.
    power: Vec<f64>,
    /// Pair that leads.
    lead: usize,
    /// Factor and angle of each pair.
    turned: Vec<(f32, f32)>,
    before: f64,
    error: f64,
}

impl Head {
    fn new<'a>(keys: impl Iterator<Item = &'a [f32]>, half: usize, power: Vec<f64>) -> Self {
        let keys: Vec<f32> = keys.flatten().copied().collect();
        let n = crate::quantize::hadamard(&vec![0.0; 2 * half], 0).len();
        let turned = vec![(1.0, 0.0); half];
        let mut head =
            Self { half, n, keys, spread: Vec::new(), power, lead: 0, turned, before: 0.0, error: 0.0 };
        head.spread = head.transformed(0, &head.turned);
        head.before = head.range_of(&head.spread) * head.queries();
        head.error = head.before;
        head
    }

    /// The transforms of all keys with a leading pair, factors and angles.
    fn transformed(&self, lead: usize, turned: &[(f32, f32)]) -> Vec<f32> {
        let half = self.half;
        let mut key = vec![0.0f32; 2 * half];
        let mut out = Vec::with_capacity(self.keys.len() / (2 * half).max(1) * self.n);
        for row in self.keys.chunks_exact(2 * half) {
            for (i, (factor, angle)) in turned.iter().enumerate() {
                let (sin, cos) = angle.sin_cos();
                (key[i], key[half + i]) = (
                    factor * (row[i] * cos - row[half + i] * sin),
                    factor * (row[half + i] * cos + row[i] * sin),
                );
            }
            out.extend(crate::quantize::hadamard(&key, lead));
        }
        out
    }

    /// Factors in closed form, and the angle that turns the mean of the leading pair into its first element. The others
    /// stay 0.
    fn led(&self, lead: Option<usize>) -> Vec<(f32, f32)> {
        let half = self.half;
        let tokens = (self.keys.len() / (2 * half)).max(1) as f64;
        let (mut mean, mut energy) = (vec![0.0f64; 2 * half], vec![0.0f64; half]);
        for row in self.keys.chunks_exact(2 * half) {
            for (i, v) in row.iter().enumerate() {
                mean[i] += f64::from(*v) / tokens;
                energy[i % half] += f64::from(*v).powi(2) / tokens;
            }
        }
        if let Some(i) = lead {
            let constant = mean[i].powi(2) + mean[half + i].powi(2);
            energy[i] = (energy[i] - constant).max(energy[i] * LEAST);
        }
        let ratio = |(q, k): (&f64, &f64)| if *q > 0.0 && *k > 0.0 { (q / k).powf(0.25) } else { 1.0 };
        let factors: Vec<f64> = self.power.iter().zip(&energy).map(ratio).collect();
        let size = (factors.iter().map(|f| f.ln()).sum::<f64>() / half as f64).exp();
        let factor = |f: f64| (f / size).clamp(f64::from(LIMIT).recip(), f64::from(LIMIT)) as f32;
        let mut turned: Vec<(f32, f32)> = factors.into_iter().map(|f| (factor(f), 0.0)).collect();
        if let Some(i) = lead {
            turned[i].1 = -(mean[half + i].atan2(mean[i])) as f32;
        }
        turned
    }

    /// Estimated errors of the closed forms over the error before: without a leading pair, and with each.
    fn lead_errors(&self) -> Vec<f64> {
        let all = std::iter::once(None).chain((0..self.half).map(Some));
        let error = |lead: Option<usize>| {
            let turned = self.led(lead);
            let range = self.range_of(&self.transformed(lead.unwrap_or(0), &turned));
            if self.before > 0.0 { range * self.queries_with(&turned) / self.before } else { 1.0 }
        };
        all.map(error).collect()
    }

    /// Takes the closed form; without a leading pair only where it is better than nothing.
    fn start(&mut self, lead: Option<usize>) {
        let turned = self.led(lead);
        let spread = self.transformed(lead.unwrap_or(0), &turned);
        let error = self.range_of(&spread) * self.queries_with(&turned);
        if lead.is_some() || error < self.error {
            (self.lead, self.turned, self.spread, self.error) = (lead.unwrap_or(0), turned, spread, error);
        }
    }

    /// Sum of squares of q with the factors so far.
    fn queries(&self) -> f64 {
        self.queries_with(&self.turned)
    }

    fn queries_with(&self, turned: &[(f32, f32)]) -> f64 {
        self.power.iter().zip(turned).map(|(p, t)| p / f64::from(t.0).powi(2)).sum()
    }

    /// Sum of the squares of the ranges of all transforms.
    fn range_of(&self, spread: &[f32]) -> f64 {
        let row = |t: usize, out: &mut [f32]| out.copy_from_slice(&spread[t * self.n..][..self.n]);
        self.ranges(row)
    }

    /// Sum of the squares of the ranges of what `row` gives for each token.
    fn ranges(&self, row: impl Fn(usize, &mut [f32])) -> f64 {
        let mut x = vec![0.0f32; self.n];
        (0..self.keys.len() / (2 * self.half).max(1))
            .map(|t| {
                row(t, &mut x);
                let low = x.iter().copied().fold(f32::INFINITY, f32::min);
                let high = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                f64::from(high - low).powi(2)
            })
            .sum()
    }

    /// The transform of token `t` with another choice for pair `i`.
    fn moved(&self, i: usize, to: (f32, f32), t: usize, out: &mut [f32]) {
        let at = |(factor, angle): (f32, f32)| {
            let (a, b) = (self.keys[t * 2 * self.half + i], self.keys[t * 2 * self.half + self.half + i]);
            let (sin, cos) = angle.sin_cos();
            (factor * (a * cos - b * sin), factor * (b * cos + a * sin))
        };
        let (new, old) = (at(to), at(self.turned[i]));
        let (da, db) = (new.0 - old.0, new.1 - old.1);
        // The two halves of the transform are the sum and the difference of those of the halves of the head.
        let place = if i == self.lead {
            0
        } else if i == 0 {
            self.lead
        } else {
            i
        };
        let sign = |j: usize| if (place & j).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
        let width = self.n / 2;
        let (x, y) = self.spread[t * self.n..][..self.n].split_at(width);
        let (low, high) = out.split_at_mut(width);
        for j in 0..width {
            let s = sign(j);
            low[j] = x[j] + s * (da + db);
            high[j] = y[j] + s * (da - db);
        }
    }

    /// The head as a whole keeps its scale; the error stays the same.
    fn keep_scale(&mut self) {
        let mean = (self.turned.iter().map(|t| t.0.ln()).sum::<f32>() / self.half.max(1) as f32).exp();
        self.turned.iter_mut().for_each(|t| t.0 /= mean);
    }

    fn search(&mut self) {
        for (factors, parts) in PASSES {
            for i in 0..self.half {
                self.pair(i, factors, parts);
            }
        }
    }

    /// The best of some choices for pair `i`.
    fn pair(&mut self, i: usize, factors: &[f32], parts: usize) {
        let (factor, angle) = self.turned[i];
        let step = std::f32::consts::PI / parts as f32;
        // All angles at first, then those near the best one.
        let angles: Vec<f32> = match parts {
            8 => (1..8).map(|k| angle + step * k as f32).collect(),
            _ => vec![angle - step, angle + step],
        };
        let scaled = factors.iter().map(|f| ((factor * f).clamp(1.0 / LIMIT, LIMIT), angle));
        let tries = scaled.chain(angles.into_iter().map(|a| (factor, a)));
        let rest = self.queries() - self.power[i] / f64::from(factor).powi(2);
        let mut best = (self.error, (factor, angle));
        for to in tries {
            let error = self.ranges(|t, out| self.moved(i, to, t, out))
                * (rest + self.power[i] / f64::from(to.0).powi(2));
            if error < best.0 {
                best = (error, to);
            }
        }
        if best.1 != self.turned[i] {
            let n = self.n;
            let mut row = vec![0.0; n];
            for t in 0..self.spread.len() / n {
                self.moved(i, best.1, t, &mut row);
                self.spread[t * n..][..n].copy_from_slice(&row);
            }
            self.turned[i] = best.1;
            self.error = best.0;
        }
    }
}
