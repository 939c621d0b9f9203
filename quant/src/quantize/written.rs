//! A model's own text, kept as any finished part of a long quantization.

use super::work::{Work, replace};
use crate::float::{FloatModel, SelfText};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

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
    let Some(path) = place(model, what, folder)? else { return model.write(what, progress) };
    match std::fs::read(&path) {
        Ok(json) => return read(model, what, &json).map_err(|e| damaged(&path, &e)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::io("read", &path, e)),
    }
    let text = model.write(what, progress)?;
    replace(&path, |partial| std::fs::write(partial, serde_json::json!(text).to_string()))
        .map_err(|e| Error::io("write", &path, e))?;
    Ok(text)
}

/// Where the text is kept; `None` without a folder, for which no layer is read.
fn place(model: &FloatModel, what: SelfText, folder: Option<&Path>) -> Result<Option<PathBuf>> {
    if folder.is_none() {
        return Ok(None);
    }
    let mut work = Work::open(folder)?;
    work.depend_on_choice(&what);
    work.depend_on_model(model)?;
    Ok(work.file("text", "json"))
}

fn read(model: &FloatModel, what: SelfText, json: &[u8]) -> std::result::Result<Vec<u32>, String> {
    let text: Vec<u32> = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    match text.iter().find(|t| **t as usize >= model.config.vocab) {
        _ if text.len() != what.sequences * what.tokens => Err(format!("{} tokens", text.len())),
        Some(t) => Err(format!("token {t} of {}", model.config.vocab)),
        None => Ok(text),
    }
}

fn damaged(path: &Path, e: &str) -> Error {
    Error::malformed(path, "kept text", format!("{e} (delete it to write the text again)"))
}
