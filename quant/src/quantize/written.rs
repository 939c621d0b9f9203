//! A model's own text, kept as any finished part of a long quantization.

use super::work::{json_of_model, kept_json};
use accllm_llm::Result;
use accllm_llm::float::{FloatModel, SelfText};
use std::path::Path;

/// What [`FloatModel::write`] gives; kept in `folder`, where there is one, and taken from there the next time.
///
/// # Errors
/// As [`FloatModel::write`]; the folder cannot be written; a kept text is damaged.
pub fn self_text(
    model: &FloatModel,
    what: SelfText,
    folder: Option<&Path>,
    progress: impl FnMut(usize),
) -> Result<Vec<u32>> {
    let check = |text: &Vec<u32>| match text.iter().find(|t| **t as usize >= model.config.sizes.vocab) {
        _ if text.len() != what.sequences * what.tokens => Err(format!("{} tokens", text.len())),
        Some(t) => Err(format!("token {t} of {}", model.config.sizes.vocab)),
        None => Ok(()),
    };
    let path = json_of_model(folder, model, &what, "text")?;
    kept_json(path, "kept text", "write the text", check, || model.write(what, progress))
}
