//! The tokenizer in a GGUF file, as the files that Hugging Face keeps one in.

mod bpe;
mod spm;

use super::metadata::Metadata;
use crate::tokenizer::Files;
use crate::tokenizer::vocabulary::Vocabulary;
use crate::{Error, Result};
use serde_json::{Value, json};

const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";

/// The tokens and their kinds.
fn vocabulary<'a>(m: &Metadata<'a>) -> Result<Vocabulary<'a>> {
    let path = &m.path();
    let missing = || Error::config(path, TOKENS, "is missing; expected the tokens of the vocabulary");
    let tokens = m.texts(TOKENS)?.ok_or_else(missing)?;
    let kinds = m.integers(TYPES)?.unwrap_or_else(|| vec![1; tokens.len()]);
    if kinds.len() != tokens.len() {
        let why = format!("has {} entries for {} tokens", kinds.len(), tokens.len());
        return Err(Error::config(path, TYPES, why));
    }
    Vocabulary::new(tokens, kinds).map_err(|what| Error::config(path, TOKENS, format!("has {what}")))
}

/// `tokenizer.json`, and `tokenizer_config.json` with the chat template.
pub(super) fn files(m: &Metadata<'_>) -> Result<[(&'static str, String); 2]> {
    let path = &m.path();
    let vocabulary = vocabulary(m)?;
    let tokenizer = match (m.text(MODEL)?, beside(m)?) {
        (_, Some(files)) => {
            same_tokens(m, &vocabulary, &files)?;
            files.json().clone()
        }
        (Some("gpt2"), None) => vocabulary.tokenizer(bpe::parts(m, &vocabulary)?),
        (Some("llama"), None) => vocabulary.tokenizer(spm::parts(m, &vocabulary)?),
        (Some(other), None) => {
            return Err(Error::unsupported(path, MODEL, format!("{other:?}"), "\"gpt2\", \"llama\""));
        }
        (None, None) => return Err(Error::config(path, MODEL, "is missing; expected \"gpt2\" or \"llama\"")),
    };
    let text = |name: &str| -> Result<Value> {
        let id = m.integer(&format!("tokenizer.ggml.{name}_token_id"))?;
        Ok(id
            .and_then(|id| vocabulary.tokens.get(usize::try_from(id).ok()?))
            .map_or(Value::Null, |t| json!(t)))
    };
    let config = json!({"bos_token": text("bos")?, "eos_token": text("eos")?, "add_bos_token": begins(m)?,
        "chat_template": m.text("tokenizer.chat_template")?});
    Ok([("tokenizer.json", tokenizer.to_string()), ("tokenizer_config.json", config.to_string())])
}

/// The tokenizer in a `tokenizer.json` beside the file, which is read where the file's own names a way of cutting texts
/// that is not known.
pub(super) fn beside(m: &Metadata<'_>) -> Result<Option<Files>> {
    let known = m.text(MODEL)? != Some("gpt2") || bpe::is_known(m.text(PRE)?.unwrap_or(bpe::DEFAULT));
    let path = m.path().with_file_name("tokenizer.json");
    (!known && path.is_file()).then(|| Files::read(&path)).transpose()
}

/// Refuses a `tokenizer.json` of another model.
fn same_tokens(m: &Metadata<'_>, vocabulary: &Vocabulary<'_>, files: &Files) -> Result<()> {
    let ids = files.ids();
    for (i, token) in vocabulary.tokens.iter().enumerate() {
        if let Some(other) = ids.get(&(i as u64)).filter(|other| other.as_str() != *token) {
            let why = format!("has {token:?} as token {i}, and the tokenizer.json beside it {other:?}");
            return Err(Error::config(&m.path(), TOKENS, why));
        }
    }
    Ok(())
}

/// Whether texts begin with the begin token: what the file says, or what llama.cpp takes for granted. `None` where
/// neither says it.
pub(super) fn begins(m: &Metadata<'_>) -> Result<Option<bool>> {
    if let Some(said) = m.flag("tokenizer.ggml.add_bos_token")? {
        return Ok(Some(said));
    }
    Ok(match m.text(MODEL)? {
        Some("llama") => Some(true),
        _ => bpe::begins(m.text(PRE)?.unwrap_or(bpe::DEFAULT)),
    })
}

/// Tokens that llama.cpp ends a text at by their names, whatever the keys of a file say.
const ENDS: [&str; 26] = [
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|calls|>",
    "<|flush|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<EOT>",
    "_<EOT>",
    "<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>",
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<fim_repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
];

/// Tokens that end a text by their names.
pub(super) fn ends(tokens: &[&str]) -> Vec<u32> {
    let has = |name: &str| tokens.contains(&name);
    // There a message ends with it, and the answer goes on.
    let message = has("<|end|>")
        && (has("<|return|>") && has("<|call|>")
            || has("<|flush|>") && (has("<|calls|>") || has("<|call|>")));
    let ends = |token: &str| ENDS.contains(&token) && !(message && token == "<|end|>");
    let all = tokens.iter().enumerate().filter(|(_, token)| ends(token));
    all.filter_map(|(id, _)| u32::try_from(id).ok()).collect()
}
