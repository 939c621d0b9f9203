//! A Hugging Face folder: `config.json`, safetensors, and the files of the tokenizer.

use crate::config::LlamaConfig;
use crate::float::{FloatLayer, FloatModel, Matrix};
use crate::{Error, Result};
use accllm_hw::rope::Scaling;
use accllm_hw::sizes::Linear;
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize_to_file};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Most weights of a model in one file of tensors.
const FILE: usize = 1 << 28;

/// A tensor in the making.
struct Tensor {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Writes `model` into `folder`, which must exist, in 32-bit floats; `progress` is told of layers written since it was told
/// before. The caller gives the folder its final name when all is there.
///
/// # Errors
/// The folder cannot be written to, or a layer cannot be read.
pub fn write(model: &FloatModel, folder: &Path, progress: impl FnMut(usize)) -> Result<()> {
    write_within(model, folder, FILE, progress)
}

/// [`write`] with one file of tensors for a model of at most `most` weights, and a file for each layer of a larger one.
///
/// # Errors
/// As there.
pub fn write_within(
    model: &FloatModel,
    folder: &Path,
    most: usize,
    mut progress: impl FnMut(usize),
) -> Result<()> {
    let save = |name: &str, value: &Value| {
        let path = folder.join(name);
        let text = serde_json::to_string_pretty(value).map_err(|e| Error::malformed(&path, "JSON", e))?;
        std::fs::write(&path, text + "\n").map_err(|e| Error::io("write", &path, e))
    };
    save("config.json", &config(&model.config))?;
    let (layers, weights) = (model.layers.len(), weights(&model.config));
    let parts = if weights <= most { 1 } else { layers + 1 };
    let mut index = Map::new();
    let mut tensors = Vec::new();
    let mut part = 0;
    let mut finish = |tensors: &mut Vec<Tensor>| {
        part += 1;
        let name = match parts {
            1 => "model.safetensors".to_string(),
            _ => format!("model-{part:05}-of-{parts:05}.safetensors"),
        };
        index.extend(tensors.iter().map(|t| (t.name.clone(), Value::from(name.clone()))));
        serialize(&std::mem::take(tensors), &folder.join(&name))
    };
    for l in 0..layers {
        let weights = model.layer(l)?;
        tensors.extend(layer(&model.config, l, &weights));
        if parts > 1 {
            finish(&mut tensors)?;
        }
        progress(1);
    }
    tensors.push(matrix("model.embed_tokens", &model.embed));
    tensors.push(vector("model.norm", &model.final_norm));
    tensors.extend(model.head.as_ref().map(|head| matrix("lm_head", head)));
    finish(&mut tensors)?;
    if parts > 1 {
        let metadata = json!({ "total_size": 4 * weights });
        save("model.safetensors.index.json", &json!({ "metadata": metadata, "weight_map": index }))?;
    }
    Ok(())
}

/// Weights of the whole model.
fn weights(c: &LlamaConfig) -> usize {
    let s = &c.sizes;
    let tables = 2 - usize::from(c.tied_head);
    s.layers * s.linear_weights().iter().sum::<usize>()
        + (2 * s.layers + 1) * s.hidden
        + tables * s.vocab * s.hidden
}

fn config(c: &LlamaConfig) -> Value {
    let (architecture, kind) = match (c.head_norms, c.unrotated.is_empty()) {
        (true, _) => ("Qwen3ForCausalLM", "qwen3"),
        (false, true) => ("LlamaForCausalLM", "llama"),
        (false, false) => ("SmolLM3ForCausalLM", "smollm3"),
    };
    let mut all = json!({
        "architectures": [architecture],
        "model_type": kind,
        "hidden_act": "silu",
        "attention_bias": has(&ATTENTION, c),
        "mlp_bias": has(&FEED_FORWARD, c),
        "hidden_size": c.sizes.hidden,
        "intermediate_size": c.sizes.ff,
        "num_hidden_layers": c.sizes.layers,
        "num_attention_heads": c.sizes.heads,
        "num_key_value_heads": c.sizes.kv_heads,
        "head_dim": c.sizes.head_dim,
        "vocab_size": c.sizes.vocab,
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.sizes.rope.theta,
        "rope_scaling": c.sizes.rope.scaling,
        "tie_word_embeddings": c.tied_head,
        "max_position_embeddings": c.max_positions,
        "bos_token_id": c.bos,
        "eos_token_id": c.eos,
        "torch_dtype": "float32",
    });
    // What YaRN and LongRoPE multiply queries and keys with is in the weights of q already.
    if let Some(Scaling::Yarn { .. } | Scaling::Longrope { .. }) = c.sizes.rope.scaling {
        all["rope_scaling"]["attention_factor"] = json!(1.0);
    }
    if let Some(Scaling::Longrope { short_factor }) = c.sizes.rope.scaling {
        all["rope_scaling"]["long_factor"] = json!(short_factor);
        all["rope_scaling"]["original_max_position_embeddings"] = json!(c.max_positions);
    }
    if !c.unrotated.is_empty() {
        let rotates = (0..c.sizes.layers).map(|l| u8::from(c.rotates(l)));
        all["no_rope_layers"] = json!(rotates.collect::<Vec<_>>());
        // The family's own is a token of SmolLM3's vocabulary.
        all["pad_token_id"] = Value::Null;
    }
    if c.eos.is_empty() {
        all["eos_token_id"] = Value::Null;
    }
    all
}

/// Linears that have biases together: where one does, the others have zeros.
const ATTENTION: [Linear; 4] = [Linear::Q, Linear::K, Linear::V, Linear::O];
const FEED_FORWARD: [Linear; 3] = [Linear::Gate, Linear::Up, Linear::Down];

fn has(linears: &[Linear], c: &LlamaConfig) -> bool {
    c.biases.iter().any(|l| linears.contains(l))
}

fn layer(c: &LlamaConfig, l: usize, w: &FloatLayer) -> Vec<Tensor> {
    let name = |part: &str| format!("model.layers.{l}.{part}");
    let gains = [("q_norm", &w.q_norm), ("k_norm", &w.k_norm)].into_iter().filter(|(_, g)| !g.is_empty());
    let mut all: Vec<Tensor> =
        gains.map(|(part, g)| vector(&name(&format!("self_attn.{part}")), g)).collect();
    all.extend([
        vector(&name("input_layernorm"), &w.attn_norm),
        matrix(&name("self_attn.q_proj"), &w.q),
        matrix(&name("self_attn.k_proj"), &w.k),
        matrix(&name("self_attn.v_proj"), &w.v),
        matrix(&name("self_attn.o_proj"), &w.o),
        vector(&name("post_attention_layernorm"), &w.mlp_norm),
        matrix(&name("mlp.gate_proj"), &w.gate),
        matrix(&name("mlp.up_proj"), &w.up),
        matrix(&name("mlp.down_proj"), &w.down),
    ]);
    for linears in [&ATTENTION[..], &FEED_FORWARD].into_iter().filter(|linears| has(linears, c)) {
        for which in linears {
            let part = if linears.len() == 4 { "self_attn" } else { "mlp" };
            let zeros = vec![0.0; c.sizes.linear(*which).0];
            let bias = Some(&w.biases[*which]).filter(|b| !b.is_empty()).unwrap_or(&zeros);
            let name = name(&format!("{part}.{}_proj.bias", which.name()));
            all.push(tensor(name, vec![bias.len()], bias));
        }
    }
    all
}

fn tensor(name: String, shape: Vec<usize>, data: &[f32]) -> Tensor {
    Tensor { name, shape, bytes: data.iter().flat_map(|v| v.to_le_bytes()).collect() }
}

fn matrix(name: &str, w: &Matrix) -> Tensor {
    tensor(format!("{name}.weight"), vec![w.rows, w.cols], &w.data)
}

fn vector(name: &str, data: &[f32]) -> Tensor {
    tensor(format!("{name}.weight"), vec![data.len()], data)
}

fn serialize(tensors: &[Tensor], path: &Path) -> Result<()> {
    let bad = |e| Error::malformed(path, "safetensors", e);
    let views = tensors.iter().map(|Tensor { name, shape, bytes }| {
        Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(bad)?))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    // transformers refuses files that do not say who their tensors are for.
    let metadata = std::collections::HashMap::from([("format".to_string(), "pt".to_string())]);
    serialize_to_file(views, Some(metadata), path).map_err(bad)
}
