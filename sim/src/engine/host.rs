//! Register access through `s_axi_control`.

use crate::verilate::{Model, Port, SimError};

/// The AXI4-Lite ports.
pub(super) struct Host {
    pub(super) awaddr: Port,
    pub(super) awvalid: Port,
    pub(super) awready: Port,
    pub(super) wdata: Port,
    pub(super) wstrb: Port,
    pub(super) wvalid: Port,
    pub(super) wready: Port,
    pub(super) bvalid: Port,
    pub(super) bready: Port,
    pub(super) araddr: Port,
    pub(super) arvalid: Port,
    pub(super) arready: Port,
    pub(super) rdata: Port,
    pub(super) rvalid: Port,
    pub(super) rready: Port,
}

impl Host {
    pub(super) fn resolve(m: &Model) -> Result<Self, SimError> {
        let p = |name: &str, bits: u32| m.port_shaped(&format!("s_axi_control_{name}"), bits, 1);
        Ok(Self {
            awaddr: p("awaddr", 12)?,
            awvalid: p("awvalid", 1)?,
            awready: p("awready", 1)?,
            wdata: p("wdata", 32)?,
            wstrb: p("wstrb", 4)?,
            wvalid: p("wvalid", 1)?,
            wready: p("wready", 1)?,
            bvalid: p("bvalid", 1)?,
            bready: p("bready", 1)?,
            araddr: p("araddr", 12)?,
            arvalid: p("arvalid", 1)?,
            arready: p("arready", 1)?,
            rdata: p("rdata", 32)?,
            rvalid: p("rvalid", 1)?,
            rready: p("rready", 1)?,
        })
    }
}
