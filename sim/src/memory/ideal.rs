//! A memory with a fixed latency and one beat per cycle.

use super::check::Channel;
use super::slave::{Slave, Timing};
use super::store::Store;

/// The pace of [`Ideal`].
#[derive(Debug, Clone, Copy)]
pub struct IdealTiming {
    latency: u64,
}

/// A memory that is always ready and, after a fixed latency, delivers one beat per cycle.
pub type Ideal = Slave<IdealTiming>;

/// Bursts an ideal memory keeps open in each direction.
const OUTSTANDING: usize = 64;

impl Ideal {
    /// A memory that delivers the first beat `latency` cycles (at least 1) after the address.
    pub fn new(store: Store, latency: u64) -> Self {
        Slave::with_timing(store, IdealTiming { latency })
    }
}

impl Timing for IdealTiming {
    fn max_reads(&self) -> usize {
        OUTSTANDING
    }

    fn max_writes(&self) -> usize {
        OUTSTANDING
    }

    fn read_latency(&mut self) -> u64 {
        self.latency
    }

    fn write_latency(&mut self) -> u64 {
        self.latency
    }

    #[inline]
    fn go(&mut self, _channel: Channel) -> bool {
        true
    }

    fn late_commit(&self) -> bool {
        false
    }
}
