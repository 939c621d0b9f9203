//! A memory that is late and irregular in every way the bus allows, the same way for the same seed.

use super::check::Channel;
use super::rng::Rng;
use super::slave::{Slave, Timing};
use super::store::Store;
use std::ops::RangeInclusive;

/// How irregular a [`Stalling`] memory is.
#[derive(Debug, Clone)]
pub struct StallConfig {
    /// Same seed, same stalls.
    pub seed: u64,
    /// Cycles from an address to its first beat and from the last write beat to its response.
    pub latency: RangeInclusive<u64>,
    /// Per-cycle chance in percent that a channel does not move: AR, R, AW, W, B.
    pub stall_percent: [u8; 5],
    /// Chance in percent that such a stall lasts for several cycles (up to 32).
    pub long_percent: u8,
    /// Open bursts in each direction before the address channel pushes back.
    pub outstanding: usize,
    /// Written data become visible only with the write response.
    pub late_commit: bool,
}

impl StallConfig {
    /// Everything moderately irregular.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            latency: 1..=60,
            stall_percent: [30; 5],
            long_percent: 5,
            outstanding: 4,
            late_commit: true,
        }
    }
}

/// A setting that would stop the memory for ever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StallConfigError {
    /// A probability of 100 % or more.
    #[error("a stall probability of {0} % would stop the memory for ever; give at most 99")]
    Percent(u8),
    /// No burst may be open.
    #[error("`outstanding` is 0, so no address would ever be accepted; give at least 1")]
    Outstanding,
    /// An empty latency range.
    #[error("the latency range {0:?} is empty; give min..=max with min <= max")]
    Latency(RangeInclusive<u64>),
}

/// The pace of [`Stalling`].
#[derive(Debug, Clone)]
pub struct StallTiming {
    config: StallConfig,
    rng: Rng,
    /// Cycles a long stall still lasts, per channel.
    left: [u32; 5],
}

/// A memory with random latency, gaps and back-pressure.
pub type Stalling = Slave<StallTiming>;

impl Stalling {
    /// A memory that stalls as `config` says.
    pub fn new(store: Store, config: StallConfig) -> Result<Self, StallConfigError> {
        if let Some(&bad) = config.stall_percent.iter().find(|&&p| p > 99) {
            return Err(StallConfigError::Percent(bad));
        }
        if config.outstanding == 0 {
            return Err(StallConfigError::Outstanding);
        }
        if config.latency.is_empty() {
            return Err(StallConfigError::Latency(config.latency));
        }
        let rng = Rng::new(config.seed);
        Ok(Slave::with_timing(store, StallTiming { config, rng, left: [0; 5] }))
    }
}

impl StallTiming {
    fn latency(&mut self) -> u64 {
        self.rng.range(*self.config.latency.start(), *self.config.latency.end())
    }
}

impl Timing for StallTiming {
    fn max_reads(&self) -> usize {
        self.config.outstanding
    }

    fn max_writes(&self) -> usize {
        self.config.outstanding
    }

    fn read_latency(&mut self) -> u64 {
        self.latency()
    }

    fn write_latency(&mut self) -> u64 {
        self.latency()
    }

    #[inline]
    fn go(&mut self, channel: Channel) -> bool {
        let i = channel as usize;
        if self.left[i] > 0 {
            self.left[i] -= 1;
            return false;
        }
        if !self.rng.percent(self.config.stall_percent[i]) {
            return true;
        }
        if self.rng.percent(self.config.long_percent) {
            self.left[i] = self.rng.range(1, 31) as u32;
        }
        false
    }

    fn late_commit(&self) -> bool {
        self.config.late_commit
    }
}
