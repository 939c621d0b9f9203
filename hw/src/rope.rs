//! The frequencies of rotary position embedding.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::f64::consts::PI;

/// Base and scaling: all that the angles of a head depend on besides its width.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rope {
    /// Base.
    #[serde(rename = "rope_theta")]
    pub theta: f64,
    /// How frequencies are stretched for long texts.
    #[serde(rename = "rope_scaling", default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
}

/// A stretching of frequencies, by its Hugging Face name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a model has one, and it is copied with its sizes")]
#[serde(tag = "rope_type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Scaling {
    /// All of them by one factor.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Llama 3's: the slow ones by a factor, the fast ones not, those between in part.
    Llama3 {
        /// Divisor of the slow ones.
        factor: f64,
        /// Turns within the original context below which a frequency is slow.
        low_freq_factor: f64,
        /// Turns from which it is fast; above the other.
        high_freq_factor: f64,
        /// The original context, tokens.
        original_max_position_embeddings: f64,
    },
    /// YaRN's (arXiv 2309.00071): the slow ones by a factor, the fast ones not, and between them a ramp over the pairs.
    /// Its factor of the scores is not part of the angles.
    Yarn {
        /// Divisor of the slow ones.
        factor: f64,
        /// Turns within the original context from which a frequency is fast.
        beta_fast: f64,
        /// Turns below which it is slow; below the other.
        beta_slow: f64,
        /// The original context, tokens.
        original_max_position_embeddings: f64,
        /// Whether the ramp begins and ends at whole pairs.
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        truncate: bool,
    },
    /// LongRoPE's (arXiv 2402.13753): each by a divisor of its own, those for texts within the original context.
    Longrope {
        /// The divisors.
        short_factor: Divisors,
    },
}

/// Most pairs of a head that divisors are kept for.
pub const MAX_PAIRS: usize = 128;

/// A divisor for each pair of a head.
#[derive(Clone, Copy, PartialEq)]
pub struct Divisors {
    count: usize,
    values: [f32; MAX_PAIRS],
}

impl Divisors {
    /// These, at most one for each pair of the widest head; `None` for more.
    pub fn new(divisors: &[f32]) -> Option<Self> {
        let mut values = [1.0; MAX_PAIRS];
        values.get_mut(..divisors.len())?.copy_from_slice(divisors);
        Some(Self { count: divisors.len(), values })
    }

    /// All of them.
    pub fn as_slice(&self) -> &[f32] {
        &self.values[..self.count]
    }
}

impl std::fmt::Debug for Divisors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl Serialize for Divisors {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(s)
    }
}

impl<'de> Deserialize<'de> for Divisors {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let all = Vec::<f32>::deserialize(d)?;
        Self::new(&all)
            .ok_or_else(|| D::Error::custom(format!("{} divisors; at most {}", all.len(), MAX_PAIRS)))
    }
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_yes(value: &bool) -> bool {
    *value
}

impl Rope {
    /// Without scaling.
    pub const fn plain(theta: f64) -> Self {
        Self { theta, scaling: None }
    }

    /// Radians per position of pair `pair` of a head of width `head_dim`.
    pub fn frequency(&self, pair: usize, head_dim: usize) -> f64 {
        let plain = self.theta.powf(-2.0 * pair as f64 / head_dim as f64);
        match self.scaling {
            None => plain,
            Some(Scaling::Linear { factor }) => plain / factor,
            Some(Scaling::Longrope { short_factor }) => {
                plain / f64::from(short_factor.as_slice().get(pair).copied().unwrap_or(1.0))
            }
            Some(Scaling::Llama3 {
                factor,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_position_embeddings: context,
            }) => {
                let turns = context * plain / (2.0 * PI);
                if turns > high {
                    plain
                } else if turns < low {
                    plain / factor
                } else {
                    let fast = (turns - low) / (high - low);
                    (1.0 - fast) * plain / factor + fast * plain
                }
            }
            Some(Scaling::Yarn {
                factor,
                beta_fast,
                beta_slow,
                original_max_position_embeddings: context,
                truncate,
            }) => {
                // The pair, as a real number, that turns so often within the original context.
                let of = |turns: f64| {
                    head_dim as f64 * (context / (turns * 2.0 * PI)).ln() / (2.0 * self.theta.ln())
                };
                let (low, high) = (of(beta_fast), of(beta_slow));
                let (low, high) = if truncate { (low.floor(), high.ceil()) } else { (low, high) };
                let (low, high) = (low.max(0.0), high.min(head_dim as f64 - 1.0));
                let width = if low == high { 0.001 } else { high - low };
                let slow = ((pair as f64 - low) / width).clamp(0.0, 1.0);
                slow * plain / factor + (1.0 - slow) * plain
            }
        }
    }

    /// Refuses numbers that give no frequencies: the field, and what is wrong with it.
    ///
    /// # Errors
    /// The first such number.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let positive = |name, v: f64| match v.is_finite() && v > 0.0 {
            true => Ok(()),
            false => Err((name, format!("is {v}; expected above 0"))),
        };
        positive("rope_theta", self.theta)?;
        match self.scaling {
            None => Ok(()),
            Some(Scaling::Linear { factor }) => positive("factor", factor),
            Some(Scaling::Longrope { short_factor }) => {
                short_factor.as_slice().iter().try_for_each(|f| positive("short_factor", f64::from(*f)))
            }
            Some(Scaling::Yarn {
                factor, beta_fast, beta_slow, original_max_position_embeddings, ..
            }) => {
                positive("factor", factor)?;
                positive("beta_fast", beta_fast)?;
                positive("beta_slow", beta_slow)?;
                positive("original_max_position_embeddings", original_max_position_embeddings)?;
                if self.theta <= 1.0 {
                    return Err(("rope_theta", format!("is {}; yarn needs more than 1", self.theta)));
                }
                match beta_fast > beta_slow {
                    true => Ok(()),
                    false => {
                        Err(("beta_fast", format!("is {beta_fast}; expected above beta_slow ({beta_slow})")))
                    }
                }
            }
            Some(Scaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            }) => {
                positive("factor", factor)?;
                positive("low_freq_factor", low_freq_factor)?;
                positive("high_freq_factor", high_freq_factor)?;
                positive("original_max_position_embeddings", original_max_position_embeddings)?;
                match high_freq_factor > low_freq_factor {
                    true => Ok(()),
                    false => Err((
                        "high_freq_factor",
                        format!("is {high_freq_factor}; expected above low_freq_factor ({low_freq_factor})"),
                    )),
                }
            }
        }
    }
}
