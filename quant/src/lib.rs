//! Quantizer: from a float model to integers.
//!
//! [`calibrate`] measures activations, [`transform`] changes weights in ways that leave the outputs the same and help
//! quantization, [`grid`] is what weights are rounded to, [`train`] and [`gpu`] train weights on it, and
//! [`quantize`](mod@quantize) does all of it. Models before and after are those of the crate `accllm-llm`, errors too.
//!
//! Nothing here panics on bad input: every problem is an [`accllm_llm::Error`] that names what was wrong, where,
//! and what to do.

// Nothing panics on input: what fails is an error value.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo, clippy::unimplemented)
)]

pub mod ablate;
pub mod calibrate;
mod file;
pub mod gpu;
pub mod grid;
mod head;
pub mod quantize;
pub mod train;
pub mod transform;
