//! What is measured of models and of the engine.
//!
//! - [`bench`] is cycles, bandwidth and stalls on the RTL; the integer model's speed on this computer.
//! - [`eval`] is perplexity of each step of the quantizer; [`long`] by position in a long text.
//! - [`ablate`] is the table of what each choice of the quantizer does, in a page.

pub mod ablate;
pub mod bench;
pub mod eval;
pub mod long;
pub mod timing;

pub use accllm_device::{Error, Result};
