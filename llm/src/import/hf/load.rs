//! A float model from a Hugging Face folder.

use super::fields::Fields;
use super::{Checkpoint, rotary};
use crate::config::LlamaConfig;
use crate::float::FloatModel;
use crate::import::build::{FUSED, Known, TensorSource, build};
use crate::import::fused::Fused;
use crate::tokenizer::Files;
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::path::Path;

impl TensorSource for Checkpoint {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        Self::tensor(self, name, shape)
    }
}

/// The configuration of the model in a folder: what `config.json` says, and what its texts begin with and end at.
fn config(folder: &Path) -> Result<LlamaConfig> {
    let mut config = LlamaConfig::read(&folder.join("config.json"))?;
    let ends = generation_ends(folder, config.sizes.vocab)?;
    let tokenizer = Files::find(folder)?;
    if let Some(files) = &tokenizer {
        config.bos = files.begin(config.sizes.vocab)?;
    }
    for end in ends.into_iter().chain(tokenizer.and_then(|files| files.end(config.sizes.vocab))) {
        if !config.eos.contains(&end) {
            config.eos.push(end);
        }
    }
    Ok(config)
}

/// Tokens that end a text as `generation_config.json` has them.
fn generation_ends(folder: &Path, vocab: usize) -> Result<Vec<u32>> {
    let path = &folder.join("generation_config.json");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let map: Map<String, Value> =
        serde_json::from_str(&text).map_err(|e| Error::malformed(path, "JSON", e))?;
    Fields { path, map: &map }.token_ids("eos_token_id", vocab)
}

/// The model in a folder, as [`crate::import::load_model_within`].
pub(crate) fn load_model_within(path: &Path, resident: usize) -> Result<FloatModel> {
    let mut config = config(path)?;
    let files = Checkpoint::open(path)?;
    let layers = config.sizes.layers;
    let fused = files.names().any(|n| n.ends_with(FUSED[0].0));
    let parts = Known::of(&config, fused);
    let known = |n: &str| n == HEAD || parts.has(n) || rotary::is_one(n, layers);
    let unknown = files.names().find(|n| !known(n));
    let unknown = unknown.map(str::to_string);
    for name in files.names().filter(|n| rotary::is_one(n, layers)) {
        rotary::check(&files, name, &config)?;
    }
    // A head that is there counts; where it is the embedding once more, it is kept once.
    let tied = config.tied_head;
    config.tied_head = tied && !files.names().any(|n| n == HEAD);
    let source = Fused { source: files, sizes: fused.then_some(config.sizes) };
    let mut model = build(config, source, resident)?;
    if tied && model.head.as_ref() == Some(&model.embed) {
        model.head = None;
        model.config.tied_head = true;
    }
    match unknown {
        Some(name) => Err(Error::unsupported(
            path,
            name,
            "a tensor of the checkpoint",
            format!("the tensors of such a model of {layers} layers"),
        )),
        None => Ok(model),
    }
}

/// The output head.
const HEAD: &str = "lm_head.weight";
