//! Reads [`Activity`] from the ports of the model.

use super::activity::Activity;
use super::axi::Axi;
use crate::verilate::{Model, Port, SimError};

/// The ports.
pub(super) struct Units {
    units: Port,
    pc: Port,
}

impl Units {
    pub(super) fn resolve(m: &Model) -> Result<Self, SimError> {
        Ok(Self { units: m.port_shaped("trace_units", 24, 1)?, pc: m.port_shaped("trace_pc", 16, 1)? })
    }

    #[inline]
    pub(super) fn sample(&self, m: &Model, axi: &Axi) -> Activity {
        let (read, written) = axi.moved(m);
        Activity { units: m.get_u64(self.units) as u32, pc: m.get_u64(self.pc) as u16, read, written }
    }
}
