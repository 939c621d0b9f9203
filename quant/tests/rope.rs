//! Scaled rotary embedding: frequencies against those of an independent script (tools/rope_frequencies.py), and the
//! way of a scaled model through configuration, quantizer and folder.

use super::support;

use accllm_hw::rope::{Rope, Scaling};
use accllm_llm::config::LlamaConfig;
use accllm_llm::import::load_model;
use accllm_llm::model::QuantModel;
use accllm_quant::quantize::quantize;
use serde_json::{Value, json};
use std::path::Path;
use support::{CONFIG, Outcome, small_options, small_text, tensors, write_folder};

fn with_scaling(scaling: &Value) -> String {
    CONFIG.replace("\"vocab_size\": 50", &format!("\"vocab_size\": 50, \"rope_scaling\": {scaling}"))
}

fn parse(config: &str) -> Result<LlamaConfig, String> {
    LlamaConfig::parse(config, Path::new("config.json")).map_err(|e| e.to_string())
}

#[test]
fn llama3_frequencies_are_those_of_the_formula() -> Outcome {
    let all: Value = serde_json::from_str(include_str!("data/rope_llama3.json"))?;
    let mut seen = 0;
    for (name, m) in all.as_object().into_iter().flatten() {
        let get = |key: &str| m[key].as_f64().unwrap_or(f64::NAN);
        let scaling = json!({"rope_type": "llama3", "factor": get("factor"), "low_freq_factor": get("low"),
            "high_freq_factor": get("high"), "original_max_position_embeddings": m["context"]});
        let rope = Rope { theta: get("theta"), ..parse(&with_scaling(&scaling))?.sizes.rope };
        let dim = get("head_dim") as usize;
        for (i, f) in m["frequencies"].as_array().into_iter().flatten().enumerate() {
            let (ours, theirs) = (rope.frequency(i, dim), f.as_f64().unwrap_or(f64::NAN));
            assert!((ours / theirs - 1.0).abs() < 1e-14, "{name}, pair {i}: {ours} and {theirs}");
            seen += usize::from(ours < Rope::plain(rope.theta).frequency(i, dim));
        }
    }
    assert!(seen > 40, "only {seen} frequencies are scaled");
    Ok(())
}

#[test]
fn other_scalings() -> Outcome {
    let linear = parse(&with_scaling(&json!({"type": "linear", "factor": 4.0})))?.sizes.rope;
    assert_eq!(linear.frequency(3, 10), Rope::plain(10000.0).frequency(3, 10) / 4.0);
    let cases = [
        (json!({"rope_type": "yarn", "factor": 4.0}), "original_max_position_embeddings"),
        (
            json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8, "beta_fast": 0.5}),
            "beta_fast",
        ),
        (json!({"rope_type": "longrope"}), "long_factor"),
        (json!({"type": "su", "long_factor": [1, 1, 1, 1, 2], "short_factor": [1, 1, 1, 1]}), "short_factor"),
        (
            json!({"type": "su", "long_factor": [1, 1, 1, 1, 2], "short_factor": [1, 0, 1, 1, 1]}),
            "short_factor",
        ),
        (json!({"rope_type": "proportional"}), "proportional"),
        (json!({"rope_type": 3}), "rope_scaling"),
        (json!({"rope_type": "linear"}), "rope_scaling.factor"),
        (json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0}), "high_freq_factor"),
        (
            json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192}),
            "high_freq_factor",
        ),
    ];
    for (scaling, word) in cases {
        let text = parse(&with_scaling(&scaling)).err().unwrap_or_default();
        assert!(text.contains(word), "{text:?} does not mention {word}");
    }
    Ok(())
}

#[test]
fn the_scaling_stays_with_the_model() -> Outcome {
    let folder = tempfile::tempdir()?;
    let scaling = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32});
    write_folder(&folder.path().join("a"), &with_scaling(&scaling), &tensors())?;
    write_folder(&folder.path().join("b"), CONFIG, &tensors())?;
    let quantized = |name: &str| -> Result<QuantModel, Box<dyn std::error::Error>> {
        let model = load_model(&folder.path().join(name))?;
        Ok(quantize(&model, &small_text(256), &small_options())?.model)
    };
    let (scaled, plain) = (quantized("a")?, quantized("b")?);
    assert!(matches!(scaled.arch.sizes.rope.scaling, Some(Scaling::Llama3 { .. })));
    assert_ne!(scaled.fingerprint()?, plain.fingerprint()?);
    for (model, name) in [(&scaled, "scaled"), (&plain, "plain")] {
        let out = folder.path().join(name);
        model.save(&out, None)?;
        assert_eq!(QuantModel::load(&out)?.arch, model.arch);
        let text = std::fs::read_to_string(out.join("quant.json"))?;
        assert_eq!(serde_json::from_str::<Value>(&text)?["version"], 5);
    }
    Ok(())
}

#[test]
fn mistral_brings_its_window() -> Outcome {
    let mistral = CONFIG
        .replace("LlamaForCausalLM", "MistralForCausalLM")
        .replace("\"llama\"", "\"mistral\", \"sliding_window\": 20");
    let folder = tempfile::tempdir()?;
    write_folder(folder.path(), &mistral, &tensors())?;
    let model = load_model(folder.path())?;
    assert_eq!(model.config.sliding_window, Some(20));
    let lambda = quantize(&model, &small_text(256), &small_options())?.model.lambda;
    assert_eq!((lambda.n_sink, lambda.n_window), (4, 20));
    Ok(())
}
