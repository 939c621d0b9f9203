//! Resources of a device.

use serde::{Deserialize, Serialize};
use std::ops::{Add, Mul};

/// Amounts of each resource; fits give fractions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// LUTs that are logic.
    pub lut: f64,
    /// LUTs that are memories or shift registers; on a card they count as LUTs.
    pub lutram: f64,
    /// Flip-flops.
    pub ff: f64,
    /// Carry chains of four bits. A device has one for four LUTs, so they never run out first.
    pub carry: f64,
    /// Multipliers.
    pub dsp: f64,
    /// Block RAMs of 36 Kb; one of 18 Kb is a half.
    pub bram: f64,
    /// UltraRAMs.
    pub uram: f64,
}

impl Resources {
    /// Names, in the order of [`Resources::values`].
    pub const NAMES: [&str; 7] = ["lut", "lutram", "ff", "carry", "dsp", "bram", "uram"];

    /// Values, in the order of [`Resources::NAMES`].
    pub fn values(&self) -> [f64; 7] {
        [self.lut, self.lutram, self.ff, self.carry, self.dsp, self.bram, self.uram]
    }

    /// From values in the order of [`Resources::NAMES`].
    pub fn from_values([lut, lutram, ff, carry, dsp, bram, uram]: [f64; 7]) -> Self {
        Self { lut, lutram, ff, carry, dsp, bram, uram }
    }
}

impl Add for Resources {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (a, b) = (self.values(), other.values());
        Self::from_values(std::array::from_fn(|i| a[i] + b[i]))
    }
}

impl Mul<f64> for Resources {
    type Output = Self;

    fn mul(self, times: f64) -> Self {
        Self::from_values(self.values().map(|v| v * times))
    }
}

impl std::iter::Sum for Resources {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}
