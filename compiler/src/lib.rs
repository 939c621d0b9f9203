//! From a quantized model to the engine's instructions and memory image.

pub mod asm;
pub mod check;
pub mod emit;
pub mod error;
pub mod image;
pub mod info;
pub mod label;
pub mod lambda;
pub mod layout;
pub mod program;
pub mod spec;
pub mod synthetic;

pub use error::{Error, Result};
pub use image::MemoryImage;
pub use lambda::Step;
pub use layout::{Layout, Settings};
pub use program::Program;
pub use spec::ModelSpec;
