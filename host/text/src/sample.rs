//! Choosing the next token from integer logits, the same on every device and computer.
//!
//! Logits are equal bit for bit on all devices. What is computed from them here uses operations that IEEE 754 defines
//! exactly, and an exponential in software; and the random number of a token depends on the seed and the token's
//! position alone. So a seed gives the same text everywhere, also when the text is continued from a file.

use crate::{Error, Result};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Sampling {
    /// 0: always the most likely token; 1: as likely as the model says; above: flatter.
    pub temperature: f64,
    /// Only the most likely `top_k` tokens; 0: all.
    pub top_k: usize,
    /// Only the fewest most likely tokens that have this probability together; 1: all.
    pub top_p: f64,
    /// Only tokens that are at least this times as likely as the most likely one; 0: all.
    pub min_p: f64,
    /// Divides the positive logits of tokens that are in the text already, and multiplies the negative ones; 1: neither.
    pub repetition_penalty: f64,
    /// Taken from the logits of tokens that were written already.
    pub presence_penalty: f64,
    /// Taken from the logits of tokens that were written already, once for each time.
    pub frequency_penalty: f64,
    /// Of the random numbers.
    pub seed: u64,
}

impl Default for Sampling {
    /// Greedy.
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            seed: 0,
        }
    }
}

impl Sampling {
    /// Refuses numbers without meaning.
    ///
    /// # Errors
    /// Says which.
    pub fn check(&self) -> Result<()> {
        let limits = [
            ("temperature", self.temperature, 0.0, 100.0, "from 0 (greedy) to 100"),
            ("top_p", self.top_p, 0.0, 1.0, "from 0 to 1"),
            ("min_p", self.min_p, 0.0, 1.0, "from 0 to 1"),
            ("repetition_penalty", self.repetition_penalty, f64::MIN_POSITIVE, 100.0, "above 0, up to 100"),
            ("presence_penalty", self.presence_penalty, -2.0, 2.0, "from -2 to 2"),
            ("frequency_penalty", self.frequency_penalty, -2.0, 2.0, "from -2 to 2"),
        ];
        match limits.iter().find(|(_, value, low, high, _)| !(*low..=*high).contains(value)) {
            Some((name, value, _, _, range)) => {
                Err(Error::Argument(format!("{name} is {value}; it must be {range}")))
            }
            None => Ok(()),
        }
    }

    /// Whether always the most likely token is chosen.
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0 && !self.is_penal()
    }

    /// Whether the text so far makes a difference.
    fn is_penal(&self) -> bool {
        self.repetition_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0
    }

    /// A sampler of logits with `logit_frac` fraction bits after the text `before`, with `bias` added to the logits of
    /// some tokens; `None` where the most likely token is always chosen.
    pub fn sampler(self, logit_frac: u8, before: &[u32], bias: &[(u32, f64)]) -> Option<Sampler> {
        if self.is_greedy() && bias.is_empty() {
            return None;
        }
        let text =
            if self.repetition_penalty == 1.0 { BTreeSet::new() } else { before.iter().copied().collect() };
        Some(Sampler { sampling: self, logit_frac, text, bias: bias.to_vec() })
    }
}

/// Chooses tokens.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    logit_frac: u8,
    /// Tokens of the text before, where they matter.
    text: BTreeSet<u32>,
    bias: Vec<(u32, f64)>,
}

