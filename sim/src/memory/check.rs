//! The rules of the bus that a master can break.

use super::signals::{BEAT_BYTES, MasterOut, SlaveOut};
use std::fmt;

/// How many violations are kept in full.
const KEPT: usize = 64;

/// One of the five channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Read address.
    Ar,
    /// Read data.
    R,
    /// Write address.
    Aw,
    /// Write data.
    W,
    /// Write response.
    B,
}

/// What the master did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The burst leaves the 4 KiB block it starts in.
    Crosses4K {
        /// First byte.
        addr: u64,
        /// Number of beats.
        beats: u32,
    },
    /// The address is not a multiple of the beat.
    Unaligned {
        /// The address.
        addr: u64,
    },
    /// `wlast` missing on the last beat or set on an earlier one.
    WlastMismatch {
        /// Beats that were still to come, this one included.
        remaining: u32,
    },
    /// Valid went away before ready.
    ValidDropped,
    /// Address or data changed while valid waited for ready.
    PayloadChanged,
}

/// A broken rule, where and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// Cycle of the memory model.
    pub cycle: u64,
    /// Channel.
    pub channel: Channel,
    /// The rule.
    pub rule: Rule,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cycle {}, channel {:?}: {:?}", self.cycle, self.channel, self.rule)
    }
}

/// The violations of one port; the first 64 are kept, all are counted.
#[derive(Debug, Clone, Default)]
pub struct Violations {
    kept: Vec<Violation>,
    total: u64,
}

impl Violations {
    /// Whether the master kept every rule.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// How many rules were broken.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The first violations.
    pub fn first(&self) -> &[Violation] {
        &self.kept
    }

    /// Adds one.
    pub fn record(&mut self, cycle: u64, channel: Channel, rule: Rule) {
        self.total += 1;
        if self.kept.len() < KEPT {
            self.kept.push(Violation { cycle, channel, rule });
        }
    }
}

/// A master signal group that is waiting for ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Waiting {
    on: bool,
    /// Address and length, or a summary of the write beat.
    payload: (u64, u64),
}

/// Watches the master's side of the handshakes.
#[derive(Debug, Clone, Default)]
pub struct Checker {
    ar: Waiting,
    aw: Waiting,
    w: Waiting,
    /// What was found.
    pub violations: Violations,
}

impl Checker {
    /// Looks at one cycle: `out` is what the slave drove while the master drove `m`.
    #[inline]
    pub fn observe(&mut self, cycle: u64, m: &MasterOut<'_>, out: &SlaveOut) {
        let waiting = self.ar.on || self.aw.on || self.w.on;
        if !waiting && !m.arvalid && !m.awvalid && !m.wvalid {
            return;
        }
        let ar = (m.araddr, u64::from(m.arlen));
        let aw = (m.awaddr, u64::from(m.awlen));
        Self::channel(&mut self.violations, cycle, Channel::Ar, &mut self.ar, m.arvalid, out.arready, || ar);
        Self::channel(&mut self.violations, cycle, Channel::Aw, &mut self.aw, m.awvalid, out.awready, || aw);
        Self::channel(&mut self.violations, cycle, Channel::W, &mut self.w, m.wvalid, out.wready, || {
            summary(m)
        });
    }

    /// Checks the address of a burst that has just been accepted.
    pub fn burst(&mut self, cycle: u64, channel: Channel, addr: u64, beats: u32) {
        if !addr.is_multiple_of(BEAT_BYTES as u64) {
            self.violations.record(cycle, channel, Rule::Unaligned { addr });
        }
        if addr % 4096 + u64::from(beats) * BEAT_BYTES as u64 > 4096 {
            self.violations.record(cycle, channel, Rule::Crosses4K { addr, beats });
        }
    }

    /// Forgets what was waiting, for a reset.
    pub fn reset(&mut self) {
        (self.ar, self.aw, self.w) = Default::default();
    }

    #[inline]
    fn channel(
        violations: &mut Violations,
        cycle: u64,
        channel: Channel,
        state: &mut Waiting,
        valid: bool,
        ready: bool,
        payload: impl FnOnce() -> (u64, u64),
    ) {
        if !state.on && (!valid || ready) {
            return;
        }
        let payload = if valid { payload() } else { (0, 0) };
        if state.on && !valid {
            violations.record(cycle, channel, Rule::ValidDropped);
        } else if state.on && payload != state.payload {
            violations.record(cycle, channel, Rule::PayloadChanged);
        }
        *state = Waiting { on: valid && !ready, payload };
    }
}

/// Strobe and a mix of data and last flag: equal beats give equal summaries.
fn summary(m: &MasterOut<'_>) -> (u64, u64) {
    let seed = u64::from(m.wlast);
    let mix = |sum: u64, &w: &u32| (sum ^ u64::from(w)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    (m.wstrb, m.wdata.iter().fold(seed, mix))
}
