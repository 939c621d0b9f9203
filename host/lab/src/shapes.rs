//! Models by their sizes alone: known ones by name, any by its `config.json`, with seeded random weights.

use crate::{Error, Result};
use accllm_compiler::synthetic::{Synthetic, Values};
use accllm_hw::beat::WeightFormat;
use accllm_hw::rope::Rope;
use accllm_hw::sizes::Sizes;
use accllm_llm::config::LlamaConfig;
use accllm_llm::import::{gguf, load_config};
use accllm_llm::model::LambdaShape;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Attention shape of sizes without a model that has one.
pub const LAMBDA: LambdaShape = LambdaShape { n_sink: 4, n_window: 2044 };

/// The bundled model: real weights, real text.
pub const BUNDLED: &str = "tinytales";

/// Sizes of known checkpoints.
pub const SHAPES: [(&str, Sizes); 3] = [
    (
        "llama2-7b",
        Sizes {
            hidden: 4096,
            ff: 11008,
            layers: 32,
            heads: 32,
            kv_heads: 32,
            head_dim: 128,
            vocab: 32000,
            rope: Rope::plain(10_000.0),
        },
    ),
    (
        "llama3-8b",
        Sizes {
            hidden: 4096,
            ff: 14336,
            layers: 32,
            heads: 32,
            kv_heads: 8,
            head_dim: 128,
            vocab: 128256,
            rope: Rope::plain(500_000.0),
        },
    ),
    (
        "smollm2-135m",
        Sizes {
            hidden: 576,
            ff: 1536,
            layers: 30,
            heads: 9,
            kv_heads: 3,
            head_dim: 64,
            vocab: 49152,
            rope: Rope::plain(100_000.0),
        },
    ),
];

/// Names of all shapes, and of the bundled model.
pub fn names() -> Vec<&'static str> {
    SHAPES.iter().map(|(name, _)| *name).chain([BUNDLED]).collect()
}

/// The sizes that `name` stands for: one of [`SHAPES`], or those in a `config.json` (any file with that ending); `None`
/// for another name.
///
/// # Errors
/// The file cannot be read, or is not the configuration of a model that the engine takes.
pub fn find(name: &str) -> Result<Option<Sizes>> {
    if let Some((_, sizes)) = SHAPES.iter().find(|(known, _)| *known == name) {
        return Ok(Some(*sizes));
    }
    let path = Path::new(name);
    if path.extension().is_none_or(|e| e != "json") {
        return Ok(None);
    }
    checked(name, LlamaConfig::read(path)?.sizes).map(Some)
}

fn checked(name: &str, sizes: Sizes) -> Result<Sizes> {
    let refuse = |(field, why)| Error::Argument(format!("{name}: {field} {why}"));
    sizes.check().map_err(refuse)?;
    Ok(sizes)
}

/// Sizes of GGUF files that were opened: a sweep asks for them at every point, and they come after the tokenizer.
static FILES: Mutex<BTreeMap<PathBuf, Sizes>> = Mutex::new(BTreeMap::new());

/// As [`find`], of a name that must stand for something; a GGUF file stands for its model's sizes.
///
/// # Errors
/// As [`find`], and of another name.
pub fn open(name: &str) -> Result<Sizes> {
    let path = Path::new(name);
    if gguf::is_gguf(path) {
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.get(path) {
            return Ok(*known);
        }
        let sizes = checked(name, load_config(path)?.sizes)?;
        files.insert(path.to_path_buf(), sizes);
        return Ok(sizes);
    }
    find(name)?.ok_or_else(|| {
        let known = names().join(", ");
        Error::Argument(format!(
            "no shape '{name}'; there are: {known}, and any config.json or GGUF file of a Llama model"
        ))
    })
}

/// What a model of random weights is beyond its sizes.
#[derive(Debug, Clone, Copy)]
pub struct Random {
    /// Layers; all where not given.
    pub layers: Option<usize>,
    /// Attention shape.
    pub lambda: LambdaShape,
    /// 16-bit probabilities.
    pub prob_wide: bool,
    /// Seed of the weights.
    pub seed: u64,
}

impl Random {
    /// A model of these sizes: all layers in W2 2:4, the head in W4, weights as of a real model.
    ///
    /// # Errors
    /// More layers than the sizes have, or none.
    pub fn model(&self, sizes: &Sizes) -> Result<Synthetic> {
        let layers = self.layers.unwrap_or(sizes.layers);
        if !(1..=sizes.layers).contains(&layers) {
            let all = sizes.layers;
            return Err(Error::Argument(format!(
                "--layers is {layers}; the model has {all}: give 1 to {all}"
            )));
        }
        Ok(Synthetic {
            sizes: Sizes { layers, ..*sizes },
            formats: [WeightFormat::W2Sparse; 7],
            head: WeightFormat::W4,
            prob_wide: self.prob_wide,
            values: Values::Normal,
            uniform: true,
            led: false,
            unrotated: 0,
            head_norms: false,
            biases: Vec::new(),
            lambda: self.lambda,
            seed: self.seed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_json_is_as_good_as_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        let write = |heads: usize| {
            let text = format!(
                r#"{{"model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
                    "num_attention_heads": {heads}, "num_key_value_heads": 3, "head_dim": 64, "vocab_size": 49152,
                    "rope_theta": 100000.0}}"#
            );
            std::fs::write(&file, text).unwrap();
            find(file.to_str().unwrap())
        };
        assert_eq!(write(9).unwrap(), find("smollm2-135m").unwrap());
        let e = write(51).unwrap_err().to_string();
        assert!(e.contains("config.json: kv_heads is 3: 17 query heads on each"), "{e}");
        assert_eq!(find("smollm3").unwrap(), None);
        let e = open("smollm3").unwrap_err().to_string();
        assert!(e.contains("smollm2-135m") && e.contains("config.json"), "{e}");
    }

    #[test]
    fn layers_within_the_model() {
        let random = |layers| Random {
            layers,
            lambda: LambdaShape { n_sink: 4, n_window: 60 },
            prob_wide: true,
            seed: 1,
        };
        let layers = |given| random(given).model(&SHAPES[0].1).map(|m| m.sizes.layers).ok();
        assert_eq!([None, Some(2), Some(0), Some(33)].map(layers), [Some(32), Some(2), None, None]);
    }
}
