//! A float model from whatever a path names.

use super::{gguf, hf};
use crate::Result;
use crate::config::LlamaConfig;
use crate::float::FloatModel;
use std::path::Path;

/// Weights in all layers up to which a model is held in memory (as f32: 1 GiB).
const RESIDENT: usize = 1 << 28;

/// What a Hugging Face folder or a GGUF file says of its model; no weights are read.
///
/// # Errors
/// It cannot be read, is damaged, or is of no supported family.
pub fn load_config(path: &Path) -> Result<LlamaConfig> {
    match gguf::is_gguf(path) {
        true => gguf::load_config(path),
        false => LlamaConfig::read(&path.join("config.json")),
    }
}

/// Opens a Hugging Face Llama folder: `config.json` and safetensors, or a GGUF file.
///
/// Every weight is read and checked; those of a large model are then left in the file, and a layer is read again when
/// it is needed.
pub fn load_model(path: &Path) -> Result<FloatModel> {
    load_model_within(path, RESIDENT)
}

/// [`load_model`]; a model of more than `resident` weights in its layers is left in the file.
pub fn load_model_within(path: &Path, resident: usize) -> Result<FloatModel> {
    match gguf::is_gguf(path) {
        true => gguf::load_model_within(path, resident),
        false => hf::load_model_within(path, resident),
    }
}
