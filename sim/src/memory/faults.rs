//! Injected faults.

use super::check::Channel;
use super::model::Fault;
use super::signals::resp;
use std::ops::Range;

/// The faults of one port, in the form in which they are asked for every cycle.
#[derive(Debug, Clone)]
pub struct Faults {
    errors: Vec<Range<u64>>,
    hang: [u64; 5],
}

impl Default for Faults {
    fn default() -> Self {
        Self { errors: Vec::new(), hang: [u64::MAX; 5] }
    }
}

impl Faults {
    /// Adds a fault.
    pub fn add(&mut self, fault: Fault) {
        match fault {
            Fault::SlaveError(range) => self.errors.push(range),
            Fault::Hang { channel, from_cycle } => {
                let slot = &mut self.hang[channel as usize];
                *slot = from_cycle.min(*slot);
            }
        }
    }

    /// Whether the channel is dead in a cycle.
    #[inline]
    pub fn hangs(&self, channel: Channel, cycle: u64) -> bool {
        cycle >= self.hang[channel as usize]
    }

    /// The response for the beat at an address.
    #[inline]
    pub fn response(&self, addr: u64) -> u8 {
        let beat = addr..addr.saturating_add(64);
        if self.errors.iter().any(|r| r.start < beat.end && beat.start < r.end) {
            resp::SLVERR
        } else {
            resp::OKAY
        }
    }
}
