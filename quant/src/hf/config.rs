//! `config.json` of a Llama checkpoint.

use super::fields::Fields;
use crate::{Error, Result};
use accllm_hw::rope::{Rope, Scaling};
use serde_json::Value;
use std::path::Path;

/// Shape and constants of a Llama model.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaConfig {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward layer.
    pub ffn: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head; even.
    pub head_dim: usize,
    /// Tokens in the vocabulary.
    pub vocab: usize,
    /// RoPE's base and scaling.
    pub rope: Rope,
    /// Last tokens that a query was trained to see; `None` for all. The quantized model's default window.
    pub sliding_window: Option<usize>,
    /// Added to the mean square in RMSNorm.
    pub norm_eps: f64,
    /// True when the output head is the embedding table.
    pub tied_head: bool,
    /// Positions the model was trained for (information only).
    pub max_positions: usize,
    /// Begin-of-text token, when the model has one.
    pub bos: Option<u32>,
    /// Tokens that end a text.
    pub eos: Vec<u32>,
    /// Leading RoPE pair of each KV head, layer by layer: the one that K is rounded with in place 0
    /// ([`crate::transform::match_keys`]). Empty where all are 0, as in every checkpoint.
    pub leads: Vec<Vec<u8>>,
}

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
        let rope = rope(&f)?;

        let hidden = f.count("hidden_size", 1 << 16)?;
        let heads = f.count("num_attention_heads", 1 << 12)?;
        let kv_heads = f.count_opt("num_key_value_heads", 1 << 12)?.unwrap_or(heads);
        if heads % kv_heads != 0 {
            let why = format!("is {kv_heads}, which does not divide num_attention_heads ({heads})");
            return Err(Error::config(path, "num_key_value_heads", why));
        }
        let head_dim = match f.count_opt("head_dim", 1 << 12)? {
            Some(d) => d,
            None if hidden % heads == 0 => hidden / heads,
            None => {
                let why = format!("is missing and hidden_size {hidden} is not a multiple of {heads} heads");
                return Err(Error::config(path, "head_dim", why));
            }
        };
        if head_dim % 2 != 0 {
            return Err(Error::config(path, "head_dim", format!("is {head_dim}; RoPE needs an even number")));
        }
        let vocab = f.count("vocab_size", 1 << 22)?;
        Ok(Self {
            hidden,
            ffn: f.count("intermediate_size", 1 << 20)?,
            layers: f.count("num_hidden_layers", 1 << 10)?,
            heads,
            kv_heads,
            head_dim,
            vocab,
            rope,
            sliding_window: sliding_window(&f)?,
            norm_eps: f.positive("rms_norm_eps", 1e-6)?,
            tied_head: f.flag("tie_word_embeddings", false)?,
            max_positions: f.count_opt("max_position_embeddings", 1 << 31)?.unwrap_or(2048),
            bos: f.token_ids("bos_token_id", vocab)?.first().copied(),
            eos: f.token_ids("eos_token_id", vocab)?,
            leads: Vec::new(),
        })
    }

    /// Width of the query projection: `heads * head_dim`.
    pub fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of the key (and value) projection: `kv_heads * head_dim`.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Query heads that share one key/value head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// The leading RoPE pair of a KV head of layer `l`.
    pub fn lead(&self, l: usize, kv_head: usize) -> usize {
        self.leads.get(l).and_then(|heads| heads.get(kv_head)).map_or(0, |lead| usize::from(*lead))
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
    for absent in ["quantization_config", "layer_types", "no_rope_layers"] {
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

/// RoPE's base and scaling.
fn rope(f: &Fields<'_>) -> Result<Rope> {
    let mut rope = Rope::plain(f.positive("rope_theta", 10_000.0)?);
    for name in ["rope_scaling", "rope_parameters"] {
        let Some(v) = f.get(name) else { continue };
        let Value::Object(map) = v else {
            return Err(Error::config(f.path, name, format!("is {v}; expected an object or null")));
        };
        let inner = Fields { path: f.path, map };
        rope.theta = inner.positive("rope_theta", rope.theta)?;
        let number = |field: &str| match inner.get(field) {
            Some(_) => inner.positive(field, 1.0),
            None => {
                Err(Error::config(f.path, format!("{name}.{field}"), "is missing; expected a number above 0"))
            }
        };
        let kind = map.get("rope_type").or_else(|| map.get("type"));
        rope.scaling = match kind.map(Value::as_str) {
            None | Some(Some("default")) => rope.scaling,
            Some(Some("linear")) => Some(Scaling::Linear { factor: number("factor")? }),
            Some(Some("llama3")) => Some(Scaling::Llama3 {
                factor: number("factor")?,
                low_freq_factor: number("low_freq_factor")?,
                high_freq_factor: number("high_freq_factor")?,
                original_max_position_embeddings: number("original_max_position_embeddings")?,
            }),
            Some(_) => {
                let supported = "null or rope_type \"default\", \"linear\" or \"llama3\"";
                return Err(Error::unsupported(f.path, name, v, supported));
            }
        };
    }
    rope.check().map_err(|(field, why)| Error::config(f.path, field, why))?;
    Ok(rope)
}

/// The window that queries were trained with.
fn sliding_window(f: &Fields<'_>) -> Result<Option<usize>> {
    // Where the flag is there and off, the number means nothing.
    match f.flag("use_sliding_window", true)? {
        true => f.count_opt("sliding_window", 1 << 31),
        false => Ok(None),
    }
}
