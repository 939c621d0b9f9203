//! See docs/architecture.md.

pub mod memory;
pub mod verilate;
