//! DRAM behind one AXI port: a pseudo-channel of HBM2 (the U280's, calibrated) or HBM2e, or a channel of DDR4: banks, row
//! timing, refresh, the turning of the data bus, limits of the port. `docs/hbm2.md` says what is modelled, from which numbers, and what
//! comes out.
//!
//! ```
//! # use accllm_sim::memory::*;
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut port = Hbm2::hbm2(Store::new(256 << 20)?, 0)?;
//! port.step(&MasterOut { arvalid: true, arlen: 63, ..MasterOut::idle() });
//! let rows = port.dram().map(|d| d.row_hits());
//! # let _ = rows;
//! # Ok(())
//! # }
//! ```

mod banks;
mod params;
mod scheduler;
#[cfg(test)]
mod tests;
mod ticks;

pub use params::{Basis, DDR4, HBM2, HBM2E, Params, Row, Sourced, TABLE};
pub use scheduler::DramTiming;
pub(crate) use scheduler::{READ, Scheduler};
pub use ticks::ParamsError;
pub(crate) use ticks::{LONGEST, Ticks};

use super::slave::Slave;
use super::store::Store;

/// A port with DRAM behind it: a pseudo-channel of HBM2 or HBM2e, or a channel of DDR4.
pub type Hbm2 = Slave<DramTiming>;

impl Hbm2 {
    /// A port in front of `store`, with [`HBM2`], [`HBM2E`], [`DDR4`] (the same scheduler with other parameters) or parameters of your own. `phase` (0 to 1) is the part of a refresh interval
    /// that has passed at the first cycle: controllers do not refresh together.
    ///
    /// # Errors
    /// A parameter out of range.
    pub fn new(store: Store, params: &Params, phase: f64) -> Result<Self, ParamsError> {
        Ok(Slave::with_timing(store, DramTiming::new(Ticks::new(params)?, phase)))
    }

    /// HBM port `port` of the U280.
    ///
    /// # Errors
    /// None with the built-in parameters.
    pub fn hbm2(store: Store, port: u64) -> Result<Self, ParamsError> {
        Self::new(store, &HBM2, phase(port))
    }

    /// A DDR4 channel.
    ///
    /// # Errors
    /// None with the built-in parameters.
    pub fn ddr4(store: Store) -> Result<Self, ParamsError> {
        Self::new(store, &DDR4, 0.0)
    }
}

/// Part of a refresh interval that has passed at the first cycle of a port: the two pseudo-channels of a controller
/// refresh together, sixteen controllers one after the other.
pub fn phase(port: u64) -> f64 {
    (port / 2 % 16) as f64 / 16.0
}
