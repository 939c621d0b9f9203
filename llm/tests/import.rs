//! Import of Hugging Face folders: what is accepted, and what each refusal says.

use super::support;

use accllm_llm::config::LlamaConfig;
use accllm_llm::import::load_model;
use safetensors::Dtype;
use std::path::Path;
use support::{CONFIG, Outcome, Raw, tensors, write_folder, write_tensors};

/// Loads a folder and returns the error text.
fn refusal(config: &str, tensors: &[Raw]) -> Result<String, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    write_folder(folder.path(), config, tensors)?;
    match load_model(folder.path()) {
        Ok(_) => Err("the folder was accepted".into()),
        Err(e) => Ok(e.to_string()),
    }
}

fn config_refusal(config: &str) -> String {
    LlamaConfig::parse(config, Path::new("config.json")).err().map(|e| e.to_string()).unwrap_or_default()
}

fn must_name(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{text:?} does not mention {word:?}");
    }
}

#[test]
fn unsupported_configurations_are_named() {
    let cases = [
        ("\"llama\"", "\"mixtral\"", vec!["model_type", "mixtral", "LlamaForCausalLM"]),
        (
            "LlamaForCausalLM",
            "Qwen9ForCausalLM",
            vec!["architectures", "Qwen9ForCausalLM", "Qwen2ForCausalLM"],
        ),
        ("\"silu\"", "\"gelu\"", vec!["hidden_act", "gelu", "silu"]),
        ("\"vocab_size\": 50", "\"vocab_size\": 0", vec!["vocab_size", "0"]),
        ("\"vocab_size\": 50", "\"vocab_size\": -3", vec!["vocab_size", "-3"]),
        (
            "\"vocab_size\": 50",
            "\"vocab_size\": 50, \"attention_bias\": 1",
            vec!["attention_bias", "true or false"],
        ),
        ("\"vocab_size\": 50", "\"vocab_size\": 50, \"no_rope_layers\": [0, 1]", vec!["no_rope_layers"]),
        (
            "\"vocab_size\": 50",
            "\"vocab_size\": 50, \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0}",
            vec!["rope_scaling.low_freq_factor", "missing"],
        ),
        ("\"vocab_size\": 50", "\"vocab_size\": 50, \"head_dim\": 7", vec!["head_dim", "even"]),
        ("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", vec!["num_key_value_heads", "divide"]),
        ("\"hidden_size\": 40", "\"hidden_size\": 41", vec!["head_dim", "41"]),
        ("\"hidden_size\": 40,", "", vec!["hidden_size", "missing"]),
        ("\"rope_theta\": 10000.0", "\"rope_theta\": -1", vec!["rope_theta"]),
        ("\"bos_token_id\": 0", "\"bos_token_id\": 50", vec!["bos_token_id", "50"]),
    ];
    for (from, to, words) in cases {
        let config = CONFIG.replace(from, to);
        assert_ne!(config, CONFIG, "{from} is not in the configuration");
        must_name(&config_refusal(&config), &words);
    }
    must_name(&config_refusal("[]"), &["not an object"]);
    must_name(&config_refusal("{"), &["JSON"]);
}

#[test]
fn default_rope_scaling_is_accepted() -> Outcome {
    let config = CONFIG.replace(
        "\"rope_theta\": 10000.0",
        "\"rope_scaling\": null, \"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 5e5}",
    );
    let parsed = LlamaConfig::parse(&config, Path::new("config.json"))?;
    assert_eq!((parsed.sizes.rope.theta, parsed.eos, parsed.sizes.head_dim), (5e5, vec![1, 2], 10));
    Ok(())
}

