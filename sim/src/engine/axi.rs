//! The AXI4 masters of the engine: per-port elements of the array ports of `accllm_core`.

use super::event::Observer;
use crate::golden::Space;
use crate::lockstep::Event;
use crate::memory::{BEAT_WORDS, Beat, MasterOut, MemoryModel, ZERO_BEAT};
use crate::verilate::{Model, Port, SimError};
use accllm_hw::isa::Unit;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Array ports (one element per AXI port) and vector ports (one bit per AXI port).
pub(super) struct Axi {
    arvalid: Port,
    araddr: Port,
    arlen: Port,
    arready: Port,
    rvalid: Port,
    rready: Port,
    rdata: Port,
    rresp: Port,
    rlast: Port,
    awvalid: Port,
    awaddr: Port,
    awlen: Port,
    awready: Port,
    wvalid: Port,
    wdata: Port,
    wstrb: Port,
    wlast: Port,
    wready: Port,
    bvalid: Port,
    bready: Port,
    bresp: Port,
    /// Addresses of accepted write bursts whose beats are still to come, per port.
    writes: Vec<VecDeque<u64>>,
    /// Read beats that the channels have delivered.
    delivered: u64,
}

impl Axi {
    pub(super) fn resolve(m: &Model, ports: usize) -> Result<Self, SimError> {
        let n = ports as u32;
        let bit = |name: &str| m.port_shaped(&format!("m_axi_{name}"), n, 1);
        let array = |name: &str, bits: u32| m.port_shaped(&format!("m_axi_{name}"), bits, n);
        let beat = (BEAT_WORDS * 32) as u32;
        Ok(Self {
            arvalid: bit("arvalid")?,
            araddr: array("araddr", 64)?,
            arlen: array("arlen", 8)?,
            arready: bit("arready")?,
            rvalid: bit("rvalid")?,
            rready: bit("rready")?,
            rdata: array("rdata", beat)?,
            rresp: array("rresp", 2)?,
            rlast: bit("rlast")?,
            awvalid: bit("awvalid")?,
            awaddr: array("awaddr", 64)?,
            awlen: array("awlen", 8)?,
            awready: bit("awready")?,
            wvalid: bit("wvalid")?,
            wdata: array("wdata", beat)?,
            wstrb: array("wstrb", 64)?,
            wlast: bit("wlast")?,
            wready: bit("wready")?,
            bvalid: bit("bvalid")?,
            bready: bit("bready")?,
            bresp: array("bresp", 2)?,
            writes: vec![VecDeque::new(); ports],
            delivered: 0,
        })
    }

    /// Forgets open bursts.
    pub(super) fn reset(&mut self) {
        self.writes.iter_mut().for_each(VecDeque::clear);
    }

    /// Ports at which a read, a written beat moves in this cycle.
    #[inline]
    pub(super) fn moved(&self, m: &Model) -> (u64, u64) {
        let read = m.get_u64(self.rvalid) & m.get_u64(self.rready);
        (read, m.get_u64(self.wvalid) & m.get_u64(self.wready))
    }

    /// Read beats that the channels have delivered.
    #[inline]
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Steps every memory with what the masters drive now; to be called between `fall` and `rise`.
    #[inline]
    pub(super) fn sample(&mut self, m: &Model, memories: &mut [Box<dyn MemoryModel>]) {
        let (ar, aw, w) = (m.get_u64(self.arvalid), m.get_u64(self.awvalid), m.get_u64(self.wvalid));
        let (r, b, last) = (m.get_u64(self.rready), m.get_u64(self.bready), m.get_u64(self.wlast));
        let channels = (1 << (memories.len() - 1)) - 1;
        self.delivered += u64::from((r & m.get_u64(self.rvalid) & channels).count_ones());
        for (i, memory) in memories.iter_mut().enumerate() {
            let on = |bits: u64| bits >> i & 1 != 0;
            let mut out = MasterOut { rready: on(r), bready: on(b), ..MasterOut::idle() };
            if on(ar) {
                out.arvalid = true;
                out.araddr = m.get_u64_at(self.araddr, i);
                out.arlen = m.get_u64_at(self.arlen, i) as u8;
            }
            if on(aw) {
                out.awvalid = true;
                out.awaddr = m.get_u64_at(self.awaddr, i);
                out.awlen = m.get_u64_at(self.awlen, i) as u8;
            }
            if on(w) {
                out.wvalid = true;
                out.wstrb = m.get_u64_at(self.wstrb, i);
                out.wlast = on(last);
                // The width was checked when the port was resolved.
                out.wdata = <&Beat>::try_from(m.words(self.wdata, i)).unwrap_or(&ZERO_BEAT);
            }
            memory.step(&out);
        }
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
        let aw = m.get_u64(self.awvalid) & m.get_u64(self.awready);
        let w = m.get_u64(self.wvalid) & m.get_u64(self.wready);
        if aw | w == 0 {
            return ControlFlow::Continue(());
        }
        let channels = self.writes.len() - 1;
        for (i, open) in self.writes.iter_mut().enumerate() {
            if aw >> i & 1 != 0 {
                let beats = m.get_u64_at(self.awlen, i) + 1;
                let address = m.get_u64_at(self.awaddr, i).wrapping_sub(bases[i]);
                open.extend((0..beats).map(|b| address.wrapping_add(64 * b)));
            }
            if w >> i & 1 != 0
                && let Some(address) = open.pop_front()
            {
                let mut data = [0; BEAT_WORDS * 4];
                for (word, bytes) in m.words(self.wdata, i).iter().zip(data.as_chunks_mut::<4>().0) {
                    *bytes = word.to_le_bytes().map(i32::from);
                }
                let space = if i < channels { Space::Channel(i as u8) } else { Space::Aux };
                let mask = m.get_u64_at(self.wstrb, i).into();
                let unit = Unit::Vector;
                observer.event(cycle, &Event { unit, unit_seq, space, address, mask, data: &data })?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Drives what the memories answer; to be called after `rise`.
    #[inline]
    pub(super) fn drive(&self, m: &mut Model, memories: &[Box<dyn MemoryModel>]) {
        let (mut ar, mut rv, mut rl, mut aw, mut w, mut bv) = (0, 0, 0, 0, 0, 0);
        for (i, memory) in memories.iter().enumerate() {
            let out = memory.outputs();
            ar |= u64::from(out.arready) << i;
            aw |= u64::from(out.awready) << i;
            w |= u64::from(out.wready) << i;
            if out.rvalid {
                rv |= 1 << i;
                rl |= u64::from(out.rlast) << i;
                m.words_mut(self.rdata, i).copy_from_slice(&out.rdata);
                m.set_u64_at(self.rresp, i, out.rresp.into());
            }
            if out.bvalid {
                bv |= 1 << i;
                m.set_u64_at(self.bresp, i, out.bresp.into());
            }
        }
        m.set_u64(self.arready, ar);
        m.set_u64(self.rvalid, rv);
        m.set_u64(self.rlast, rl);
        m.set_u64(self.awready, aw);
        m.set_u64(self.wready, w);
        m.set_u64(self.bvalid, bv);
    }
}
