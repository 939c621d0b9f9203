//! The vector unit against the golden executor: every opcode, under contention and stalls, at every configuration.

mod bench;
pub mod cases;
mod faults;
mod groups;
mod rates;
mod tables;
