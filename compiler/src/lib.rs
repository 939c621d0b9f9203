//! From a quantized model to the engine's instructions and memory image.

// Nothing panics on input: what fails is an error value.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo, clippy::unimplemented)
)]

pub mod abi;
pub mod asm;
pub mod check;
pub mod emit;
pub mod error;
pub mod file;
pub mod image;
pub mod info;
pub mod label;
pub mod layout;
pub mod program;
pub mod spec;
pub mod step;
pub mod synthetic;

pub use error::{Error, Result};
pub use image::MemoryImage;
pub use layout::{Layout, Settings};
pub use program::Program;
pub use spec::ModelSpec;
pub use step::Step;
