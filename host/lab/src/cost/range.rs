//! A figure that is known to lie between two others.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Mul};

/// A figure with its bounds: `low <= value <= high`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// At least.
    pub low: f64,
    /// What is most plausible.
    pub value: f64,
    /// At most.
    pub high: f64,
}

impl Range {
    /// A figure that is known.
    pub fn exact(value: f64) -> Self {
        Self { low: value, value, high: value }
    }

    /// Whether the bounds are in order, and none below 0.
    pub fn sound(&self) -> bool {
        0.0 <= self.low && self.low <= self.value && self.value <= self.high && self.high.is_finite()
    }

    /// Whether a figure is within the bounds.
    pub fn holds(&self, figure: f64) -> bool {
        (self.low..=self.high).contains(&figure)
    }

    /// One over it: events a joule from joules an event.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self { low: 1.0 / self.high, value: 1.0 / self.value, high: 1.0 / self.low }
    }
}

impl Add for Range {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { low: self.low + other.low, value: self.value + other.value, high: self.high + other.high }
    }
}

impl Mul<f64> for Range {
    type Output = Self;

    fn mul(self, times: f64) -> Self {
        Self { low: self.low * times, value: self.value * times, high: self.high * times }
    }
}

impl Mul for Range {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self { low: self.low * other.low, value: self.value * other.value, high: self.high * other.high }
    }
}

impl std::iter::Sum for Range {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(1);
        write!(f, "{:.digits$} ({:.digits$} to {:.digits$})", self.value, self.low, self.high)
    }
}
