//! How much memory a large checkpoint takes (Linux only, measured by hand: it writes 1.5 GB into a temporary folder).

use accllm_llm::import::load_model;
use accllm_llm::perplexity::{Protocol, perplexity};
use std::io::Write as _;

/// `config.json` of a model of 16 layers, 0.8e9 weights.
const CONFIG: &str = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
    "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 16, "num_attention_heads": 16,
    "num_key_value_heads": 16, "vocab_size": 1000, "rms_norm_eps": 1e-5, "max_position_embeddings": 2048}"#;

/// Writes a shard of random bf16 tensors; `head` is its header without offsets.
fn shard(path: &std::path::Path, tensors: &[(String, Vec<usize>)]) -> std::io::Result<()> {
    let (mut header, mut at) = (serde_json::Map::new(), 0);
    for (name, shape) in tensors {
        let end = at + 2 * shape.iter().product::<usize>();
        header.insert(
            name.clone(),
            serde_json::json!({"dtype": "BF16", "shape": shape, "data_offsets": [at, end]}),
        );
        at = end;
    }
    let mut header = serde_json::Value::from(header).to_string();
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    let mut state = 1u64;
    for (_, shape) in tensors {
        for _ in 0..shape.iter().product::<usize>() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let value = ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 0.03;
            let value = if shape.len() == 1 { 1.0 } else { value };
            out.write_all(&half::bf16::from_f32(value).to_le_bytes())?;
        }
    }
    out.flush()
}

/// A line of /proc/self/status, MB.
fn status(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    Some(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1000)
}

#[test]
#[ignore = "measures; writes 1.5 GB"]
fn a_large_checkpoint_needs_less_memory_than_its_file() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("config.json"), CONFIG)?;
    let mut map = serde_json::Map::new();
    let mut size = 0;
    for n in 0..4 {
        let file = format!("model-{n}.safetensors");
        let mut tensors: Vec<(String, Vec<usize>)> = Vec::new();
        if n == 0 {
            tensors.push(("model.embed_tokens.weight".into(), vec![1000, 2048]));
            tensors.push(("lm_head.weight".into(), vec![1000, 2048]));
            tensors.push(("model.norm.weight".into(), vec![2048]));
        }
        for l in 4 * n..4 * n + 4 {
            for part in ["self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o"] {
                tensors.push((format!("model.layers.{l}.{part}_proj.weight"), vec![2048, 2048]));
            }
            tensors.push((format!("model.layers.{l}.mlp.gate_proj.weight"), vec![5632, 2048]));
            tensors.push((format!("model.layers.{l}.mlp.up_proj.weight"), vec![5632, 2048]));
            tensors.push((format!("model.layers.{l}.mlp.down_proj.weight"), vec![2048, 5632]));
            for part in ["input_layernorm", "post_attention_layernorm"] {
                tensors.push((format!("model.layers.{l}.{part}.weight"), vec![2048]));
            }
        }
        map.extend(tensors.iter().map(|(name, _)| (name.clone(), file.clone().into())));
        shard(&folder.path().join(&file), &tensors)?;
        size += std::fs::metadata(folder.path().join(&file))?.len() / 1_000_000;
    }
    let index = serde_json::json!({"weight_map": map}).to_string();
    std::fs::write(folder.path().join("model.safetensors.index.json"), index)?;
    let model = load_model(folder.path())?;
    let opened = status("VmHWM");
    let text: Vec<u32> = (0..512u32).map(|i| i * 7919 % 1000).collect();
    let found = perplexity(&model, &text, Protocol { window: 128, windows: Some(4) })?;
    let peak = status("VmHWM");
    println!("file {size} MB; peak memory {opened:?} MB opened, {peak:?} MB after {} tokens", found.tokens);
    assert!(peak.is_none_or(|p| p < size), "the peak is above the size of the file");
    Ok(())
}
