//! `config.json` of a checkpoint.

use super::fields::Fields;
use super::rope::{original_positions, rope, score_factor};
use crate::config::LlamaConfig;
use crate::import::family::Family;
use crate::import::sizes::Names;
use crate::{Error, Result};
use accllm_hw::rope::Rope;
use accllm_hw::sizes::Linear;
use serde_json::Value;
use std::path::Path;

const SIZES: Names<'_> = Names {
    hidden: "hidden_size",
    ff: "intermediate_size",
    layers: "num_hidden_layers",
    heads: "num_attention_heads",
    kv_heads: "num_key_value_heads",
    head_dim: "head_dim",
};

impl LlamaConfig {
    /// Reads and checks `path` (a `config.json`).
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
        Self::parse(&text, path)
    }

    /// Parses the text of a `config.json`; `path` is used in messages only.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let json: Value = serde_json::from_str(text).map_err(|e| Error::malformed(path, "JSON", e))?;
        let Value::Object(map) = &json else {
            return Err(Error::malformed(path, "JSON", "the top level is not an object"));
        };
        let f = Fields { path, map };
        let family = family(&f)?;
        check_features(&f)?;
        let vocab = f.count("vocab_size", 1 << 22)?;
        let mut sizes =
            SIZES.read(path, vocab, Rope::plain(10_000.0), |name, most| f.count_opt(name, most))?;
        sizes.rope = rope(&f, sizes.head_dim / 2)?;
        Ok(Self {
            sizes,
            sliding_window: sliding_window(&f, family)?,
            norm_eps: f.positive("rms_norm_eps", 1e-6)?,
            tied_head: f.flag("tie_word_embeddings", false)?,
            max_positions: original_positions(&f, &sizes.rope)?,
            bos: f.token_ids("bos_token_id", vocab)?.first().copied(),
            eos: f.token_ids("eos_token_id", vocab)?,
            leads: Vec::new(),
            score_factor: score_factor(&f)?,
            biases: biases(&f, family)?,
            head_norms: family.head_norms(),
            unrotated: unrotated(&f, family, sizes.layers)?,
        })
    }
}

/// The family of a configuration.
pub(super) fn family(f: &Fields<'_>) -> Result<Family> {
    let supported = || format!("one of {}", Family::folders());
    let named = match f.get("architectures") {
        None => None,
        Some(v) => {
            let names = v.as_array().map(Vec::as_slice).unwrap_or_default();
            let known = names.iter().filter_map(Value::as_str).find_map(Family::of_architecture);
            Some(known.ok_or_else(|| Error::unsupported(f.path, "architectures", v, supported()))?)
        }
    };
    let kind = match f.get("model_type") {
        None => None,
        Some(v) => {
            let known = v.as_str().and_then(Family::of_kind);
            Some(known.ok_or_else(|| Error::unsupported(f.path, "model_type", v, supported()))?)
        }
    };
    kind.or(named).ok_or_else(|| {
        let why = format!("is missing, and so is `architectures`; expected {}", supported());
        Error::config(f.path, "model_type", why)
    })
}

/// Linears that add a bias: those that the family always has, and those that flags ask for.
fn biases(f: &Fields<'_>, family: Family) -> Result<Vec<Linear>> {
    let mut all = family.biases().to_vec();
    if matches!(family, Family::Llama | Family::Qwen3 | Family::SmolLm3) {
        if f.flag("attention_bias", false)? {
            all.extend([Linear::Q, Linear::K, Linear::V, Linear::O]);
        }
    } else if family != Family::Qwen2 {
        f.must_be_off("attention_bias")?;
    }
    if matches!(family, Family::Llama | Family::SmolLm3) {
        if f.flag("mlp_bias", false)? {
            all.extend([Linear::Gate, Linear::Up, Linear::Down]);
        }
    } else {
        f.must_be_off("mlp_bias")?;
    }
    Ok(all)
}

/// Layers without rotation: where `no_rope_layers` is 0, or without it every `no_rope_layer_interval`-th.
fn unrotated(f: &Fields<'_>, family: Family, layers: usize) -> Result<Vec<usize>> {
    const LIST: &str = "no_rope_layers";
    let list = f.get(LIST);
    if family != Family::SmolLm3 {
        return match list {
            Some(v) => Err(Error::unsupported(f.path, LIST, v, "absent or null in this family")),
            None => Ok(Vec::new()),
        };
    }
    let Some(v) = list else {
        let interval = f.count_opt("no_rope_layer_interval", 1 << 10)?.unwrap_or(4);
        return Ok((0..layers).filter(|l| (l + 1).is_multiple_of(interval)).collect());
    };
    let each: Option<Vec<u64>> = v.as_array().and_then(|a| a.iter().map(Value::as_u64).collect());
    match each.filter(|each| each.len() == layers && each.iter().all(|n| *n <= 1)) {
        Some(each) => Ok((0..layers).filter(|l| each[*l] == 0).collect()),
        None => Err(Error::config(f.path, LIST, format!("is {v}; expected {layers} numbers, each 0 or 1"))),
    }
}

/// Refuses variants of the Llama block that the engine does not compute.
fn check_features(f: &Fields<'_>) -> Result<()> {
    f.must_be_off("rope_interleaved")?;
    match f.get("hidden_act") {
        Some(v) if v != "silu" => return Err(Error::unsupported(f.path, "hidden_act", v, "\"silu\"")),
        _ => {}
    }
    // Factors and limits that other families, or changed copies of this one, have; 0 is off for a limit.
    for (name, neutral) in [
        ("logit_scale", 1.0),
        ("logits_scaling", 1.0),
        ("embedding_multiplier", 1.0),
        ("residual_multiplier", 1.0),
        ("attn_logit_softcapping", 0.0),
        ("final_logit_softcapping", 0.0),
        ("clip_qkv", 0.0),
    ] {
        if let Some(v) = f.get(name).filter(|v| v.as_f64() != Some(neutral)) {
            return Err(Error::unsupported(f.path, name, v, format!("{neutral}, or absent")));
        }
    }
    for absent in ["attention_multiplier", "quantization_config", "layer_types"] {
        // Some writers list the layers' types where all are alike.
        let plain = |v: &Value| v.as_array().is_some_and(|a| a.iter().all(|t| t == "full_attention"));
        match f.get(absent) {
            Some(v) if !(absent == "layer_types" && plain(v)) => {
                return Err(Error::unsupported(f.path, absent, v, "absent or null (a plain float model)"));
            }
            _ => {}
        }
    }
    if f.positive("partial_rotary_factor", 1.0)? != 1.0 {
        let found = f.positive("partial_rotary_factor", 1.0)?;
        return Err(Error::unsupported(f.path, "partial_rotary_factor", found, "1.0"));
    }
    Ok(())
}

/// The window that queries were trained with.
fn sliding_window(f: &Fields<'_>, family: Family) -> Result<Option<usize>> {
    // Where the flag is off, the number means nothing; some families have it off where it is not there.
    let flagged = matches!(family, Family::Qwen2 | Family::Qwen3 | Family::SmolLm3);
    match f.flag("use_sliding_window", !flagged)? {
        true => f.count_opt("sliding_window", 1 << 31),
        false => Ok(None),
    }
}
