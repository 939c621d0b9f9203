//! SentencePiece's BPE: merges follow from the scores of the pieces. Read from a `tokenizer.model`, and made of the same
//! lists in a GGUF file.

use super::vocabulary::{Parts, UNKNOWN, Vocabulary};
use crate::{Error, Result};
use prost::Message as _;
use serde_json::{Value, json};
use std::path::Path;

/// The sign for a space.
const SPACE: &str = "\u{2581}";

/// Where a space is put that is not in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// Nowhere.
    None,
    /// Before the text.
    Text,
    /// Before the text, and before what follows a special token.
    EachPart,
}

/// What a `tokenizer.json` has of it; `None` where no token is for what is unknown.
pub(crate) fn parts(v: &Vocabulary<'_>, scores: &[f32], space: Space) -> Option<Parts> {
    let unknown = v.kinds.iter().position(|t| *t == UNKNOWN)?;
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let before = json!({"type": "Prepend", "prepend": SPACE});
    let normalizers = match space {
        Space::EachPart => vec![before, replace],
        Space::None => vec![replace],
        Space::Text => Vec::new(),
    };
    let pre_tokenizer = match space {
        Space::Text => {
            json!({"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": false})
        }
        _ => Value::Null,
    };
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if space != Space::None {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    Some(Parts {
        normalizer: match normalizers.is_empty() {
            true => Value::Null,
            false => json!({"type": "Sequence", "normalizers": normalizers}),
        },
        pre_tokenizer,
        decoder: json!({"type": "Sequence", "decoders": decoders}),
        model: json!({"type": "BPE", "dropout": null, "unk_token": v.tokens[unknown],
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true,
            "byte_fallback": true, "ignore_merges": false, "vocab": v.json(), "merges": merges(v, scores)}),
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

/// What is read of a `tokenizer.model` (sentencepiece_model.proto).
#[derive(Clone, PartialEq, prost::Message)]
struct Model {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<Trainer>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<Normalizer>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Piece {
    #[prost(string, optional, tag = "1")]
    piece: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
    #[prost(uint64, optional, tag = "3")]
    kind: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Trainer {
    #[prost(uint64, optional, tag = "3")]
    model_type: Option<u64>,
    #[prost(bool, optional, tag = "35")]
    byte_fallback: Option<bool>,
    #[prost(int64, optional, tag = "41")]
    bos: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Normalizer {
    #[prost(bytes = "vec", optional, tag = "2")]
    charsmap: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    remove_extra_whitespaces: Option<bool>,
}

/// `model_type` of byte-pair encoding.
const BPE: u64 = 2;

/// The `tokenizer.json` of a `tokenizer.model`; `config` is the `tokenizer_config.json` beside it.
///
/// # Errors
/// The file is damaged, or of another kind than Llama's.
pub(super) fn tokenizer(path: &Path, config: &Value) -> Result<Value> {
    const CONVERT: &str = "python3 -c 'from transformers import AutoTokenizer as T; t = T.from_pretrained(\".\"); \
                           t.save_pretrained(\".\")', run in that folder, writes the tokenizer.json that is read instead";
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    let model = Model::decode(bytes.as_slice());
    let model = model.ok().filter(|m| !m.pieces.is_empty()).ok_or_else(|| {
        let why = format!("it is no SentencePiece model (Llama 3's own is another format); {CONVERT}");
        Error::malformed(path, "tokenizer.model", why)
    })?;
    let (trainer, normalizer) = (model.trainer.unwrap_or_default(), model.normalizer.unwrap_or_default());
    let other = |field: &str, found: &str| {
        Err(Error::unsupported(path, field, found, format!("what Llama's has; {CONVERT}")))
    };
    if trainer.model_type != Some(BPE) {
        return other("model_type", "not BPE");
    }
    if !trainer.byte_fallback.unwrap_or(false) {
        return other("byte_fallback", "false");
    }
    if normalizer.charsmap.is_some_and(|map| !map.is_empty()) {
        return other("normalizer", "a table of characters");
    }
    if normalizer.remove_extra_whitespaces.unwrap_or(true) {
        return other("remove_extra_whitespaces", "true");
    }
    let tokens = model.pieces.iter().map(|p| p.piece.as_deref().unwrap_or_default()).collect();
    let kinds = model.pieces.iter().map(|p| p.kind.unwrap_or(1)).collect();
    let scores: Vec<f32> = model.pieces.iter().map(|p| p.score.unwrap_or(0.0)).collect();
    let bad = |why: String| Error::malformed(path, "tokenizer.model", why);
    if scores.iter().any(|s| s.is_nan()) {
        return Err(bad("it has a score that is no number".into()));
    }
    let vocabulary = Vocabulary::new(tokens, kinds).map_err(|what| bad(format!("it has {what}")))?;
    // As Hugging Face's own conversion.
    let space = match normalizer.add_dummy_prefix {
        Some(false) => Space::None,
        _ if config["legacy"] == false => Space::Text,
        _ => Space::EachPart,
    };
    let parts = parts(&vocabulary, &scores, space)
        .ok_or_else(|| bad("it has no token for what is unknown".into()))?;
    let mut all = vocabulary.tokenizer(parts);
    let bos = usize::try_from(trainer.bos.unwrap_or(1)).ok();
    if let Some((id, token)) = bos.and_then(|id| Some((id, vocabulary.tokens.get(id)?))) {
        all["post_processor"] = json!({"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {(*token): {"id": token, "ids": [id], "tokens": [token]}}});
    }
    Ok(all)
}
