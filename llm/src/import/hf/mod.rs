//! Import of a Hugging Face model folder: `config.json` and safetensors weights.

mod config;
mod fields;
mod load;
mod rope;
mod rotary;
mod shards;

pub(super) use load::load_model_within;
pub use shards::Checkpoint;
