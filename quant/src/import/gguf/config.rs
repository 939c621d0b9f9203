//! The configuration of a `llama` model in GGUF keys.

use super::metadata::Metadata;
use super::tokenizer;
use crate::config::LlamaConfig;
use crate::import::sizes::Names;
use crate::{Error, Result};
use accllm_hw::rope::{Rope, Scaling};

const SIZES: Names = Names {
    hidden: "llama.embedding_length",
    ff: "llama.feed_forward_length",
    layers: "llama.block_count",
    heads: "llama.attention.head_count",
    kv_heads: "llama.attention.head_count_kv",
    head_dim: "llama.attention.key_length",
};

/// Shape and constants; of RoPE what the keys say (there may be a tensor, too).
pub(super) fn read(m: &Metadata<'_>) -> Result<LlamaConfig> {
    let path = &m.path();
    const ARCH: &str = "general.architecture";
    match m.text(ARCH)? {
        Some("llama") => {}
        Some(other) => return Err(Error::unsupported(path, ARCH, format!("{other:?}"), "\"llama\"")),
        None => return Err(Error::config(path, ARCH, "is missing; expected \"llama\"")),
    }
    for absent in ["llama.expert_count", "llama.expert_used_count"] {
        if let Some(n) = m.integer(absent)?.filter(|n| *n > 0) {
            return Err(Error::unsupported(path, absent, n, "0 or absent (no mixture of experts)"));
        }
    }
    let (vocab, bos, eos) = tokens(m)?;
    let sizes = SIZES.read(path, vocab, rope(m)?, |key, most| m.count(key, most))?;
    let head_dim = sizes.head_dim;
    for same in ["llama.attention.value_length", "llama.rope.dimension_count"] {
        if let Some(d) = m.integer(same)?.filter(|d| *d != head_dim as u64) {
            return Err(Error::unsupported(path, same, d, format!("{head_dim}, the width of a head")));
        }
    }
    plain(m, head_dim)?;
    const EPS: &str = "llama.attention.layer_norm_rms_epsilon";
    let norm_eps = m.positive(EPS)?;
    Ok(LlamaConfig {
        sizes,
        sliding_window: m.count("llama.attention.sliding_window", 1 << 31)?,
        // As a short decimal: the file has 32-bit floats, and 1e-5 is meant.
        norm_eps: norm_eps
            .map(|e| (e as f32).to_string().parse().unwrap_or(e))
            .ok_or_else(|| Error::config(path, EPS, "is missing; expected a number above 0"))?,
        tied_head: false,
        max_positions: m.count("llama.context_length", 1 << 31)?.unwrap_or(2048),
        bos,
        eos,
        leads: Vec::new(),
    })
}

/// Refuses factors and limits that change what the blocks compute.
fn plain(m: &Metadata<'_>, head_dim: usize) -> Result<()> {
    let attention = 1.0 / (head_dim as f64).sqrt();
    // Where the number is 0, llama.cpp takes the key as not there.
    let neutral = [
        ("llama.rope.scaling.attn_factor", 1.0),
        ("llama.attention.scale", attention),
        ("llama.logit_scale", 1.0),
        ("llama.embedding_scale", 1.0),
        ("llama.residual_scale", 1.0),
        ("llama.attention.clamp_kqv", 0.0),
        ("llama.attention.max_alibi_bias", 0.0),
        ("llama.attn_logit_softcapping", 0.0),
        ("llama.final_logit_softcapping", 0.0),
    ];
    for (key, expected) in neutral {
        let other = |x: &f64| *x != 0.0 && (x / expected - 1.0).abs() > 1e-6;
        if let Some(found) = m.number(key)?.filter(other) {
            return Err(Error::unsupported(&m.path(), key, found, format!("{expected}, or absent")));
        }
    }
    Ok(())
}

