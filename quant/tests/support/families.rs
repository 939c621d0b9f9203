//! Small random models of each family, with the logits that transformers gives.

use super::{Random, Raw, write_folder};
use accllm_quant::float::FloatModel;
use accllm_quant::import::load_model;
use safetensors::Dtype;
use serde::Deserialize;
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A model.
#[derive(Deserialize)]
pub struct Case {
    /// What it is.
    pub name: String,
    /// Its `config.json`.
    pub config: Value,
    /// Name, shape, scale and offset of each tensor, in the order in which their numbers are drawn.
    tensors: Vec<(String, Vec<usize>, f32, f32)>,
    /// A text.
    pub tokens: Vec<u32>,
    /// Logits after each of its tokens.
    pub logits: Vec<Vec<f64>>,
}

impl Case {
    /// The checkpoint.
    pub fn tensors(&self) -> Vec<Raw> {
        let mut random = Random(7);
        let tensor = |(name, shape, scale, offset): &(String, Vec<usize>, f32, f32)| {
            let numbers = (0..shape.iter().product()).map(|_| random.next() * scale + offset);
            Raw {
                name: name.clone(),
                dtype: Dtype::F32,
                shape: shape.clone(),
                bytes: numbers.flat_map(f32::to_le_bytes).collect(),
            }
        };
        self.tensors.iter().map(tensor).collect()
    }

    /// The model.
    pub fn model(&self) -> Result<FloatModel> {
        let folder = tempfile::tempdir()?;
        write_folder(folder.path(), &self.config.to_string(), &self.tensors())?;
        Ok(load_model(folder.path())?)
    }
}

/// All of them.
pub fn cases() -> Result<Vec<Case>> {
    Ok(serde_json::from_str(include_str!("../data/families.json"))?)
}

/// The one of this name.
pub fn find(name: &str) -> Result<Case> {
    cases()?.into_iter().find(|c| c.name == name).ok_or_else(|| format!("no case {name:?}").into())
}
