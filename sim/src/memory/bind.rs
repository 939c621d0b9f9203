//! Connects a memory model to the AXI port of a Verilated design.

use super::model::MemoryModel;
use super::signals::{BEAT_WORDS, Beat, MasterOut, ZERO_BEAT};
use crate::verilate::{Model, Port, SimError};

/// The resolved ports of one AXI4 master of a design.
#[derive(Debug, Clone, Copy)]
pub struct AxiPort {
    arvalid: Port,
    araddr: Port,
    arlen: Port,
    arready: Port,
    rvalid: Port,
    rready: Port,
    rdata: Port,
    rresp: Port,
    rlast: Port,
    write: Option<WritePort>,
}

#[derive(Debug, Clone, Copy)]
struct WritePort {
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
}

impl AxiPort {
    /// Resolves `<prefix>arvalid`, `<prefix>araddr` and so on (`prefix` is for instance `m_axi_hbm_0_`). A
    /// design without `<prefix>awvalid` is a read-only master.
    pub fn resolve(model: &Model, prefix: &str) -> Result<Self, SimError> {
        let bits = (BEAT_WORDS * 32) as u32;
        let p = |name: &str, bits: u32| model.port_shaped(&format!("{prefix}{name}"), bits, 1);
        let write = if model.port(&format!("{prefix}awvalid")).is_ok() {
            Some(WritePort {
                awvalid: p("awvalid", 1)?,
                awaddr: p("awaddr", 64)?,
                awlen: p("awlen", 8)?,
                awready: p("awready", 1)?,
                wvalid: p("wvalid", 1)?,
                wdata: p("wdata", bits)?,
                wstrb: p("wstrb", 64)?,
                wlast: p("wlast", 1)?,
                wready: p("wready", 1)?,
                bvalid: p("bvalid", 1)?,
                bready: p("bready", 1)?,
                bresp: p("bresp", 2)?,
            })
        } else {
            None
        };
        Ok(Self {
            arvalid: p("arvalid", 1)?,
            araddr: p("araddr", 64)?,
            arlen: p("arlen", 8)?,
            arready: p("arready", 1)?,
            rvalid: p("rvalid", 1)?,
            rready: p("rready", 1)?,
            rdata: p("rdata", bits)?,
            rresp: p("rresp", 2)?,
            rlast: p("rlast", 1)?,
            write,
        })
    }

    /// Steps the memory with what the master drives now. Call between [`Model::fall`] and
    /// [`Model::rise`]; the new outputs must reach the design after the edge, by [`AxiPort::drive`].
    #[inline]
    pub fn sample(&self, model: &Model, memory: &mut dyn MemoryModel) {
        let bit = |p: Port| model.get_u64(p) != 0;
        let mut m = MasterOut {
            arvalid: bit(self.arvalid),
            araddr: model.get_u64(self.araddr),
            arlen: model.get_u64(self.arlen) as u8,
            rready: bit(self.rready),
            ..MasterOut::idle()
        };
        if let Some(w) = &self.write {
            m.awvalid = bit(w.awvalid);
            m.awaddr = model.get_u64(w.awaddr);
            m.awlen = model.get_u64(w.awlen) as u8;
            m.wvalid = bit(w.wvalid);
            m.wstrb = model.get_u64(w.wstrb);
            m.wlast = bit(w.wlast);
            m.bready = bit(w.bready);
            // The width was checked when the port was resolved.
            m.wdata = <&Beat>::try_from(model.words(w.wdata, 0)).unwrap_or(&ZERO_BEAT);
        }
        memory.step(&m);
    }

    /// Drives the memory's outputs into the design. Call after [`Model::rise`] (and once before the
    /// first cycle).
    #[inline]
    pub fn drive(&self, model: &mut Model, memory: &dyn MemoryModel) {
        let out = memory.outputs();
        model.set_u64(self.arready, out.arready.into());
        model.set_u64(self.rvalid, out.rvalid.into());
        if out.rvalid {
            model.words_mut(self.rdata, 0).copy_from_slice(&out.rdata);
            model.set_u64(self.rresp, out.rresp.into());
            model.set_u64(self.rlast, out.rlast.into());
        }
        if let Some(w) = &self.write {
            model.set_u64(w.awready, out.awready.into());
            model.set_u64(w.wready, out.wready.into());
            model.set_u64(w.bvalid, out.bvalid.into());
            model.set_u64(w.bresp, out.bresp.into());
        }
    }
}
