//! Import of a Hugging Face model folder: `config.json` and safetensors weights.

mod config;
mod fields;
mod load;
mod shards;

pub use config::LlamaConfig;
pub use load::load_model;
pub use shards::Checkpoint;
