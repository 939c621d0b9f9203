//! Choosing the next token from integer logits, the same on every device and computer.
//!
//! Logits are equal bit for bit on all devices. What is computed from them here uses operations that IEEE 754 defines
//! exactly, and an exponential in software; and the random number of a token depends on the seed and the token's
//! position alone. So a seed gives the same text everywhere, also when the text is continued from a file.

use crate::{Error, Result};
use std::cmp::Reverse;

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Sampling {
    /// 0: always the most likely token; 1: as likely as the model says; above: flatter.
    pub temperature: f64,
    /// Only the most likely `top_k` tokens; 0: all.
    pub top_k: usize,
    /// Only the fewest most likely tokens that have this probability together; 1: all.
    pub top_p: f64,
    /// Of the random numbers.
    pub seed: u64,
}

impl Default for Sampling {
    /// Greedy.
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, seed: 0 }
    }
}

impl Sampling {
    /// Refuses numbers without meaning.
    ///
    /// # Errors
    /// Says which.
    pub fn check(&self) -> Result<()> {
        let bad =
            |name, value: f64, range| Err(Error::Argument(format!("{name} is {value}; it must be {range}")));
        if !(0.0..=100.0).contains(&self.temperature) {
            return bad("temperature", self.temperature, "from 0 (greedy) to 100");
        }
        if !(0.0..=1.0).contains(&self.top_p) {
            return bad("top_p", self.top_p, "from 0 to 1");
        }
        Ok(())
    }

    /// A sampler of logits with `logit_frac` fraction bits; `None` where the most likely token is always chosen.
    pub fn sampler(self, logit_frac: u8) -> Option<Sampler> {
        (self.temperature > 0.0).then_some(Sampler { sampling: self, logit_frac })
    }
}

/// Chooses tokens.
#[derive(Debug, Clone, Copy)]
pub struct Sampler {
    sampling: Sampling,
    logit_frac: u8,
}

impl Sampler {
    /// The token for `position`.
    pub fn choose(&self, logits: &[i32], position: u64) -> u32 {
        let candidates = self.candidates(logits);
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

    /// Tokens that may be chosen with their weights, the most likely first, the lowest id first among equals.
    fn candidates(&self, logits: &[i32]) -> Vec<(u32, f64)> {
        let s = &self.sampling;
        let mut ids: Vec<u32> = (0..).take(logits.len()).collect();
        let order = |id: &u32| (Reverse(logits[*id as usize]), *id);
        if s.top_k > 0 && s.top_k < ids.len() {
            ids.select_nth_unstable_by_key(s.top_k - 1, order);
            ids.truncate(s.top_k);
        }
        ids.sort_unstable_by_key(order);
        let largest = ids.first().map_or(0, |id| logits[*id as usize]);
        let unit = libm::ldexp(1.0, -i32::from(self.logit_frac)) / s.temperature;
        let weight = |id: u32| {
            let below = i64::from(logits[id as usize]) - i64::from(largest);
            // 0 times an infinite unit would not be a number.
            if below == 0 { 1.0 } else { libm::exp(below as f64 * unit) }
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
        all
    }
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
        Sampling { temperature, top_k, top_p, seed }.sampler(8).unwrap()
    }

    /// Shares of the tokens over many positions.
    fn shares(s: Sampler, logits: &[i32]) -> Vec<f64> {
        let mut counts = vec![0.0; logits.len()];
        (0..20_000).for_each(|p| counts[s.choose(logits, p) as usize] += 1.0 / 20_000.0);
        counts
    }

    #[test]
    fn frequencies_follow_the_logits() {
        // ln 2, ln 4, ln 1, ln 1 with 8 fraction bits.
        let logits = [177, 355, 0, 0];
        for (t, want) in [(1.0, [2.0, 4.0, 1.0, 1.0]), (0.5, [4.0, 16.0, 1.0, 1.0])] {
            let sum: f64 = want.iter().sum();
            for (got, want) in shares(sampler(t, 0, 1.0, 3), &logits).iter().zip(want) {
                assert!((got - want / sum).abs() < 0.015, "{got} {want}");
            }
        }
    }

    #[test]
    fn top_k_and_top_p_leave_the_most_likely() {
        let logits = [177, 355, 0, 177];
        let ids = |s: Sampler| s.candidates(&logits).into_iter().map(|c| c.0).collect::<Vec<_>>();
        assert_eq!(ids(sampler(1.0, 0, 1.0, 0)), [1, 0, 3, 2]);
        assert_eq!(ids(sampler(1.0, 2, 1.0, 0)), [1, 0]);
        // 4, 2, 2 and 1 of 9: the first has 0.44, two have 0.67.
        assert_eq!(ids(sampler(1.0, 0, 0.4, 0)), [1]);
        assert_eq!(ids(sampler(1.0, 0, 0.5, 0)), [1, 0]);
        assert_eq!(ids(sampler(1.0, 0, 0.0, 0)), [1]);
        assert_eq!(ids(sampler(1.0, 3, 0.99, 0)), [1, 0, 3]);
        assert_eq!(ids(sampler(1e-300, 0, 0.9, 0)), [1]);
        let all = shares(sampler(1e-300, 0, 1.0, 0), &[7, 7, 6]);
        assert!(all[2] == 0.0 && (all[0] - 0.5).abs() < 0.02, "{all:?}");
    }

    #[test]
    fn a_seed_is_a_text() {
        let logits: Vec<i32> = (0..1000).map(|i| i * 7919 % 997).collect();
        let text = |seed| (0..8).map(|p| sampler(1.0, 0, 1.0, seed).choose(&logits, p)).collect::<Vec<_>>();
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
            assert_eq!(sampler(t, 0, 1.0, 5).choose(&logits, 9), 1);
        }
        assert!((Sampling { temperature: 0.0, ..Sampling::default() }).sampler(8).is_none());
        for bad in [f64::NAN, -1.0, f64::INFINITY, 101.0] {
            assert!((Sampling { temperature: bad, ..Sampling::default() }).check().is_err());
            assert!((Sampling { top_p: bad, ..Sampling::default() }).check().is_err());
        }
        assert!(Sampling::default().check().is_ok());
    }
}
