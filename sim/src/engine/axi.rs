//! The AXI4 masters of the engine: per-port elements of the array ports of `accllm_core`.

use super::event::Observer;
use crate::golden::Space;
use crate::lockstep::Event;
use crate::memory::{AxiPorts, BEAT_WORDS, MemoryModel, WritePorts};
use crate::verilate::{Model, SimError};
use accllm_hw::isa::Unit;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// The ports with what is open at them.
pub(super) struct Axi {
    ports: AxiPorts,
    write: WritePorts,
    /// Addresses of accepted write bursts whose beats are still to come, per port.
    writes: Vec<VecDeque<u64>>,
    /// Read beats that the channels have delivered.
    delivered: u64,
}

impl Axi {
    pub(super) fn resolve(m: &Model, masters: usize) -> Result<Self, SimError> {
        let ports = AxiPorts::resolve(m, "m_axi_", masters)?;
        let write = WritePorts::resolve(m, "m_axi_", masters)?;
        Ok(Self { ports, write, writes: vec![VecDeque::new(); masters], delivered: 0 })
    }

    /// Forgets open bursts.
    pub(super) fn reset(&mut self) {
        self.writes.iter_mut().for_each(VecDeque::clear);
    }

    /// Ports at which a read, a written beat moves in this cycle.
    #[inline]
    pub(super) fn moved(&self, m: &Model) -> (u64, u64) {
        let read = m.get_u64(self.ports.rvalid) & m.get_u64(self.ports.rready);
        (read, m.get_u64(self.write.wvalid) & m.get_u64(self.write.wready))
    }

    /// Read beats that the channels have delivered.
    #[inline]
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Steps every memory with what the masters drive now; to be called between `fall` and `rise`.
    #[inline]
    pub(super) fn sample(&mut self, m: &Model, memories: &mut [Box<dyn MemoryModel>]) {
        let channels = (1 << (memories.len() - 1)) - 1;
        let (r, valid) = (m.get_u64(self.ports.rready), m.get_u64(self.ports.rvalid));
        self.delivered += u64::from((r & valid & channels).count_ones());
        self.ports.sample(m, memories);
    }

    /// Reports the write beats that are accepted in this cycle, as bytes from the port's base, for the vector operation
    /// `unit_seq`; to be called before [`Axi::sample`].
    #[inline]
    pub(super) fn writes(
        &mut self,
        m: &Model,
        cycle: u64,
        unit_seq: u64,
        bases: &[u64],
        observer: &mut impl Observer,
    ) -> ControlFlow<()> {
        let aw = m.get_u64(self.write.awvalid) & m.get_u64(self.write.awready);
        let w = m.get_u64(self.write.wvalid) & m.get_u64(self.write.wready);
        if aw | w == 0 {
            return ControlFlow::Continue(());
        }
        let channels = self.writes.len() - 1;
        for (i, open) in self.writes.iter_mut().enumerate() {
            if aw >> i & 1 != 0 {
                let beats = m.get_u64_at(self.write.awlen, i) + 1;
                let address = m.get_u64_at(self.write.awaddr, i).wrapping_sub(bases[i]);
                open.extend((0..beats).map(|b| address.wrapping_add(64 * b)));
            }
            if w >> i & 1 != 0
                && let Some(address) = open.pop_front()
            {
                let mut data = [0; BEAT_WORDS * 4];
                for (word, bytes) in m.words(self.write.wdata, i).iter().zip(data.as_chunks_mut::<4>().0) {
                    *bytes = word.to_le_bytes().map(i32::from);
                }
                let space = if i < channels { Space::Channel(i as u8) } else { Space::Aux };
                let mask = m.get_u64_at(self.write.wstrb, i).into();
                let unit = Unit::Vector;
                observer.event(cycle, &Event { unit, unit_seq, space, address, mask, data: &data })?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Drives what the memories answer; to be called after `rise`.
    #[inline]
    pub(super) fn drive(&self, m: &mut Model, memories: &[Box<dyn MemoryModel>]) {
        self.ports.drive(m, memories);
    }
}
