//! Simulation: builds the SystemVerilog with Verilator, models the memory behind it. See docs/architecture.md.

// Nothing panics on input: what fails is an error value.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo, clippy::unimplemented)
)]

pub mod engine;
pub mod golden;
pub mod lockstep;
pub mod memory;
pub mod timeline;
pub mod timing;
pub mod verilate;
pub mod xrt;
