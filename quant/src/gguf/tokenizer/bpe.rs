//! Byte-level BPE (`gpt2`).

use super::{Parts, Vocabulary};
use crate::gguf::metadata::Metadata;
use crate::{Error, Result};
use serde_json::{Value, json};

/// The pattern of GPT-2, which the byte-level stage has built in.
const LLAMA3: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/// Names of `tokenizer.ggml.pre` that are known.
const KNOWN: &str = "default, gpt-2, phi-2, smollm, llama-bpe, llama3, llama-v3, falcon3 (or write the checkpoint's tokenizer.json beside it)";

/// How a text is cut into words before merging.
fn pre_tokenizer(name: &str) -> Option<Value> {
    let byte_level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let sequence = |parts: &[Value]| json!({"type": "Sequence", "pretokenizers": parts});
    Some(match name {
        "gpt-2" | "phi-2" => byte_level(true),
        "smollm" => sequence(&[json!({"type": "Digits", "individual_digits": true}), byte_level(true)]),
        "llama-bpe" | "llama3" | "llama-v3" | "falcon3" => sequence(&[split(LLAMA3), byte_level(false)]),
        // llama.cpp's own, for files that name none.
        "default" => sequence(&[
            split("[\\p{P}\\$\\+<=>\\^~\\|]+"),
            split("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"),
            split("\\p{N}+"),
            split("[0-9][0-9][0-9]"),
            byte_level(false),
        ]),
        _ => return None,
    })
}

pub(super) fn parts(m: &Metadata<'_>, v: &Vocabulary<'_>) -> Result<Parts> {
    const PRE: &str = "tokenizer.ggml.pre";
    const MERGES: &str = "tokenizer.ggml.merges";
    let path = &m.path();
    let pre = m.text(PRE)?.unwrap_or("default");
    let pre_tokenizer =
        pre_tokenizer(pre).ok_or_else(|| Error::unsupported(path, PRE, format!("{pre:?}"), KNOWN))?;
    let merges = m
        .texts(MERGES)?
        .ok_or_else(|| Error::config(path, MERGES, "is missing; expected the merges of the tokenizer"))?;
    let pair = |(i, merge): (usize, &&str)| {
        let pair = merge.split_once(' ').filter(|(a, b)| {
            [*a, *b, &format!("{a}{b}")].iter().all(|t| v.ids.contains_key(t)) && !b.contains(' ')
        });
        pair.map(|(a, b)| json!([a, b])).ok_or_else(|| {
            let why = format!("entry {i} is {merge:?}; expected two tokens that join to a third");
            Error::config(path, MERGES, why)
        })
    };
    let merges = merges.iter().enumerate().map(pair).collect::<Result<Vec<_>>>()?;
    Ok(Parts {
        normalizer: Value::Null,
        pre_tokenizer,
        decoder: json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
        model: json!({"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": matches!(pre, "llama-bpe" | "llama3" | "llama-v3" | "falcon3"),
            "vocab": v.json(), "merges": merges}),
    })
}
