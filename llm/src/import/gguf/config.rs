//! The configuration of a model in GGUF keys.

use super::metadata::Metadata;
use super::tokenizer;
use crate::config::LlamaConfig;
use crate::import::family::Family;
use crate::import::sizes::Names;
use crate::{Error, Result};
use accllm_hw::rope::{Rope, Scaling};

/// The keys of a file's family.
pub(super) struct Keys<'a, 'm> {
    m: &'a Metadata<'m>,
    pub family: Family,
    /// What each of them begins with.
    prefix: &'m str,
}

impl<'a, 'm> Keys<'a, 'm> {
    /// Of the family that the file names.
    pub fn of(m: &'a Metadata<'m>) -> Result<Self> {
        const ARCH: &str = "general.architecture";
        let supported = || format!("one of {}", Family::files());
        let Some(prefix) = m.text(ARCH)? else {
            return Err(Error::config(&m.path(), ARCH, format!("is missing; expected {}", supported())));
        };
        let unknown = || Error::unsupported(&m.path(), ARCH, format!("{prefix:?}"), supported());
        Ok(Self { m, family: Family::of_gguf(prefix).ok_or_else(unknown)?, prefix })
    }

    /// The key `name` of the family.
    pub fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }
}

/// What the keys say.
pub(super) struct Read {
    /// Shape and constants; of RoPE what the keys say (there may be tensors, too).
    pub config: LlamaConfig,
    pub family: Family,
    /// What queries and keys are multiplied by beside their rotation: the key, and a number other than 1.
    pub factor: Option<(String, f64)>,
    /// Positions before any scaling, where they are stated.
    pub original: Option<usize>,
    /// Whether each frequency has a divisor in a tensor.
    pub longrope: bool,
}

/// Reads the keys of a model.
pub(super) fn read(m: &Metadata<'_>) -> Result<Read> {
    let path = &m.path();
    let keys = Keys::of(m)?;
    let key = |name: &str| keys.key(name);
    for absent in ["expert_count", "expert_used_count"].map(key) {
        if let Some(n) = m.integer(&absent)?.filter(|n| *n > 0) {
            return Err(Error::unsupported(path, absent, n, "0 or absent (no mixture of experts)"));
        }
    }
    let (vocab, bos, eos) = tokens(&keys)?;
    let names = Names {
        hidden: &key("embedding_length"),
        ff: &key("feed_forward_length"),
        layers: &key("block_count"),
        heads: &key("attention.head_count"),
        kv_heads: &key("attention.head_count_kv"),
        head_dim: &key("attention.key_length"),
    };
    let sizes = names.read(path, vocab, rope(&keys)?, |key, most| m.count(key, most))?;
    let head_dim = sizes.head_dim;
    for same in ["attention.value_length", "rope.dimension_count"].map(key) {
        if let Some(d) = m.integer(&same)?.filter(|d| *d != head_dim as u64) {
            return Err(Error::unsupported(path, same, d, format!("{head_dim}, the width of a head")));
        }
    }
    plain(&keys, head_dim)?;
    let eps = key("attention.layer_norm_rms_epsilon");
    let norm_eps = m.positive(&eps)?;
    let config = LlamaConfig {
        sizes,
        sliding_window: window(&keys)?,
        // As a short decimal: the file has 32-bit floats, and 1e-5 is meant.
        norm_eps: norm_eps
            .map(|e| (e as f32).to_string().parse().unwrap_or(e))
            .ok_or_else(|| Error::config(path, eps, "is missing; expected a number above 0"))?,
        tied_head: false,
        max_positions: m.count(&key("context_length"), 1 << 31)?.unwrap_or(2048),
        bos,
        eos,
        leads: Vec::new(),
        score_factor: 1.0,
        biases: keys.family.biases().to_vec(),
        head_norms: keys.family.head_norms(),
        // As llama.cpp has it, whatever the checkpoint said.
        unrotated: match keys.family {
            Family::SmolLm3 => (0..sizes.layers).filter(|l| l % 4 == 3).collect(),
            _ => Vec::new(),
        },
    };
    let factor = key("rope.scaling.attn_factor");
    let stated = m.number(&factor)?.filter(|x| *x != 0.0 && (x - 1.0).abs() > 1e-6);
    Ok(Read {
        config,
        family: keys.family,
        factor: stated.map(|x| (factor, x)),
        original: m.count(&key("rope.scaling.original_context_length"), 1 << 31)?,
        longrope: m.text(&key("rope.scaling.type"))? == Some("longrope"),
    })
}

