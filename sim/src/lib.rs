//! See docs/architecture.md.

pub mod verilate;