/// RoPE's base and scaling, as far as the keys have them.
fn rope(m: &Metadata<'_>) -> Result<Rope> {
    const TYPE: &str = "llama.rope.scaling.type";
    const FACTOR: &str = "llama.rope.scaling.factor";
    let path = &m.path();
    let theta = m.positive("llama.rope.freq_base")?.unwrap_or(10_000.0);
    let factor = match m.positive(FACTOR)? {
        Some(factor) => Some(factor),
        None => m.positive("llama.rope.scale_linear")?,
    };
    let scaling = match (m.text(TYPE)?, factor) {
        (Some("none"), _) | (None, None) => None,
        // Without a type, a factor has always meant this.
        (Some("linear") | None, Some(factor)) => Some(Scaling::Linear { factor }),
        (Some("linear"), None) => {
            return Err(Error::config(path, FACTOR, "is missing; expected a number above 0"));
        }
        (Some("yarn"), Some(factor)) => Some(Scaling::Yarn {
            factor,
            beta_fast: m.positive("llama.rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
            beta_slow: m.positive("llama.rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
            original_max_position_embeddings: match m
                .count("llama.rope.scaling.original_context_length", 1 << 31)?
            {
                Some(n) => n as f64,
                None => m.count("llama.context_length", 1 << 31)?.unwrap_or(2048) as f64,
            },
            truncate: true,
        }),
        (Some("yarn"), None) => {
            return Err(Error::config(path, FACTOR, "is missing; expected a number above 0"));
        }
        (Some(other), _) => {
            return Err(Error::unsupported(
                path,
                TYPE,
                format!("{other:?}"),
                "\"none\", \"linear\", \"yarn\"",
            ));
        }
    };
    Ok(Rope { theta, scaling })
}

/// Llama 3's scaling from the divisors of the frequencies that llama.cpp writes for it; `None` when they are not
/// those of any Llama 3.
pub(super) fn llama3(plain: Rope, divisors: &[f32]) -> Option<Scaling> {
    let head_dim = 2 * divisors.len();
    let factor = f64::from(divisors.iter().copied().fold(1.0, f32::max));
    let scaling = Scaling::Llama3 {
        factor,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192.0,
    };
    let scaled = Rope { scaling: Some(scaling), ..plain };
    let same = divisors.iter().enumerate().all(|(i, d)| {
        let ours = plain.frequency(i, head_dim) / scaled.frequency(i, head_dim);
        (ours / f64::from(*d) - 1.0).abs() < 1e-4
    });
    (plain.scaling.is_none() && same).then_some(scaling)
}

/// Size of the vocabulary, token that begins a text, tokens that end one.
fn tokens(m: &Metadata<'_>) -> Result<(usize, Option<u32>, Vec<u32>)> {
    const TOKENS: &str = "tokenizer.ggml.tokens";
    let path = &m.path();
    let tokens = m.texts(TOKENS)?.unwrap_or_default();
    let vocab = tokens.len();
    if vocab == 0 || vocab > 1 << 22 {
        return Err(Error::config(path, TOKENS, format!("has {vocab} tokens; expected 1 to {}", 1 << 22)));
    }
    if let Some(n) = m.integer("llama.vocab_size")?.filter(|n| *n != vocab as u64) {
        let why = format!("is {n}, and there are {vocab} tokens in {TOKENS}");
        return Err(Error::config(path, "llama.vocab_size", why));
    }
    let id = |name: &str| {
        let key = format!("tokenizer.ggml.{name}_token_id");
        match m.integer(&key)? {
            Some(n) if n >= vocab as u64 => {
                Err(Error::config(path, key, format!("is {n}; expected a token id below {vocab}")))
            }
            n => Ok(n.map(|n| n as u32)),
        }
    };
    let bos = match tokenizer::begins(m)? {
        Some(begins) => id("bos")?.filter(|_| begins),
        None => tokenizer::beside(m)?.map(|files| files.begin(vocab)).transpose()?.flatten(),
    };
    let mut eos = Vec::new();
    for name in ["eos", "eot", "eom"] {
        eos.extend(id(name)?.filter(|n| !eos.contains(n)));
    }
    for end in tokenizer::ends(&tokens) {
        if !eos.contains(&end) {
            eos.push(end);
        }
    }
    Ok((vocab, bos, eos))
}