impl Sampler {
    /// The token for `position`, after the tokens `written`.
    pub fn choose(&self, logits: &[i32], position: u64, written: &[u32]) -> u32 {
        let scores = self.scores(logits, written);
        if self.sampling.temperature == 0.0 {
            return order(&scores, 1).first().copied().unwrap_or(0);
        }
        let candidates = self.candidates(&scores);
        let total: f64 = candidates.iter().map(|(_, w)| w).sum();
        let mut left = uniform(self.sampling.seed, position) * total;
        let last = candidates.last().map_or(0, |(id, _)| *id);
        let mut found = candidates.into_iter().filter(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        // Rounding may leave a little after the last one.
        found.next().map_or(last, |(id, _)| id)
    }

    /// Logits as numbers: with the bias, then the penalties.
    fn scores(&self, logits: &[i32], written: &[u32]) -> Vec<f64> {
        let s = &self.sampling;
        let unit = libm::ldexp(1.0, -i32::from(self.logit_frac));
        let mut scores: Vec<f64> = logits.iter().map(|l| f64::from(*l) * unit).collect();
        for (id, bias) in &self.bias {
            if let Some(score) = scores.get_mut(*id as usize) {
                *score += bias;
            }
        }
        if !s.is_penal() {
            return scores;
        }
        let mut counts = BTreeMap::new();
        written.iter().for_each(|id| *counts.entry(*id).or_insert(0u32) += 1);
        if s.repetition_penalty != 1.0 {
            for id in self.text.iter().chain(counts.keys().filter(|id| !self.text.contains(id))) {
                if let Some(score) = scores.get_mut(*id as usize) {
                    let positive = *score > 0.0;
                    *score =
                        if positive { *score / s.repetition_penalty } else { *score * s.repetition_penalty };
                }
            }
        }
        for (id, count) in counts {
            if let Some(score) = scores.get_mut(id as usize) {
                *score -= f64::from(count) * s.frequency_penalty + s.presence_penalty;
            }
        }
        scores
    }

    /// Tokens that may be chosen with their weights, the most likely first, the lowest id first among equals.
    fn candidates(&self, scores: &[f64]) -> Vec<(u32, f64)> {
        let s = &self.sampling;
        let ids = order(scores, if s.top_k > 0 { s.top_k } else { scores.len() });
        let largest = ids.first().map_or(0.0, |id| scores[*id as usize]);
        let unit = 1.0 / s.temperature;
        let weight = |id: u32| {
            let below = scores[id as usize] - largest;
            // 0 times an infinite unit would not be a number.
            if below == 0.0 { 1.0 } else { libm::exp(below * unit) }
        };
        let mut all: Vec<(u32, f64)> = ids.into_iter().map(|id| (id, weight(id))).collect();
        if s.top_p < 1.0 {
            let want = s.top_p * all.iter().map(|(_, w)| w).sum::<f64>();
            let mut sum = 0.0;
            let before = all.iter().take_while(|(_, w)| {
                sum += w;
                sum < want
            });
            let keep = before.count() + 1;
            all.truncate(keep);
        }
        // The first has the weight 1, and stays.
        let keep = all.iter().take_while(|(_, w)| *w >= s.min_p).count();
        all.truncate(keep);
        all
    }
}

/// The `most` tokens with the largest scores, the largest first, the lowest id first among equals.
pub(crate) fn order(scores: &[f64], most: usize) -> Vec<u32> {
    let by = |a: &u32, b: &u32| {
        let (x, y) = (scores[*a as usize], scores[*b as usize]);
        // No score is without a number.
        y.partial_cmp(&x).unwrap_or(Ordering::Equal).then(a.cmp(b))
    };
    let mut ids: Vec<u32> = (0..).take(scores.len()).collect();
    if most < ids.len() {
        ids.select_nth_unstable_by(most.max(1) - 1, by);
        ids.truncate(most);
    }
    ids.sort_unstable_by(by);
    ids
}

/// A number from 0 up to but not 1.
fn uniform(seed: u64, position: u64) -> f64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let bits = mix(mix(seed.wrapping_add(STEP)).wrapping_add((position + 1).wrapping_mul(STEP)));
    (bits >> 11) as f64 * libm::ldexp(1.0, -53)
}