/// The window of attention; llama.cpp's converter writes 0 for a Phi-3 without one.
fn window(keys: &Keys<'_, '_>) -> Result<Option<usize>> {
    let key = keys.key("attention.sliding_window");
    match keys.m.integer(&key)? {
        Some(0) => Ok(None),
        _ => keys.m.count(&key, 1 << 31),
    }
}

/// Refuses factors and limits that change what the blocks compute.
fn plain(keys: &Keys<'_, '_>, head_dim: usize) -> Result<()> {
    let m = keys.m;
    let attention = 1.0 / (head_dim as f64).sqrt();
    // Where the number is 0, llama.cpp takes the key as not there.
    let neutral = [
        ("attention.scale", attention),
        ("logit_scale", 1.0),
        ("embedding_scale", 1.0),
        ("residual_scale", 1.0),
        ("attention.clamp_kqv", 0.0),
        ("attention.max_alibi_bias", 0.0),
        ("attn_logit_softcapping", 0.0),
        ("final_logit_softcapping", 0.0),
    ];
    for (name, expected) in neutral {
        let key = &keys.key(name);
        let other = |x: &f64| *x != 0.0 && (x / expected - 1.0).abs() > 1e-6;
        if let Some(found) = m.number(key)?.filter(other) {
            return Err(Error::unsupported(&m.path(), key, found, format!("{expected}, or absent")));
        }
    }
    Ok(())
}

/// RoPE's base and scaling, as far as the keys have them.
fn rope(keys: &Keys<'_, '_>) -> Result<Rope> {
    let (m, path) = (keys.m, &keys.m.path());
    let key = |name: &str| keys.key(name);
    let (kind, divisor) = (&key("rope.scaling.type"), &key("rope.scaling.factor"));
    let theta = m.positive(&key("rope.freq_base"))?.unwrap_or(10_000.0);
    let factor = match m.positive(divisor)? {
        Some(factor) => Some(factor),
        None => m.positive(&key("rope.scale_linear"))?,
    };
    let scaling = match (m.text(kind)?, factor) {
        // The divisors of "longrope" are in tensors.
        (Some("none" | "longrope"), _) | (None, None) => None,
        // Without a type, a factor has always meant this.
        (Some("linear") | None, Some(factor)) => Some(Scaling::Linear { factor }),
        (Some("linear"), None) => {
            return Err(Error::config(path, divisor, "is missing; expected a number above 0"));
        }
        (Some("yarn"), Some(factor)) => Some(Scaling::Yarn {
            factor,
            beta_fast: m.positive(&key("rope.scaling.yarn_beta_fast"))?.unwrap_or(32.0),
            beta_slow: m.positive(&key("rope.scaling.yarn_beta_slow"))?.unwrap_or(1.0),
            original_max_position_embeddings: match m
                .count(&key("rope.scaling.original_context_length"), 1 << 31)?
            {
                Some(n) => n as f64,
                None => m.count(&key("context_length"), 1 << 31)?.unwrap_or(2048) as f64,
            },
            truncate: true,
        }),
        (Some("yarn"), None) => {
            return Err(Error::config(path, divisor, "is missing; expected a number above 0"));
        }
        (Some(other), _) => {
            return Err(Error::unsupported(
                path,
                kind,
                format!("{other:?}"),
                "\"none\", \"linear\", \"yarn\", \"longrope\"",
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
fn tokens(keys: &Keys<'_, '_>) -> Result<(usize, Option<u32>, Vec<u32>)> {
    const TOKENS: &str = "tokenizer.ggml.tokens";
    let (m, path) = (keys.m, &keys.m.path());
    let tokens = m.texts(TOKENS)?.unwrap_or_default();
    let vocab = tokens.len();
    if vocab == 0 || vocab > 1 << 22 {
        return Err(Error::config(path, TOKENS, format!("has {vocab} tokens; expected 1 to {}", 1 << 22)));
    }
    let stated = keys.key("vocab_size");
    if let Some(n) = m.integer(&stated)?.filter(|n| *n != vocab as u64) {
        let why = format!("is {n}, and there are {vocab} tokens in {TOKENS}");
        return Err(Error::config(path, stated, why));
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
