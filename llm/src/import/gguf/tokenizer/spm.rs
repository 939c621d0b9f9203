//! SentencePiece's BPE (`llama`).

use crate::import::gguf::metadata::Metadata;
use crate::tokenizer::sentencepiece::{self, Space};
use crate::tokenizer::vocabulary::{Parts, Vocabulary};
use crate::{Error, Result};

pub(super) fn parts(m: &Metadata<'_>, v: &Vocabulary<'_>) -> Result<Parts> {
    const SCORES: &str = "tokenizer.ggml.scores";
    let path = &m.path();
    let scores = m.floats(SCORES)?.unwrap_or_default();
    if scores.len() != v.tokens.len() || scores.iter().any(|s| s.is_nan()) {
        let why =
            format!("has {} scores for {} tokens, or one that is no number", scores.len(), v.tokens.len());
        return Err(Error::config(path, SCORES, why));
    }
    let space = match m.flag("tokenizer.ggml.add_space_prefix")? {
        Some(false) => Space::None,
        _ => Space::EachPart,
    };
    sentencepiece::parts(v, &scores, space)
        .ok_or_else(|| Error::config(path, super::TYPES, "marks no token as the unknown one (2)"))
}
