//! The tokenizer in a GGUF file, as the files that Hugging Face keeps one in.

mod bpe;
mod spm;

use super::metadata::Metadata;
use crate::{Error, Result};
use serde_json::{Value, json};
use std::collections::HashMap;

const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
/// Longest token, bytes.
const LONGEST: usize = 1024;

/// Values of `token_type`.
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// Tokens and their ids.
struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    types: Vec<u64>,
    ids: HashMap<&'a str, usize>,
}

impl<'a> Vocabulary<'a> {
    fn read(m: &Metadata<'a>) -> Result<Self> {
        let path = &m.path();
        let missing = || Error::config(path, TOKENS, "is missing; expected the tokens of the vocabulary");
        let tokens = m.texts(TOKENS)?.ok_or_else(missing)?;
        let types = m.integers(TYPES)?.unwrap_or_else(|| vec![1; tokens.len()]);
        if types.len() != tokens.len() {
            let why = format!("has {} entries for {} tokens", types.len(), tokens.len());
            return Err(Error::config(path, TYPES, why));
        }
        let mut ids = HashMap::new();
        for (id, token) in tokens.iter().enumerate() {
            if token.len() > LONGEST {
                let why = format!("has a token of {} bytes ({id}); at most {LONGEST} are read", token.len());
                return Err(Error::config(path, TOKENS, why));
            }
            if let Some(first) = ids.insert(*token, id) {
                return Err(Error::config(path, TOKENS, format!("has {token:?} twice, as {first} and {id}")));
            }
        }
        Ok(Self { tokens, types, ids })
    }

    /// The tokens that are found in a text before it is cut up.
    fn added(&self) -> Vec<Value> {
        let all = self.tokens.iter().zip(&self.types).enumerate();
        all.filter(|(_, (token, kind))| matches!(**kind, CONTROL | USER_DEFINED) && !token.is_empty())
            .map(|(id, (token, kind))| {
                json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": *kind == CONTROL})
            })
            .collect()
    }

    /// The vocabulary as JSON.
    fn json(&self) -> Value {
        self.ids
            .iter()
            .map(|(token, id)| ((*token).to_string(), json!(id)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// `tokenizer.json`, and `tokenizer_config.json` with the chat template.
pub(super) fn files(m: &Metadata<'_>) -> Result<[(&'static str, String); 2]> {
    const MODEL: &str = "tokenizer.ggml.model";
    let path = &m.path();
    let vocabulary = Vocabulary::read(m)?;
    let parts = match m.text(MODEL)? {
        Some("gpt2") => bpe::parts(m, &vocabulary)?,
        Some("llama") => spm::parts(m, &vocabulary)?,
        Some(other) => {
            return Err(Error::unsupported(path, MODEL, format!("{other:?}"), "\"gpt2\", \"llama\""));
        }
        None => return Err(Error::config(path, MODEL, "is missing; expected \"gpt2\" or \"llama\"")),
    };
    let Parts { normalizer, pre_tokenizer, decoder, model } = parts;
    let tokenizer = json!({"version": "1.0", "truncation": null, "padding": null,
        "added_tokens": vocabulary.added(), "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
        "post_processor": null, "decoder": decoder, "model": model});
    let text = |name: &str| -> Result<Value> {
        let id = m.integer(&format!("tokenizer.ggml.{name}_token_id"))?;
        Ok(id
            .and_then(|id| vocabulary.tokens.get(usize::try_from(id).ok()?))
            .map_or(Value::Null, |t| json!(t)))
    };
    let config = json!({"bos_token": text("bos")?, "eos_token": text("eos")?,
        "chat_template": m.text("tokenizer.chat_template")?});
    Ok([("tokenizer.json", tokenizer.to_string()), ("tokenizer_config.json", config.to_string())])
}

/// What differs between kinds of tokenizers.
struct Parts {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    model: Value,
}
