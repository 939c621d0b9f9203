//! What every memory model offers.

use super::check::{Channel, Violations};
use super::dram::DramCounters;
use super::signals::{MasterOut, SlaveOut};
use super::store::Store;
use std::ops::Range;

/// A fault to inject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Every access to these byte addresses answers SLVERR.
    SlaveError(Range<u64>),
    /// From this cycle on the slave does not move the channel any more.
    Hang {
        /// The channel.
        channel: Channel,
        /// First cycle.
        from_cycle: u64,
    },
}

/// What a port has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Clock cycles.
    pub cycles: u64,
    /// Read bursts accepted.
    pub read_bursts: u64,
    /// Read beats delivered.
    pub read_beats: u64,
    /// Write bursts accepted.
    pub write_bursts: u64,
    /// Write beats accepted.
    pub write_beats: u64,
    /// Cycles in which a read or a write beat moved.
    pub busy_cycles: u64,
    /// Cycles in which the slave had work and no beat moved.
    pub stalled_cycles: u64,
    /// Cycles in which read data waited for the master.
    pub master_stalls: u64,
    /// Beats answered with an error response.
    pub error_beats: u64,
}

/// A slave behind one AXI4 port.
///
/// Once per clock: sample the master's outputs after they have settled on the slave's current
/// outputs and before the rising edge, call [`MemoryModel::step`], make the edge, then drive the
/// returned outputs into the master. The outputs are registered: they depend on earlier cycles only.
pub trait MemoryModel: Send {
    /// Advances by one clock.
    fn step(&mut self, master: &MasterOut<'_>) -> &SlaveOut;
    /// What the slave drives now.
    fn outputs(&self) -> &SlaveOut;
    /// The contents.
    fn store(&self) -> &Store;
    /// The contents, for loading.
    fn store_mut(&mut self) -> &mut Store;
    /// What the port has done.
    fn counters(&self) -> &Counters;
    /// What the DRAM behind the port has done, if one is modelled.
    fn dram(&self) -> Option<&DramCounters> {
        None
    }
    /// The rules the master has broken; a correct master leaves this empty.
    fn violations(&self) -> &Violations;
    /// Adds a fault.
    fn inject(&mut self, fault: Fault);
    /// Whether no burst is open and nothing is being offered.
    fn idle(&self) -> bool;
    /// Drops all open bursts, as a reset of the port does; contents, counters and faults stay.
    fn reset(&mut self);
}
