//! What is measured and estimated of models and of the engine.
//!
//! - [`bench`] is cycles, bandwidth and stalls on the RTL; the integer model's speed on this computer.
//! - [`shapes`] are sizes of models by name, and from a `config.json`.
//! - [`eval`] is perplexity of each step of the quantizer; [`long`] by position in a long text.
//! - [`explore`] is sweeps over designs: fronts of what the engine could be.
//! - [`cost`] is what an engine costs: area, power, energy; *estimated*, where the rest is measured or simulated.
//! - [`ablate`] is the table of what each choice of the quantizer does, in a page.

// Nothing panics on input: what fails is an error value.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo, clippy::unimplemented)
)]

pub mod ablate;
pub mod bench;
pub mod cost;
pub mod eval;
pub mod explore;
pub mod long;
pub mod shapes;
pub mod timing;

pub use accllm_device::{Error, Result};
