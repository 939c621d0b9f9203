//! A float model, and the files of a tokenizer, from a GGUF file.

use super::config::{self, Read};
use super::file::File;
use super::tokenizer;
use crate::config::LlamaConfig;
use crate::float::FloatModel;
use crate::import::build::{Known, TensorSource, build, names};
use crate::import::family::Family;
use crate::import::fused::Fused;
use crate::{Error, Result};
use accllm_hw::rope::{Divisors, MAX_PAIRS, Rope, Scaling};
use accllm_hw::sizes::Linear;
use std::path::Path;

/// Whether `path` names a GGUF file.
pub fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")) && !path.is_dir()
}

/// The files that a tokenizer and its chat template are in elsewhere, `(name, contents)`: `tokenizer.json` and
/// `tokenizer_config.json`.
pub fn tokenizer_files(path: &Path) -> Result<[(&'static str, String); 2]> {
    Ok(File::open(path, tokenizer::files)?.1)
}

/// The licence that a file states.
///
/// # Errors
/// The file cannot be read, or is damaged.
pub fn license(path: &Path) -> Result<Option<String>> {
    Ok(File::open(path, |m| Ok(m.text("general.license")?.map(str::to_string)))?.1)
}

/// What the keys and names of the file in `path` say of the model; no weight of a layer is read.
pub(crate) fn load_config(path: &Path) -> Result<LlamaConfig> {
    let (file, read) = File::open(path, config::read)?;
    complete(&file, read)
}

/// The model in `path`, as [`crate::import::load_model_within`].
pub(crate) fn load_model_within(path: &Path, resident: usize) -> Result<FloatModel> {
    let (file, read) = File::open(path, config::read)?;
    let family = read.family;
    let config = complete(&file, read)?;
    let source = Tensors { file, neighbours: family.neighbours(), head_dim: config.sizes.head_dim };
    let sizes = family.fused().then_some(config.sizes);
    build(config, Fused { source, sizes }, resident)
}

/// The configuration with what only the tensors of the file say: tied head, biases, and divisors of the frequencies.
fn complete(file: &File, read: Read) -> Result<LlamaConfig> {
    let Read { mut config, family, .. } = read;
    config.tied_head = !file.has("output.weight");
    for linear in Linear::LAYER {
        let bias = format!("blk.0.{}", translate(&names::bias(linear)).unwrap_or_default());
        if file.has(&bias) && !config.biases.contains(&linear) {
            config.biases.push(linear);
        }
    }
    known(file, &config, family)?;
    let long = read.longrope || FACTORS.iter().any(|name| file.has(name));
    if long {
        config.sizes.rope.scaling = Some(longrope(file, &config)?);
        config.max_positions = read.original.unwrap_or(config.max_positions);
    }
    if file.has(ROPE) {
        let divisors = file.tensor(ROPE, &[config.sizes.head_dim / 2])?;
        config.sizes.rope.scaling = Some(config::llama3(config.sizes.rope, &divisors).ok_or_else(|| {
            let supported = "Llama 3's divisors (low_freq_factor 1, high_freq_factor 4, 8192 positions)";
            Error::unsupported(file.path(), ROPE, "another scaling of the frequencies", supported)
        })?);
    }
    // As llama.cpp has it: queries and keys are both multiplied by 1 + ln(factor) / 10.
    config.score_factor = match (config.sizes.rope.scaling, read.factor) {
        (Some(Scaling::Longrope { .. }), factor) => factor.map_or(1.0, |(_, f)| f.powi(2)),
        (_, Some((key, factor))) => return Err(Error::unsupported(file.path(), key, factor, "1, or absent")),
        (Some(Scaling::Yarn { factor, .. }), None) if factor > 1.0 => (1.0 + 0.1 * factor.ln()).powi(2),
        _ => 1.0,
    };
    Ok(config)
}

/// LongRoPE's scaling: the divisors for texts within the original context. Those for longer ones are read and left, as sinks
/// and window do not reach beyond it.
fn longrope(file: &File, c: &LlamaConfig) -> Result<Scaling> {
    let of = |name| file.tensor(name, &[c.sizes.head_dim / 2]);
    let (short, _long) = (of(FACTORS[0])?, of(FACTORS[1])?);
    let bad = |why| Error::config(file.path(), FACTORS[0], why);
    let short = Divisors::new(&short)
        .ok_or_else(|| bad(format!("has {} numbers; at most {MAX_PAIRS} are taken", c.sizes.head_dim / 2)))?;
    if let Some(other) = c.sizes.rope.scaling {
        return Err(bad(format!("is there, and the keys say {other:?}; they contradict each other")));
    }
    let scaling = Scaling::Longrope { short_factor: short };
    let rope = Rope { scaling: Some(scaling), ..c.sizes.rope };
    rope.check().map_err(|(_, why)| bad(why))?;
    Ok(scaling)
}

/// Parts of a layer: the name here, and Hugging Face's.
const PARTS: [(&str, &str); 13] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_qkv", "self_attn.qkv_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    // Where gate and up are one, there is no other.
    ("ffn_up", "mlp.gate_up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Divisors of the frequencies, for Llama 3.
const ROPE: &str = "rope_freqs.weight";

/// Divisors of the frequencies of LongRoPE: within the original context, and beyond it.
const FACTORS: [&str; 2] = ["rope_factors_short.weight", "rope_factors_long.weight"];

/// Tensors outside the layers, as [`PARTS`].
const OUTSIDE: [(&str, &str); 3] = [
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];

/// Refuses a file with tensors that would be left out.
fn known(file: &File, c: &LlamaConfig, family: Family) -> Result<()> {
    let known = Known::of(c, family.fused());
    let is_known = |name: &str| {
        let there = |p: &(&str, &str)| name_there(name, p.0, p.1).is_some_and(|n| known.has(&n));
        name == ROPE
            || FACTORS.contains(&name)
            || OUTSIDE.iter().any(|o| o.0 == name)
            || PARTS.iter().any(there)
    };
    match file.names().find(|n| !is_known(n)) {
        Some(name) => Err(Error::unsupported(
            file.path(),
            name,
            "a tensor of the file",
            format!("the tensors of such a model of {} layers", c.sizes.layers),
        )),
        None => Ok(()),
    }
}

/// Hugging Face's name of the tensor `name`, if it is this part of a layer.
fn name_there(name: &str, here: &str, there: &str) -> Option<String> {
    let (number, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    let kind = rest.strip_prefix(here)?.strip_prefix('.')?;
    Some(format!("model.layers.{number}.{there}.{kind}"))
}

/// The file, asked by Hugging Face's names.
struct Tensors {
    file: File,
    /// Whether RoPE turns neighbouring elements.
    neighbours: bool,
    head_dim: usize,
}

impl TensorSource for Tensors {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let outside = OUTSIDE.iter().find(|o| o.1 == name).map(|o| o.0.to_string());
        let of_layer = || {
            let (number, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
            Some(format!("blk.{number}.{}", translate(part)?))
        };
        let here = outside.or_else(of_layer).unwrap_or_else(|| name.to_string());
        let data = self.file.tensor(&here, shape)?;
        let rotated = ["self_attn.q_proj.", "self_attn.k_proj."].iter().any(|part| name.contains(part));
        let columns = shape.get(1).copied().unwrap_or(1);
        Ok(if rotated && self.neighbours { unpermute(&data, self.head_dim, columns) } else { data })
    }
}

/// The name here of a part of a layer.
fn translate(part: &str) -> Option<String> {
    let (there, kind) = part.rsplit_once('.')?;
    let (here, _) = PARTS.iter().find(|p| p.1 == there)?;
    Some(format!("{here}.{kind}"))
}

/// Rows of q or k in the order of the checkpoint: there the pairs that RoPE turns are `(i, i + head_dim/2)`, here
/// `(2i, 2i + 1)`.
fn unpermute(data: &[f32], head_dim: usize, cols: usize) -> Vec<f32> {
    let half = head_dim / 2;
    let heads = data.chunks_exact(head_dim * cols);
    let rows = heads.flat_map(|head| {
        let row = move |at: usize| &head[at * cols..(at + 1) * cols];
        (0..head_dim).map(move |r| row(2 * (r % half) + r / half))
    });
    rows.flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_back_to_their_halves() {
        // Two heads of six rows and one column; the permutation of convert_hf_to_gguf is
        // reshape(heads, 2, 3).swapaxes(1, 2).
        let here = [0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 6.0, 9.0, 7.0, 10.0, 8.0, 11.0];
        let there: Vec<f32> = (0..12u8).map(f32::from).collect();
        assert_eq!(unpermute(&here, 6, 1), there);
    }
}