#[test]
fn bad_tensors_are_named() -> Outcome {
    let edit = |name: &str, change: fn(&mut Raw)| {
        let mut all = tensors();
        all.iter_mut().filter(|t| t.name == name).for_each(change);
        refusal(CONFIG, &all)
    };
    let q = "model.layers.1.self_attn.q_proj.weight";
    let nan = |t: &mut Raw| t.bytes[20..24].copy_from_slice(&f32::NAN.to_le_bytes());
    must_name(&edit(q, nan)?, &[q, "element 5", "NaN"]);
    let inf = |t: &mut Raw| t.bytes[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    must_name(&edit("model.norm.weight", inf)?, &["model.norm.weight", "element 0", "inf"]);
    must_name(&edit(q, |t| t.shape = vec![20, 80])?, &[q, "[20, 80]", "[40, 40]"]);
    must_name(&edit(q, |t| t.dtype = Dtype::I32)?, &[q, "I32", "BF16"]);
    must_name(&edit(q, |t| t.name = "other".into())?, &[q, "missing"]);
    let mut bias = tensors();
    let name = "model.layers.0.self_attn.q_proj.bias";
    bias.push(Raw { name: name.into(), shape: vec![40], bytes: vec![0; 160], ..bias[0].clone() });
    must_name(&refusal(CONFIG, &bias)?, &[name, "such a model"]);
    let untied: Vec<_> = tensors().into_iter().filter(|t| t.name != "lm_head.weight").collect();
    must_name(&refusal(CONFIG, &untied)?, &["lm_head.weight", "missing"]);
    let tied = CONFIG.replace("\"llama\"", "\"llama\", \"tie_word_embeddings\": true");
    let folder = tempfile::tempdir()?;
    write_folder(folder.path(), &tied, &untied)?;
    assert!(load_model(folder.path())?.head.is_none());
    Ok(())
}

#[test]
fn missing_and_truncated_files_are_refused() -> Outcome {
    let folder = tempfile::tempdir()?;
    let text = |folder: &Path| load_model(folder).err().map(|e| e.to_string()).unwrap_or_default();
    must_name(&text(folder.path()), &["config.json"]);
    std::fs::write(folder.path().join("config.json"), CONFIG)?;
    must_name(&text(folder.path()), &["model.safetensors", "model.safetensors.index.json"]);
    write_folder(folder.path(), CONFIG, &tensors())?;
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path)?;
    for length in [0, 4, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length])?;
        must_name(&text(folder.path()), &["model.safetensors", "damaged"]);
    }
    Ok(())
}

#[test]
fn shards_give_the_same_model() -> Outcome {
    let (one, many) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let all = tensors();
    write_folder(one.path(), CONFIG, &all)?;
    std::fs::write(many.path().join("config.json"), CONFIG)?;
    let (first, second) = all.split_at(9);
    write_tensors(&many.path().join("a.safetensors"), first)?;
    write_tensors(&many.path().join("b.safetensors"), second)?;
    let index = |first_file: &str| {
        let entry = |t: &Raw, file: &str| (t.name.clone(), serde_json::Value::from(file));
        let map: serde_json::Map<_, _> = first
            .iter()
            .map(|t| entry(t, first_file))
            .chain(second.iter().map(|t| entry(t, "b.safetensors")))
            .collect();
        serde_json::json!({"metadata": {}, "weight_map": map}).to_string()
    };
    let path = many.path().join("model.safetensors.index.json");
    std::fs::write(&path, index("a.safetensors"))?;
    let (a, b) = (load_model(one.path())?, load_model(many.path())?);
    assert_eq!(a.embed, b.embed);
    assert_eq!(a.layer(1)?.down, b.layer(1)?.down);
    for outside in ["../a.safetensors", "/etc/passwd", ""] {
        std::fs::write(&path, index(outside))?;
        let text = load_model(many.path()).err().map(|e| e.to_string()).unwrap_or_default();
        must_name(&text, &["weight_map", "without folders"]);
    }
    std::fs::write(&path, index("missing.safetensors"))?;
    assert!(load_model(many.path()).is_err());
    Ok(())
}

#[test]
fn half_types_are_read() -> Outcome {
    let mut all = tensors();
    for (i, t) in all.iter_mut().enumerate() {
        let values = t.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        (t.dtype, t.bytes) = match i % 2 {
            0 => (Dtype::F16, values.flat_map(|v| half::f16::from_f32(v).to_le_bytes()).collect()),
            _ => (Dtype::BF16, values.flat_map(|v| half::bf16::from_f32(v).to_le_bytes()).collect()),
        };
    }
    let folder = tempfile::tempdir()?;
    write_folder(folder.path(), CONFIG, &all)?;
    let (half, full) = (load_model(folder.path())?, support::small_float()?);
    for (a, b) in half.layer(0)?.q.data.iter().zip(&full.layer(0)?.q.data) {
        assert!((a - b).abs() <= b.abs() / 256.0 + 1e-6, "{b} became {a}");
    }
    Ok(())
}
