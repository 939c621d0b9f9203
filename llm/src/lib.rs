//! Language models: checkpoints, float reference, quantized model and its integer reference.
//!
//! 1. [`import`] opens a Hugging Face folder (`config.json` plus safetensors) or a GGUF file, and checks every tensor;
//!    [`tokenizer`] reads their vocabularies.
//! 2. [`float`] holds the weights in f32 and runs them; its taps serve calibration and simulation.
//! 3. [`model`] is a quantized model, its checks and its folder, [`export`] makes float weights of it, and [`int`] runs it
//!    in the integers of `docs/numerics.md`.
//! 4. [`perplexity`] scores any model that implements [`perplexity::Scorer`] by a stated protocol.
//!
//! What turns a float model into a quantized one is the crate `accllm-quant`.
//! Nothing here panics on bad input: every problem is an [`Error`] that names what was wrong, where,
//! and what to do.

// Nothing panics on input: what fails is an error value.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo, clippy::unimplemented)
)]

pub mod config;
pub mod error;
pub mod export;
pub mod float;
pub mod import;
pub mod int;
mod mapped;
pub mod model;
pub mod perplexity;
pub mod simd;
pub mod tokenizer;

pub use error::{Error, Result};
