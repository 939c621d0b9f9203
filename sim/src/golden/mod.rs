//! The golden executor: runs a program exactly as `docs/numerics.md`, `docs/formats.md` and the instruction table
//! say, against the same memory image as the hardware. It is the reference that the RTL is compared with.
//!
//! [`Golden`] holds what the engine keeps between runs; [`Golden::run`] is one `ap_start`. Weights, K and V are
//! read from the beats themselves, never from side information, so errors of layout show as wrong numbers.

mod attention;
mod cursor;
mod elementwise;
mod exec;
mod fault;
mod kernel;
mod kv;
mod limits;
mod locate;
mod matk;
mod matv;
mod matw;
mod memory;
mod program;
mod record;
mod rotate;
mod sequencer;
mod state;
pub mod testgen;
#[cfg(test)]
mod tests;
mod transfer;

pub use fault::{Fault, FaultCode};
pub use limits::Limits;
pub use locate::{Completed, locate};
pub use memory::{Image, Memory, MemoryError, Port};
pub use program::Program;
pub use record::{Executed, Field, Observer, Silent, Space, Write};
pub use sequencer::{Golden, Summary};
pub use state::{Constant, Scalar, State};
