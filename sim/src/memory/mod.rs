//! Memory behind the AXI4 ports of the engine, modelled in Rust.
//!
//! One [`MemoryModel`] sits behind one port. Per clock, with a Verilated design:
//!
//! ```no_run
//! # use accllm_sim::{memory::*, verilate::*};
//! # fn run(mut model: Model) -> Result<(), Box<dyn std::error::Error>> {
//! let port = AxiPorts::resolve(&model, "m_axi_hbm_0_", 1)?;
//! let mut memory: [Box<dyn MemoryModel>; 1] = [Box::new(Ideal::new(Store::new(256 << 20)?, 30))];
//! memory[0].store_mut().write(0, b"weights")?;
//! port.drive(&mut model, &memory);
//! for _ in 0..1000 {
//!     model.fall()?;                     // the master settles on the slave's outputs
//!     port.sample(&model, &mut memory);  // one clock of the memory
//!     model.rise()?;                     // the edge
//!     port.drive(&mut model, &memory);
//! }
//! assert!(memory[0].violations().is_empty());
//! # Ok(())
//! # }
//! ```

mod bind;
#[cfg(test)]
mod bind_tests;
mod check;
mod dram;
mod faults;
pub mod hbm2;
mod ideal;
mod kind;
mod model;
mod rate;
mod rng;
mod signals;
mod slave;
mod stalling;
mod store;
#[cfg(test)]
mod tests;

pub use bind::AxiPorts;
pub(crate) use bind::WritePorts;
pub use check::{Channel, Checker, Rule, Violation, Violations};
pub use dram::DramCounters;
pub use faults::Faults;
pub use hbm2::Hbm2;
pub use ideal::{Ideal, IdealTiming};
pub use kind::{IDEAL_LATENCY, KindError, MemoryKind, PortDram};
pub use model::{Counters, Fault, MemoryModel};
pub use rate::sequential;
pub use rng::Rng;
pub use signals::{BEAT_BYTES, BEAT_WORDS, Beat, MasterOut, SlaveOut, ZERO_BEAT, resp};
pub use slave::{Slave, Timing};
pub use stalling::{StallConfig, StallConfigError, StallTiming, Stalling};
pub use store::{POISON, Store, StoreError};