/// SplitMix64's output function.
fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(temperature: f64, top_k: usize, top_p: f64, seed: u64) -> Sampler {
        Sampling { temperature, top_k, top_p, seed, ..Sampling::default() }.sampler(8, &[], &[]).unwrap()
    }

    /// Shares of the tokens over many positions.
    fn shares(s: &Sampler, logits: &[i32]) -> Vec<f64> {
        let mut counts = vec![0.0; logits.len()];
        (0..20_000).for_each(|p| counts[s.choose(logits, p, &[]) as usize] += 1.0 / 20_000.0);
        counts
    }

    #[test]
    fn frequencies_follow_the_logits() {
        // ln 2, ln 4, ln 1, ln 1 with 8 fraction bits.
        let logits = [177, 355, 0, 0];
        for (t, want) in [(1.0, [2.0, 4.0, 1.0, 1.0]), (0.5, [4.0, 16.0, 1.0, 1.0])] {
            let sum: f64 = want.iter().sum();
            for (got, want) in shares(&sampler(t, 0, 1.0, 3), &logits).iter().zip(want) {
                assert!((got - want / sum).abs() < 0.015, "{got} {want}");
            }
        }
    }

    #[test]
    fn top_k_and_top_p_leave_the_most_likely() {
        let logits = [177, 355, 0, 177];
        let ids =
            |s: Sampler| s.candidates(&s.scores(&logits, &[])).into_iter().map(|c| c.0).collect::<Vec<_>>();
        assert_eq!(ids(sampler(1.0, 0, 1.0, 0)), [1, 0, 3, 2]);
        assert_eq!(ids(sampler(1.0, 2, 1.0, 0)), [1, 0]);
        // 4, 2, 2 and 1 of 9: the first has 0.44, two have 0.67.
        assert_eq!(ids(sampler(1.0, 0, 0.4, 0)), [1]);
        assert_eq!(ids(sampler(1.0, 0, 0.5, 0)), [1, 0]);
        assert_eq!(ids(sampler(1.0, 0, 0.0, 0)), [1]);
        assert_eq!(ids(sampler(1.0, 3, 0.99, 0)), [1, 0, 3]);
        assert_eq!(ids(sampler(1e-300, 0, 0.9, 0)), [1]);
        let all = shares(&sampler(1e-300, 0, 1.0, 0), &[7, 7, 6]);
        assert!(all[2] == 0.0 && (all[0] - 0.5).abs() < 0.02, "{all:?}");
    }

    #[test]
    fn a_seed_is_a_text() {
        let logits: Vec<i32> = (0..1000).map(|i| i * 7919 % 997).collect();
        let text =
            |seed| (0..8).map(|p| sampler(1.0, 0, 1.0, seed).choose(&logits, p, &[])).collect::<Vec<_>>();
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
        // Numbers that must never change: saved sessions and published texts depend on them.
        assert_eq!(text(1), [999, 204, 420, 846, 176, 741, 529, 491]);
        assert_eq!(uniform(0, 0).to_bits(), 0x3fe4_e0db_a5e9_a32f);
    }

    #[test]
    fn extremes_stay_numbers() {
        let logits = [i32::MIN, i32::MAX, 0];
        for t in [f64::MIN_POSITIVE, 1.0, 100.0] {
            assert_eq!(sampler(t, 0, 1.0, 5).choose(&logits, 9, &[]), 1);
        }
        assert!((Sampling { temperature: 0.0, ..Sampling::default() }).sampler(8, &[], &[]).is_none());
        for bad in [f64::NAN, -1.0, f64::INFINITY, 101.0] {
            assert!((Sampling { temperature: bad, ..Sampling::default() }).check().is_err());
            assert!((Sampling { top_p: bad, ..Sampling::default() }).check().is_err());
        }
        assert!(Sampling::default().check().is_ok());
    }

    /// Bias, penalties and `min_p`, with the most likely token and with random numbers.
    #[test]
    fn fields_of_requests_change_the_choice() {
        // 2, 1.5, -1 and -1 with 8 fraction bits.
        let logits = [512, 384, -256, -256];
        let greedy = Sampling::default();
        let choose = |sampling: Sampling, text: &[u32], bias: &[(u32, f64)], written: &[u32]| {
            sampling.sampler(8, text, bias).map_or(0, |s| s.choose(&logits, 0, written))
        };
        assert_eq!(choose(greedy, &[], &[(3, 2.99)], &[]), 0);
        assert_eq!(choose(greedy, &[], &[(3, 3.01)], &[]), 3);
        assert_eq!(choose(greedy, &[], &[(0, -100.0), (9, 5.0)], &[]), 1);
        let repetition = |r| Sampling { repetition_penalty: r, ..greedy };
        // Positive logits are divided, and negative ones multiplied; a token counts once.
        assert_eq!(choose(repetition(1.3), &[0], &[], &[0, 0]), 0);
        assert_eq!(choose(repetition(1.4), &[0], &[], &[]), 1);
        assert_eq!(choose(repetition(1.4), &[], &[], &[0]), 1);
        assert_eq!(choose(repetition(0.5), &[1], &[], &[]), 1);
        let s = repetition(2.0).sampler(8, &[2, 0], &[]).unwrap();
        assert_eq!(s.scores(&logits, &[1]), [1.0, 0.75, -2.0, -1.0]);
        // The prompt does not count here.
        let s = Sampling { presence_penalty: 0.5, frequency_penalty: 0.25, ..greedy };
        let s = s.sampler(8, &[0], &[]).unwrap();
        assert_eq!(s.scores(&logits, &[1, 1, 3]), [2.0, 0.5, -1.0, -1.75]);
        // e^-0.5 is 0.607.
        let ids = |min_p| {
            let s = Sampling { temperature: 1.0, min_p, ..greedy }.sampler(8, &[], &[]).unwrap();
            s.candidates(&s.scores(&logits, &[])).len()
        };
        assert_eq!([ids(0.0), ids(0.01), ids(0.6), ids(0.61), ids(1.0)], [4, 4, 2, 1, 1]);
        for bad in [f64::NAN, -3.0, 101.0] {
            assert!(Sampling { min_p: bad, ..greedy }.check().is_err());
            assert!(repetition(bad).check().is_err());
            assert!(Sampling { presence_penalty: bad, ..greedy }.check().is_err());
            assert!(Sampling { frequency_penalty: bad, ..greedy }.check().is_err());
        }
    }
}
