//! Checkpoint import, float reference, quantizer and integer reference model.
//!
//! The path of a model through this crate:
//!
//! 1. [`import`] opens a Hugging Face folder (`config.json` plus safetensors) or a GGUF file, and checks every tensor.
//! 2. [`float`] holds the weights in f32 and runs them; its taps serve calibration and simulation.
//! 3. [`calibrate`] measures activations, [`transform`] changes weights in ways that leave the outputs the same and help
//!    quantization, [`grid`] is what weights are rounded to, and [`quantize`](mod@quantize) does all of it.
//! 4. [`perplexity`] scores any model that implements [`perplexity::Scorer`] by a stated protocol.
//!
//! Nothing here panics on bad input: every problem is an [`Error`] that names what was wrong, where,
//! and what to do.

// Nothing panics on input: what fails is an error value.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo, clippy::unimplemented)
)]

pub mod ablate;
pub mod calibrate;
pub mod config;
pub mod error;
pub mod export;
mod file;
pub mod float;
pub mod gpu;
pub mod grid;
mod head;
pub mod import;
pub mod int;
mod mapped;
pub mod model;
pub mod perplexity;
pub mod quantize;
mod simd;
pub mod tokenizer;
pub mod train;
pub mod transform;

pub use error::{Error, Result};
