//! Byte-level BPE (`gpt2`).

use super::PRE;
use crate::import::gguf::metadata::Metadata;
use crate::tokenizer::vocabulary::{Parts, Vocabulary};
use crate::{Error, Result};
use serde_json::{Value, json};

/// The pattern of Llama 3; GPT-2's is built into the byte-level stage.
const LLAMA3_PATTERN: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/// The pattern of Qwen2, which takes digits one by one.
const QWEN2_PATTERN: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/// The name that a file has which states none.
pub(super) const DEFAULT: &str = "default";

/// Ways of cutting a text into words, each with the names that `tokenizer.ggml.pre` has for it.
const GPT2: [&str; 11] = [
    "gpt-2",
    "phi-2",
    "jina-es",
    "jina-de",
    "jina-v2-es",
    "jina-v2-de",
    "gigachat",
    "a.x-4.0",
    "mellum",
    "modern-bert",
    "exaone4",
];
const LLAMA3: [&str; 8] =
    ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"];
const QWEN2: [&str; 2] = ["qwen2", "deepseek-r1-qwen"];
const SMOLLM: &str = "smollm";

/// Names that are not known here, and whose texts begin with the begin token in llama.cpp.
const OTHERS_THAT_BEGIN: [&str; 2] = ["tekken", "chameleon"];

/// Whether the way of cutting texts is known.
pub(super) fn is_known(pre: &str) -> bool {
    [&GPT2[..], &LLAMA3, &QWEN2, &[SMOLLM, DEFAULT]].iter().any(|names| names.contains(&pre))
}

/// Whether texts begin with the begin token where a file does not say so; `None` for names that are not known.
pub(super) fn begins(pre: &str) -> Option<bool> {
    match pre {
        p if LLAMA3.contains(&p) || OTHERS_THAT_BEGIN.contains(&p) => Some(true),
        p if is_known(p) => Some(false),
        _ => None,
    }
}

/// How a text is cut into words before merging.
fn pre_tokenizer(name: &str) -> Option<Value> {
    let byte_level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let sequence = |parts: &[Value]| json!({"type": "Sequence", "pretokenizers": parts});
    Some(match name {
        name if GPT2.contains(&name) => byte_level(true),
        SMOLLM => sequence(&[json!({"type": "Digits", "individual_digits": true}), byte_level(true)]),
        name if LLAMA3.contains(&name) => sequence(&[split(LLAMA3_PATTERN), byte_level(false)]),
        name if QWEN2.contains(&name) => sequence(&[split(QWEN2_PATTERN), byte_level(false)]),
        // llama.cpp's own, for files that name none.
        DEFAULT => sequence(&[
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
    const MERGES: &str = "tokenizer.ggml.merges";
    let path = &m.path();
    let pre = m.text(PRE)?.unwrap_or(DEFAULT);
    let pre_tokenizer = pre_tokenizer(pre).ok_or_else(|| {
        let known = [&[DEFAULT, SMOLLM][..], &GPT2, &LLAMA3, &QWEN2].concat().join(", ");
        let supported = format!("{known}, or any with the checkpoint's tokenizer.json beside this file");
        Error::unsupported(path, PRE, format!("{pre:?}"), supported)
    })?;
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
            "ignore_merges": LLAMA3.contains(&pre),
            "vocab": v.json(), "merges": merges}),
    })
}
