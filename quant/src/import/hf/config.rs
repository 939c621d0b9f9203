//! `config.json` of a Llama checkpoint.

use super::fields::Fields;
use crate::config::LlamaConfig;
use crate::import::sizes::Names;
use crate::{Error, Result};
use accllm_hw::rope::{Rope, Scaling};
use serde_json::Value;
use std::path::Path;

const SIZES: Names = Names {
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
        check_architecture(&f)?;
        check_features(&f)?;
        let vocab = f.count("vocab_size", 1 << 22)?;
        Ok(Self {
            sizes: SIZES.read(path, vocab, rope(&f)?, |name, most| f.count_opt(name, most))?,
            sliding_window: sliding_window(&f)?,
            norm_eps: f.positive("rms_norm_eps", 1e-6)?,
            tied_head: f.flag("tie_word_embeddings", false)?,
            max_positions: f.count_opt("max_position_embeddings", 1 << 31)?.unwrap_or(2048),
            bos: f.token_ids("bos_token_id", vocab)?.first().copied(),
            eos: f.token_ids("eos_token_id", vocab)?,
            leads: Vec::new(),
        })
    }
}

/// Accepts Llama and Mistral, which is the same block with a window.
fn check_architecture(f: &Fields<'_>) -> Result<()> {
    const SUPPORTED: &str = "LlamaForCausalLM (model_type \"llama\"), MistralForCausalLM (\"mistral\")";
    if let Some(v) = f.get("architectures") {
        let named = v
            .as_array()
            .is_some_and(|a| a.iter().any(|x| x == "LlamaForCausalLM" || x == "MistralForCausalLM"));
        if !named {
            return Err(Error::unsupported(f.path, "architectures", v, SUPPORTED));
        }
    }
    match f.get("model_type") {
        Some(v) if v == "llama" || v == "mistral" => Ok(()),
        Some(v) => Err(Error::unsupported(f.path, "model_type", v, SUPPORTED)),
        None if f.get("architectures").is_some() => Ok(()),
        None => {
            let why = format!("is missing, and so is `architectures`; expected {SUPPORTED}");
            Err(Error::config(f.path, "model_type", why))
        }
    }
}

/// Refuses variants of the Llama block that the engine does not compute.
fn check_features(f: &Fields<'_>) -> Result<()> {
    for flag in ["attention_bias", "mlp_bias", "rope_interleaved"] {
        f.must_be_off(flag)?;
    }
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
    for absent in ["attention_multiplier", "quantization_config", "layer_types", "no_rope_layers"] {
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

/// RoPE's base and scaling: `rope_theta` with `rope_scaling`, or all of it in `rope_parameters`.
fn rope(f: &Fields<'_>) -> Result<Rope> {
    let mut rope = Rope::plain(10_000.0);
    let mut theta = None;
    let mut scaling: Option<(&str, Option<Scaling>)> = None;
    let differs = |name: &str, found: String, other: String| {
        let why =
            format!("says {found}, and {other}; they contradict each other, so leave the wrong one out");
        Err(Error::config(f.path, name, why))
    };
    for name in ["rope_theta", "rope_scaling", "rope_parameters"] {
        let Some(v) = f.get(name) else { continue };
        let of = match v {
            Value::Object(map) if name != "rope_theta" => {
                let inner = Fields { path: f.path, map };
                if let Some(new) = scaling_of(&inner, name)? {
                    match scaling {
                        Some((other, old)) if old != new => {
                            return differs(name, format!("{new:?}"), format!("{other} says {old:?}"));
                        }
                        _ => scaling = Some((name, new)),
                    }
                }
                inner.get("rope_theta").map(|_| inner.positive("rope_theta", 1.0)).transpose()?
            }
            _ if name == "rope_theta" => Some(f.positive(name, 1.0)?),
            _ => return Err(Error::config(f.path, name, format!("is {v}; expected an object or null"))),
        };
        match (of, theta) {
            (Some(new), Some((other, old))) if new != old => {
                return differs(name, format!("rope_theta {new}"), format!("{other} says {old}"));
            }
            (Some(new), _) => theta = Some((name, new)),
            (None, _) => {}
        }
    }
    if let Some((_, value)) = theta {
        rope.theta = value;
    }
    rope.scaling = scaling.and_then(|(_, s)| s);
    rope.check().map_err(|(field, why)| Error::config(f.path, field, why))?;
    Ok(rope)
}

/// The scaling that an object states; `None` where it states none, `Some(None)` where it states that there is none.
fn scaling_of(inner: &Fields<'_>, name: &str) -> Result<Option<Option<Scaling>>> {
    let number = |field: &str| match inner.get(field) {
        Some(_) => inner.positive(field, 1.0),
        None => {
            Err(Error::config(inner.path, format!("{name}.{field}"), "is missing; expected a number above 0"))
        }
    };
    let kind = inner.get("rope_type").or_else(|| inner.get("type"));
    Ok(Some(match kind.map(Value::as_str) {
        None => return Ok(None),
        Some(Some("default")) => None,
        Some(Some("linear")) => Some(Scaling::Linear { factor: number("factor")? }),
        Some(Some("llama3")) => Some(Scaling::Llama3 {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position_embeddings: number("original_max_position_embeddings")?,
        }),
        Some(Some("yarn")) => Some(Scaling::Yarn {
            factor: number("factor")?,
            beta_fast: inner.positive("beta_fast", 32.0)?,
            beta_slow: inner.positive("beta_slow", 1.0)?,
            original_max_position_embeddings: number("original_max_position_embeddings")?,
            truncate: inner.flag("truncate", true)?,
        }),
        // The base changes only beyond the trained positions, which sinks and window do not reach.
        Some(Some("dynamic")) => None,
        Some(_) => {
            let supported = "null or rope_type \"default\", \"linear\", \"llama3\", \"yarn\" or \"dynamic\"";
            let found = Value::Object(inner.map.clone());
            return Err(Error::unsupported(inner.path, name, found, supported));
        }
    }))
}

/// The window that queries were trained with.
fn sliding_window(f: &Fields<'_>) -> Result<Option<usize>> {
    // Where the flag is there and off, the number means nothing.
    match f.flag("use_sliding_window", true)? {
        true => f.count_opt("sliding_window", 1 << 31),
        false => Ok(None),
    }
}

/// What the scores of queries and keys are multiplied by: the square of what YaRN multiplies both with.
pub(super) fn score_factor(path: &Path) -> Result<f64> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let json: Value = serde_json::from_str(&text).map_err(|e| Error::malformed(path, "JSON", e))?;
    for name in ["rope_parameters", "rope_scaling"] {
        let Some(map) = json[name].as_object() else { continue };
        let f = Fields { path, map };
        let kind = f.get("rope_type").or_else(|| f.get("type"));
        if kind.is_some_and(|k| k == "yarn") {
            let factor = attention_factor(&f)?;
            return Ok(factor * factor);
        }
    }
    Ok(1.0)
}

/// What YaRN multiplies queries and keys with.
fn attention_factor(f: &Fields<'_>) -> Result<f64> {
    let factor = f.positive("factor", 1.0)?;
    let of = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
    let optional = |name: &str| f.get(name).map(|_| f.positive(name, 1.0)).transpose();
    Ok(match (optional("attention_factor")?, optional("mscale")?, optional("mscale_all_dim")?) {
        (Some(stated), _, _) => stated,
        (None, Some(scale), Some(all)) => of(scale) / of(all),
        _ => of(1.0),
    })
}
