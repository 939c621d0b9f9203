//! A KV head: the search for its factors and angles.

use super::super::balance::factors;
use crate::head::hadamard;

/// Tries of each pass over the pairs: factors, and angles in parts of a half turn.
const PASSES: [(&[f32], usize); 3] = [(&[0.7, 1.4], 8), (&[0.84, 1.19], 16), (&[0.92, 1.09], 32)];
/// Largest factor, and the inverse of the smallest one.
const LIMIT: f32 = 64.0;
/// Least part of its energy that the leading pair counts with when factors are chosen.
const LEAST: f64 = 0.02;

/// A KV head whose pairs are searched.
#[derive(Clone)]
pub(super) struct Head {
    half: usize,
    /// Width of the transform.
    n: usize,
    /// Keys `[tokens, 2 * half]` as they came.
    keys: Vec<f32>,
    /// Their mean.
    mean: Vec<f64>,
    /// Mean square of their pairs.
    energy: Vec<f64>,
    /// Their transforms `[tokens, n]` with the choices so far.
    spread: Vec<f32>,
    /// Mean square of the pairs of q.
    power: Vec<f64>,
    /// Pair that leads.
    pub lead: usize,
    /// Factor and angle of each pair.
    pub turned: Vec<(f32, f32)>,
    /// Estimated error of the scores without any change, and with the choices so far.
    pub before: f64,
    pub error: f64,
}

impl Head {
    pub fn new<'a>(keys: impl Iterator<Item = &'a [f32]>, half: usize, power: Vec<f64>) -> Self {
        let keys: Vec<f32> = keys.flatten().copied().collect();
        let n = hadamard(&vec![0.0; 2 * half], 0).len();
        let tokens = (keys.len() / (2 * half)).max(1) as f64;
        let (mut mean, mut energy) = (vec![0.0; 2 * half], vec![0.0; half]);
        for row in keys.chunks_exact(2 * half) {
            for (i, v) in row.iter().enumerate() {
                mean[i] += f64::from(*v) / tokens;
                energy[i % half] += f64::from(*v).powi(2) / tokens;
            }
        }
        let mut head = Self {
            half,
            n,
            keys,
            mean,
            energy,
            spread: Vec::new(),
            power,
            lead: 0,
            turned: vec![(1.0, 0.0); half],
            before: 0.0,
            error: 0.0,
        };
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
            out.extend(hadamard(&key, lead));
        }
        out
    }

    /// Factors in closed form, and the angle that turns the mean of the leading pair into its first element. The others
    /// stay 0.
    fn led(&self, lead: Option<usize>) -> Vec<(f32, f32)> {
        let (half, mean) = (self.half, &self.mean);
        let mut energy = self.energy.clone();
        if let Some(i) = lead {
            let constant = mean[i].powi(2) + mean[half + i].powi(2);
            energy[i] = (energy[i] - constant).max(energy[i] * LEAST);
        }
        let factors = factors(&self.power, &energy, 1.0);
        let mut turned: Vec<(f32, f32)> = factors.into_iter().map(|f| (f as f32, 0.0)).collect();
        if let Some(i) = lead {
            turned[i].1 = -(mean[half + i].atan2(mean[i])) as f32;
        }
        turned
    }

    /// Estimated errors of the closed forms over the error before: without a leading pair, and with each.
    pub fn lead_errors(&self) -> Vec<f64> {
        let all = std::iter::once(None).chain((0..self.half).map(Some));
        let error = |lead: Option<usize>| {
            let turned = self.led(lead);
            let range = self.range_of(&self.transformed(lead.unwrap_or(0), &turned));
            if self.before > 0.0 { range * self.queries_with(&turned) / self.before } else { 1.0 }
        };
        all.map(error).collect()
    }

    /// Takes the closed form; without a leading pair only where it is better than nothing.
    pub fn start(&mut self, lead: Option<usize>) {
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
    pub fn keep_scale(&mut self) {
        let mean = (self.turned.iter().map(|t| t.0.ln()).sum::<f32>() / self.half.max(1) as f32).exp();
        self.turned.iter_mut().for_each(|t| t.0 /= mean);
    }

    pub fn search(&mut self) {
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
