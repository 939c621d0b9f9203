//! Runtime and command line of accllm: models, devices, sessions.
//!
//! - [`model`] opens a checkpoint or a quantized model, or the bundled one.
//! - [`device`] runs compiled programs: golden executor, Verilator, both in lockstep.
//! - [`engine`] is whatever continues a text: the integer reference, a device, or two in lockstep.
//! - [`generate`](mod@generate) is the greedy decoding loop, the same for all engines.
//!
//! The binary `accllm` (`src/main.rs`, `src/cli`) only parses arguments and prints reports.

pub mod bench;
pub mod bundled;
pub mod device;
pub mod engine;
pub mod error;
pub mod eval;
pub mod generate;
pub mod model;
pub mod output;
pub mod perf;
pub mod tensors;
pub mod timeline;

pub use error::{Error, Result};
