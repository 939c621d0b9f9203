//! Import: checkpoints of Hugging Face ([`hf`]) and GGUF files ([`gguf`]). What is accepted: docs/import.md.

mod build;
mod family;
mod fused;
pub mod gguf;
pub mod hf;
mod load;
mod sizes;

pub use load::{load_config, load_model, load_model_within};
