//! A float model, and the files of a tokenizer, from a GGUF file.

use super::file::File;
use super::{config, tokenizer};
use crate::config::LlamaConfig;
use crate::float::FloatModel;
use crate::import::build::{Scaled, TensorSource, build};
use crate::{Error, Result};
use accllm_hw::rope::Scaling;
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

/// The model in `path`, as [`crate::import::load_model_within`].
pub(crate) fn load_model_within(path: &Path, resident: usize) -> Result<FloatModel> {
    let (file, mut config) = File::open(path, config::read)?;
    config.tied_head = !file.has("output.weight");
    known(&file, config.sizes.layers)?;
    if file.has(ROPE) {
        let divisors = file.tensor(ROPE, &[config.sizes.head_dim / 2])?;
        config.sizes.rope.scaling = Some(config::llama3(config.sizes.rope, &divisors).ok_or_else(|| {
            let supported = "Llama 3's divisors (low_freq_factor 1, high_freq_factor 4, 8192 positions)";
            Error::unsupported(path, ROPE, "another scaling of the frequencies", supported)
        })?);
    }
    // As llama.cpp has it: queries and keys are both multiplied by 1 + ln(factor) / 10.
    let queries = match config.sizes.rope.scaling {
        Some(Scaling::Yarn { factor, .. }) if factor > 1.0 => (1.0 + 0.1 * factor.ln()).powi(2),
        _ => 1.0,
    };
    build(config.clone(), Scaled { source: Tensors { file, config }, queries }, resident)
}

/// Parts of a layer: the name here, and Hugging Face's.
const PARTS: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Divisors of the frequencies, for Llama 3.
const ROPE: &str = "rope_freqs.weight";

/// Tensors outside the layers, as [`PARTS`].
const OUTSIDE: [(&str, &str); 3] = [
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];

/// Refuses a file with tensors that would be left out.
fn known(file: &File, layers: usize) -> Result<()> {
    let is_known = |name: &str| {
        let part = |rest: &str| {
            let (number, part) = rest.split_once('.')?;
            let part = part.strip_suffix(".weight")?;
            let ours = number.parse::<usize>().is_ok_and(|n| n < layers);
            (ours && PARTS.iter().any(|p| p.0 == part)).then_some(())
        };
        name == ROPE
            || OUTSIDE.iter().any(|o| o.0 == name)
            || name.strip_prefix("blk.").and_then(part).is_some()
    };
    match file.names().find(|n| !is_known(n)) {
        Some(name) => Err(Error::unsupported(
            file.path(),
            name,
            "a tensor of the file",
            format!("the tensors of a plain Llama model of {layers} layers"),
        )),
        None => Ok(()),
    }
}

/// The file, asked by Hugging Face's names.
struct Tensors {
    file: File,
    config: LlamaConfig,
}

impl TensorSource for Tensors {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let here = translate(name).unwrap_or_else(|| name.to_string());
        let data = self.file.tensor(&here, shape)?;
        let rotated = name.ends_with("q_proj.weight") || name.ends_with("k_proj.weight");
        Ok(if rotated { unpermute(&data, self.config.sizes.head_dim, shape[shape.len() - 1]) } else { data })
    }
}

fn translate(name: &str) -> Option<String> {
    if let Some((here, _)) = OUTSIDE.iter().find(|o| o.1 == name) {
        return Some((*here).to_string());
    }
    let (number, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let part = part.strip_suffix(".weight")?;
    let (here, _) = PARTS.iter().find(|p| p.1 == part)?;
    Some(format!("blk.{number}.{here}.weight"))
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
