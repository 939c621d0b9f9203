//! Lockstep: compares what the hardware writes with what the golden executor wrote, element by element.
//!
//! [`Lockstep`] takes the executor's records and the hardware's write events in any order and keeps the first
//! difference in program order. Inside an instruction the order of writes is free; at its end every expected element
//! must have been written exactly once with the expected value, and nothing else. [`Locate`] turns a difference into
//! names of the model: layer, tensor, token, row. [`compare_beats`] compares memories behind ports.

mod compare;
mod difference;
mod memory;
#[cfg(test)]
mod tests;

pub use compare::{Event, Lockstep, Report};
pub use difference::{Difference, Instruction, Kind, Locate, Nowhere, Place};
pub use memory::{MemoryDifference, compare_beats, compare_store};
