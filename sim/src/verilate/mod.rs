//! Builds a SystemVerilog top with Verilator at run time, loads it and drives it from Rust.
//!
//! ```no_run
//! use accllm_sim::verilate::VerilateSpec;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut model = VerilateSpec::new("counter", ["hw/rtl/counter.sv"]).param("WIDTH", 8).build()?;
//! let (enable, count) = (model.port("enable")?, model.port("count")?);
//! model.set_u64(enable, 1);
//! model.cycles(10)?;
//! println!("{}", model.get_u64(count));
//! # Ok(())
//! # }
//! ```
//!
//! Finished models are kept in `target/verilated` (or `ACCLLM_CACHE`) under a hash of the sources,
//! the options, Verilator and the compiler, so a second load takes milliseconds. The environment can
//! choose: `ACCLLM_VERILATOR_ROOT` (else `tools/vlt/verilator`, installed by `make verilator`),
//! `ACCLLM_CXX` (else clang++, clang++-NN, g++, c++), `ACCLLM_JOBS`, `ACCLLM_ROOT`.

mod build;
mod cache;
mod compile;
mod error;
mod ffi;
mod key;
mod model;
mod port;
mod ports;
mod spec;
#[cfg(test)]
pub(crate) mod tests;
mod tools;

pub use error::{SimError, VerilateError};
pub use model::{Design, Model};
pub use port::{Direction, Port, PortInfo};
pub use spec::{OptLevel, VerilateSpec};
