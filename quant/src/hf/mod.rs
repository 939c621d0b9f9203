//! Import of a Hugging Face model folder: `config.json` and safetensors weights.

mod config;
mod fields;
mod load;
mod shards;

pub use config::LlamaConfig;
pub(crate) use load::{TensorSource, build};
pub use load::{load_model, load_model_within};
pub use shards::Checkpoint;
