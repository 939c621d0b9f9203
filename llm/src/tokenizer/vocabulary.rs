//! A vocabulary with kinds of tokens, as SentencePiece and GGUF files have it, and the `tokenizer.json` that it becomes.

use serde_json::{Value, json};
use std::collections::HashMap;

/// Longest token, bytes.
const LONGEST: usize = 1024;

/// Kinds of tokens: the one for what is unknown, those without text, and those that are found in a text before it is
/// cut up.
pub(crate) const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// Tokens and their ids.
pub(crate) struct Vocabulary<'a> {
    pub tokens: Vec<&'a str>,
    pub kinds: Vec<u64>,
    pub ids: HashMap<&'a str, usize>,
}

impl<'a> Vocabulary<'a> {
    /// Tokens with their kinds; what is wrong with them, where something is.
    pub fn new(tokens: Vec<&'a str>, kinds: Vec<u64>) -> Result<Self, String> {
        let mut ids = HashMap::new();
        for (id, token) in tokens.iter().enumerate() {
            if token.len() > LONGEST {
                return Err(format!("a token of {} bytes ({id}); at most {LONGEST} are read", token.len()));
            }
            if let Some(first) = ids.insert(*token, id) {
                return Err(format!("{token:?} twice, as {first} and {id}"));
            }
        }
        Ok(Self { tokens, kinds, ids })
    }

    /// The tokens that are found in a text before it is cut up.
    fn added(&self) -> Vec<Value> {
        let all = self.tokens.iter().zip(&self.kinds).enumerate();
        all.filter(|(_, (token, kind))| matches!(**kind, CONTROL | USER_DEFINED) && !token.is_empty())
            .map(|(id, (token, kind))| {
                json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": *kind == CONTROL})
            })
            .collect()
    }

    /// The vocabulary as JSON.
    pub fn json(&self) -> Value {
        self.ids
            .iter()
            .map(|(token, id)| ((*token).to_string(), json!(id)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// A `tokenizer.json` of it.
    pub fn tokenizer(&self, parts: Parts) -> Value {
        let Parts { normalizer, pre_tokenizer, decoder, model } = parts;
        json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": self.added(),
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": decoder,
            "model": model})
    }
}

/// What differs between kinds of tokenizers.
pub(crate) struct Parts {
    pub normalizer: Value,
    pub pre_tokenizer: Value,
    pub decoder: Value,
    pub model: Value,
}
