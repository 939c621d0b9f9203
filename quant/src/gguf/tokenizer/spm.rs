//! SentencePiece's BPE (`llama`): merges follow from the scores of the pieces.

use super::{Parts, TYPES, Vocabulary};
use crate::gguf::metadata::Metadata;
use crate::{Error, Result};
use serde_json::{Value, json};

/// The sign for a space.
const SPACE: &str = "\u{2581}";
/// `token_type` of the token for what is unknown.
const UNKNOWN: u64 = 2;

pub(super) fn parts(m: &Metadata<'_>, v: &Vocabulary<'_>) -> Result<Parts> {
    const SCORES: &str = "tokenizer.ggml.scores";
    let path = &m.path();
    let scores = m.floats(SCORES)?.unwrap_or_default();
    if scores.len() != v.tokens.len() || scores.iter().any(|s| s.is_nan()) {
        let why =
            format!("has {} scores for {} tokens, or one that is no number", scores.len(), v.tokens.len());
        return Err(Error::config(path, SCORES, why));
    }
    let Some(unknown) = v.types.iter().position(|t| *t == UNKNOWN) else {
        return Err(Error::config(path, TYPES, "marks no token as the unknown one (2)"));
    };
    let prefix = m.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let before = json!({"type": "Prepend", "prepend": SPACE});
    let normalizers: Vec<Value> = if prefix { vec![before, replace] } else { vec![replace] };
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    Ok(Parts {
        normalizer: json!({"type": "Sequence", "normalizers": normalizers}),
        pre_tokenizer: Value::Null,
        decoder: json!({"type": "Sequence", "decoders": decoders}),
        model: json!({"type": "BPE", "dropout": null, "unk_token": v.tokens[unknown],
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true,
            "byte_fallback": true, "ignore_merges": false, "vocab": v.json(), "merges": merges(v, &scores)}),
    })
}

/// Every way to make a piece of two others: by the piece's score, best first, then as Hugging Face's conversion
/// orders them.
fn merges(v: &Vocabulary<'_>, scores: &[f32]) -> Vec<Value> {
    let mut all = Vec::new();
    for (token, score) in v.tokens.iter().zip(scores) {
        let cuts = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
        let mut here: Vec<_> =
            cuts.filter_map(|(a, b)| Some((*v.ids.get(a)?, *v.ids.get(b)?, a, b, *score))).collect();
        here.sort_unstable_by_key(|m| (m.0, m.1));
        all.append(&mut here);
    }
    let width = |t: &str| t.chars().count();
    all.sort_by(|x, y| y.4.total_cmp(&x.4).then((width(y.2), width(y.3)).cmp(&(width(x.2), width(x.3)))));
    all.into_iter().map(|m| json!([m.2, m.3])).collect()
}
