//! Small random models of each family, with the logits that transformers gives.

use crate::gguf::{Pair, Tensor, f32_pair, file, list_pair, text, text_pair, u32_pair};
use crate::{Random, Raw, write_folder};
use accllm_llm::float::FloatModel;
use accllm_llm::import::load_model;
use safetensors::Dtype;
use serde::Deserialize;
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A model.
#[derive(Deserialize)]
pub struct Case {
    /// What it is.
    pub name: String,
    /// Its `config.json`.
    pub config: Value,
    /// Name, shape, scale and offset of each tensor, in the order in which their numbers are drawn.
    tensors: Vec<(String, Vec<usize>, f32, f32)>,
    /// A text.
    pub tokens: Vec<u32>,
    /// Logits after each of its tokens.
    pub logits: Vec<Vec<f64>>,
}

impl Case {
    /// The checkpoint.
    pub fn tensors(&self) -> Vec<Raw> {
        let mut random = Random(7);
        let tensor = |(name, shape, scale, offset): &(String, Vec<usize>, f32, f32)| {
            let numbers = (0..shape.iter().product()).map(|_| random.next() * scale + offset);
            Raw {
                name: name.clone(),
                dtype: Dtype::F32,
                shape: shape.clone(),
                bytes: numbers.flat_map(f32::to_le_bytes).collect(),
            }
        };
        self.tensors.iter().map(tensor).collect()
    }

    /// The model.
    pub fn model(&self) -> Result<FloatModel> {
        let folder = tempfile::tempdir()?;
        write_folder(folder.path(), &self.config.to_string(), &self.tensors())?;
        Ok(load_model(folder.path())?)
    }
}

/// Names of llama.cpp's tensors, longer parts of a name first.
const NAMES: [(&str, &str); 17] = [
    ("model.layers.", "blk."),
    ("model.embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("lm_head", "output"),
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("self_attn.o_proj", "attn_output"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

impl Case {
    /// The model as llama.cpp's converter writes it: a GGUF file.
    pub fn gguf(&self) -> Vec<u8> {
        let kind = self.config["model_type"].as_str().unwrap_or_default();
        let number = |name: &str| self.config[name].as_u64().unwrap_or(0) as u32;
        let head = match number("head_dim") {
            0 => number("hidden_size") / number("num_attention_heads"),
            width => width,
        };
        let key = |name: &str| format!("{kind}.{name}");
        let mut pairs = tokenizer(number("vocab_size")).to_vec();
        pairs.extend([
            text_pair("general.architecture", kind),
            u32_pair(&key("block_count"), number("num_hidden_layers")),
            u32_pair(&key("context_length"), number("max_position_embeddings")),
            u32_pair(&key("embedding_length"), number("hidden_size")),
            u32_pair(&key("feed_forward_length"), number("intermediate_size")),
            u32_pair(&key("attention.head_count"), number("num_attention_heads")),
            u32_pair(&key("attention.head_count_kv"), number("num_key_value_heads")),
            u32_pair(&key("attention.key_length"), head),
            f32_pair(&key("attention.layer_norm_rms_epsilon"), 1e-5),
        ]);
        let scaling = &self.config["rope_scaling"];
        if scaling["rope_type"] == "yarn" {
            let of = |name: &str| scaling[name].as_f64().unwrap_or(0.0);
            pairs.extend([
                text_pair(&key("rope.scaling.type"), "yarn"),
                f32_pair(&key("rope.scaling.factor"), of("factor") as f32),
                u32_pair(
                    &key("rope.scaling.original_context_length"),
                    of("original_max_position_embeddings") as u32,
                ),
            ]);
        }
        let mut tensors = Vec::new();
        if scaling["type"] == "longrope" {
            let (all, original) =
                (number("max_position_embeddings"), number("original_max_position_embeddings"));
            let (all, original) = (f64::from(all), f64::from(original));
            pairs.extend([
                u32_pair(&key("rope.scaling.original_context_length"), original as u32),
                f32_pair(
                    &key("rope.scaling.attn_factor"),
                    (1.0 + (all / original).ln() / original.ln()).sqrt() as f32,
                ),
                // What the converter writes where there is none.
                u32_pair(&key("attention.sliding_window"), 0),
            ]);
            tensors =
                ["long", "short"].map(|which| factors(which, &scaling[format!("{which}_factor")])).into();
        }
        let convert = |Raw { name, shape, bytes, .. }: Raw| {
            let rotated = name.contains("q_proj") || name.contains("k_proj");
            let row = bytes.len() / shape[0];
            let bytes = if rotated && matches!(kind, "llama" | "smollm3") {
                neighbours(&bytes, head as usize, row)
            } else {
                bytes
            };
            let name = NAMES.iter().fold(name, |n, (from, to)| n.replace(from, to));
            Tensor { name, shape, kind: 0, bytes }
        };
        tensors.extend(self.tensors().into_iter().map(convert));
        file(&pairs, &tensors)
    }
}

/// Divisors of LongRoPE.
fn factors(which: &str, numbers: &Value) -> Tensor {
    let numbers: Vec<f32> =
        numbers.as_array().into_iter().flatten().filter_map(Value::as_f64).map(|v| v as f32).collect();
    let bytes = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
    Tensor { name: format!("rope_factors_{which}.weight"), shape: vec![numbers.len()], kind: 0, bytes }
}

/// Rows of q or k, of `row` bytes, with the pairs that RoPE turns next to each other: reshape(heads, 2, head / 2).swapaxes(1, 2).
fn neighbours(bytes: &[u8], head: usize, row: usize) -> Vec<u8> {
    let heads = bytes.chunks_exact(head * row);
    let rows = heads.flat_map(|h| (0..head).map(move |r| &h[(r % 2 * (head / 2) + r / 2) * row..][..row]));
    rows.flatten().copied().collect()
}

/// A tokenizer of so many single bytes.
fn tokenizer(count: u32) -> [Pair; 5] {
    let tokens: Vec<Vec<u8>> = (0..count).map(|i| text(&char::from(b'A' + i as u8).to_string())).collect();
    [
        text_pair("tokenizer.ggml.model", "gpt2"),
        text_pair("tokenizer.ggml.pre", "qwen2"),
        list_pair("tokenizer.ggml.tokens", 8, &tokens),
        list_pair("tokenizer.ggml.merges", 8, &[]),
        u32_pair("tokenizer.ggml.eos_token_id", 1),
    ]
}

/// All of them.
pub fn cases() -> Result<Vec<Case>> {
    Ok(serde_json::from_str(include_str!("../data/families.json"))?)
}

/// The one of this name.
pub fn find(name: &str) -> Result<Case> {
    cases()?.into_iter().find(|c| c.name == name).ok_or_else(|| format!("no case {name:?}").into())
}
