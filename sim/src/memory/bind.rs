//! Connects memory models to the AXI ports of a Verilated design.

use super::model::MemoryModel;
use super::signals::{BEAT_WORDS, Beat, MasterOut, ZERO_BEAT};
use crate::verilate::{Model, Port, SimError};

const BEAT_BITS: u32 = (BEAT_WORDS * 32) as u32;

/// The resolved ports of a design's AXI4 masters: those of one bit are vectors with a bit a master, the others arrays
/// with an element a master.
#[derive(Debug, Clone, Copy)]
pub struct AxiPorts {
    arvalid: Port,
    araddr: Port,
    arlen: Port,
    arready: Port,
    pub(crate) rvalid: Port,
    pub(crate) rready: Port,
    rdata: Port,
    rresp: Port,
    rlast: Port,
    pub(crate) write: Option<WritePorts>,
}

/// What a master that only reads does not have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WritePorts {
    pub awvalid: Port,
    pub awaddr: Port,
    pub awlen: Port,
    pub awready: Port,
    pub wvalid: Port,
    pub wdata: Port,
    pub wstrb: Port,
    wlast: Port,
    pub wready: Port,
    bvalid: Port,
    bready: Port,
    bresp: Port,
}

impl WritePorts {
    pub fn resolve(model: &Model, prefix: &str, masters: usize) -> Result<Self, SimError> {
        let n = masters as u32;
        let bit = |name: &str| model.port_shaped(&format!("{prefix}{name}"), n, 1);
        let array = |name: &str, bits: u32| model.port_shaped(&format!("{prefix}{name}"), bits, n);
        Ok(Self {
            awvalid: bit("awvalid")?,
            awaddr: array("awaddr", 64)?,
            awlen: array("awlen", 8)?,
            awready: bit("awready")?,
            wvalid: bit("wvalid")?,
            wdata: array("wdata", BEAT_BITS)?,
            wstrb: array("wstrb", 64)?,
            wlast: bit("wlast")?,
            wready: bit("wready")?,
            bvalid: bit("bvalid")?,
            bready: bit("bready")?,
            bresp: array("bresp", 2)?,
        })
    }

    fn step<'m>(&self, m: &'m Model, i: usize, out: &mut MasterOut<'m>) {
        let on = |port: Port| m.get_u64(port) >> i & 1 != 0;
        out.bready = on(self.bready);
        if on(self.awvalid) {
            out.awvalid = true;
            out.awaddr = m.get_u64_at(self.awaddr, i);
            out.awlen = m.get_u64_at(self.awlen, i) as u8;
        }
        if on(self.wvalid) {
            out.wvalid = true;
            out.wstrb = m.get_u64_at(self.wstrb, i);
            out.wlast = on(self.wlast);
            // The width was checked when the port was resolved.
            out.wdata = <&Beat>::try_from(m.words(self.wdata, i)).unwrap_or(&ZERO_BEAT);
        }
    }
}

impl AxiPorts {
    /// Resolves `<prefix>arvalid`, `<prefix>araddr` and so on (`prefix` is for instance `m_axi_`) of `masters` masters.
    /// Those of a design without `<prefix>awvalid` only read.
    ///
    /// # Errors
    /// The design has no such port, or one of another shape.
    pub fn resolve(model: &Model, prefix: &str, masters: usize) -> Result<Self, SimError> {
        let n = masters as u32;
        let bit = |name: &str| model.port_shaped(&format!("{prefix}{name}"), n, 1);
        let array = |name: &str, bits: u32| model.port_shaped(&format!("{prefix}{name}"), bits, n);
        let writes = model.port(&format!("{prefix}awvalid")).is_ok();
        Ok(Self {
            arvalid: bit("arvalid")?,
            araddr: array("araddr", 64)?,
            arlen: array("arlen", 8)?,
            arready: bit("arready")?,
            rvalid: bit("rvalid")?,
            rready: bit("rready")?,
            rdata: array("rdata", BEAT_BITS)?,
            rresp: array("rresp", 2)?,
            rlast: bit("rlast")?,
            write: writes.then(|| WritePorts::resolve(model, prefix, masters)).transpose()?,
        })
    }

    /// Steps each master's memory with what the master drives now. Call between [`Model::fall`] and [`Model::rise`]; the
    /// new outputs must reach the design after the edge, by [`AxiPorts::drive`].
    #[inline]
    pub fn sample(&self, m: &Model, memories: &mut [Box<dyn MemoryModel>]) {
        let (ar, r) = (m.get_u64(self.arvalid), m.get_u64(self.rready));
        for (i, memory) in memories.iter_mut().enumerate() {
            let mut out = MasterOut { rready: r >> i & 1 != 0, ..MasterOut::idle() };
            if ar >> i & 1 != 0 {
                out.arvalid = true;
                out.araddr = m.get_u64_at(self.araddr, i);
                out.arlen = m.get_u64_at(self.arlen, i) as u8;
            }
            if let Some(write) = &self.write {
                write.step(m, i, &mut out);
            }
            memory.step(&out);
        }
    }

    /// Drives what the memories answer. Call after [`Model::rise`] (and once before the first cycle).
    #[inline]
    pub fn drive(&self, m: &mut Model, memories: &[Box<dyn MemoryModel>]) {
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
            if let (true, Some(write)) = (out.bvalid, &self.write) {
                bv |= 1 << i;
                m.set_u64_at(write.bresp, i, out.bresp.into());
            }
        }
        m.set_u64(self.arready, ar);
        m.set_u64(self.rvalid, rv);
        m.set_u64(self.rlast, rl);
        if let Some(write) = &self.write {
            m.set_u64(write.awready, aw);
            m.set_u64(write.wready, w);
            m.set_u64(write.bvalid, bv);
        }
    }
}
