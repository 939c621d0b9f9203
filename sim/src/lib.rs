//! Simulation: builds the SystemVerilog with Verilator, models the memory behind it. See docs/architecture.md.

pub mod engine;
pub mod golden;
pub mod lockstep;
pub mod memory;
pub mod timeline;
pub mod timing;
pub mod verilate;
pub mod xrt;
