//! A memory at its place in the card's address map.

use crate::memory::{Counters, DramCounters, Fault, MasterOut, MemoryModel, SlaveOut, Store, Violations};

/// Shifts the addresses of a port, so that the memory behind it begins at `base`. Addresses below it lie beyond the
/// memory's end and are answered with DECERR.
pub struct Window {
    inner: Box<dyn MemoryModel>,
    base: u64,
}

impl Window {
    /// `inner` from address `base` on.
    pub fn new(inner: Box<dyn MemoryModel>, base: u64) -> Self {
        Self { inner, base }
    }
}

impl MemoryModel for Window {
    #[inline]
    fn step(&mut self, master: &MasterOut<'_>) -> &SlaveOut {
        let araddr = master.araddr.wrapping_sub(self.base);
        let awaddr = master.awaddr.wrapping_sub(self.base);
        self.inner.step(&MasterOut { araddr, awaddr, ..*master })
    }

    fn outputs(&self) -> &SlaveOut {
        self.inner.outputs()
    }

    fn store(&self) -> &Store {
        self.inner.store()
    }

    fn store_mut(&mut self) -> &mut Store {
        self.inner.store_mut()
    }

    fn counters(&self) -> &Counters {
        self.inner.counters()
    }

    fn dram(&self) -> Option<&DramCounters> {
        self.inner.dram()
    }

    fn violations(&self) -> &Violations {
        self.inner.violations()
    }

    fn inject(&mut self, fault: Fault) {
        self.inner.inject(fault);
    }

    fn idle(&self) -> bool {
        self.inner.idle()
    }

    fn reset(&mut self) {
        self.inner.reset();
    }
}
