//! Families of models: small random ones, all logits equal to those of transformers (`tools/reference_families.py`).

use super::support;

use accllm_llm::config::LlamaConfig;
use accllm_llm::export::{float, write};
use accllm_llm::float::{FloatModel, NoTap};
use accllm_llm::import::{load_model, load_model_within};
use accllm_llm::int::{Logits, NoIntTap, Sequence};
use accllm_llm::model::{QuantModel, WeightFormat};
use accllm_quant::quantize::{Options, quantize};
use accllm_quant::transform::Keys;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use support::families::{Case, cases, find};
use support::{Outcome, small_options, small_text, write_folder};

/// Largest difference of a logit over its size, where that is not near 0.
fn apart(model: &FloatModel, case: &Case) -> Result<f64, Box<dyn std::error::Error>> {
    let logits = model.logits(&case.tokens, None, &mut NoTap)?;
    let expected: Vec<f64> = case.logits.concat();
    assert_eq!(logits.len(), expected.len());
    let each = logits.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs() / b.abs().max(0.1));
    Ok(each.fold(0.0, f64::max))
}

#[test]
fn logits_are_those_of_transformers() -> Outcome {
    let cases = cases()?;
    assert!(cases.len() >= 13);
    for case in &cases {
        let folder = tempfile::tempdir()?;
        write_folder(folder.path(), &case.config.to_string(), &case.tensors())?;
        let model = load_model(folder.path())?;
        let apart = apart(&model, case)?;
        assert!(apart < 1e-4, "{}: logits differ by {apart}", case.name);
        // From the file, a layer at a time.
        let stored = load_model_within(folder.path(), 0)?;
        assert_eq!(
            stored.logits(&case.tokens, None, &mut NoTap)?,
            model.logits(&case.tokens, None, &mut NoTap)?
        );
    }
    Ok(())
}

/// Up to the trained positions dynamic scaling is none, in transformers as here.
#[test]
fn dynamic_scaling() -> Outcome {
    let mut case = find("llama")?;
    for (field, kind) in
        [("rope_scaling", "rope_type"), ("rope_scaling", "type"), ("rope_parameters", "rope_type")]
    {
        case.config["rope_scaling"] = Value::Null;
        case.config[field] = serde_json::json!({kind: "dynamic", "factor": 4.0});
        let model = case.model()?;
        assert_eq!((model.config.sizes.rope.scaling, model.config.max_positions), (None, 64));
        let apart = apart(&model, &case)?;
        assert!(apart < 1e-4, "{field}, {kind}: logits differ by {apart}");
    }
    Ok(())
}

/// Names, prefixes of keys, orders of rows, fused tensors, scaling.
#[test]
fn gguf_files_are_the_same_models() -> Outcome {
    let names = [
        "llama with biases",
        "qwen2",
        "qwen2 with yarn",
        "qwen3",
        "qwen3 with yarn and biases",
        "phi3",
        "phi3 with longrope",
        "qwen3 with heads of 256",
        "phi3 with longrope and heads of 160",
    ];
    for name in names {
        let (case, folder) = (find(name)?, tempfile::tempdir()?);
        let path = folder.path().join("model.gguf");
        std::fs::write(&path, case.gguf())?;
        let model = load_model(&path)?;
        let apart = apart(&model, &case)?;
        assert!(apart < 1e-4, "{name}: logits differ by {apart}");
    }
    Ok(())
}

/// A GGUF file does not say which layers have no rotation: every fourth, as in the published model.
#[test]
fn a_gguf_file_of_smollm3() -> Outcome {
    let (mut case, folder) = (find("smollm3 by interval")?, tempfile::tempdir()?);
    case.config["no_rope_layer_interval"] = 4.into();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, case.gguf())?;
    let (model, expected) = (load_model(&path)?, case.model()?);
    assert_eq!((&model.config.unrotated[..], &expected.config.unrotated[..]), (&[3][..], &[3][..]));
    let logits = expected.logits(&case.tokens, None, &mut NoTap)?;
    case.logits = logits.chunks(48).map(|row| row.iter().map(|v| f64::from(*v)).collect()).collect();
    let apart = apart(&model, &case)?;
    assert!(apart < 1e-4, "logits differ by {apart}");
    // Of the same tensors with other layers rotated it is another model.
    let other = find("smollm3 by interval")?.model()?;
    let apart = self::apart(&other, &case)?;
    assert!(apart > 0.01, "logits differ by only {apart}");
    Ok(())
}

/// What a file with LongRoPE must have, and must not.
#[test]
fn longrope_of_a_gguf_file() -> Outcome {
    let case = find("phi3 with longrope")?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.gguf");
    let whole = case.gguf();
    let read = |bytes: Vec<u8>| -> Result<FloatModel, Box<dyn std::error::Error>> {
        std::fs::write(&path, bytes)?;
        Ok(load_model(&path)?)
    };
    let (model, expected) = (read(whole.clone())?, case.model()?);
    assert_eq!(model.config.max_positions, expected.config.max_positions);
    assert_eq!(model.config.sizes.rope, expected.config.sizes.rope);
    assert_eq!(model.config.sliding_window, None);
    let renamed = |from: &str, to: &str| {
        let at = whole.windows(from.len()).position(|w| w == from.as_bytes());
        let mut bytes = whole.clone();
        if let Some(at) = at {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        at.map(|_| bytes).ok_or("no such name")
    };
    for (from, to, said) in [
        ("rope_factors_long.weight", "rope_factors_lung.weight", "rope_factors_lung.weight"),
        ("rope.scaling.attn_factor", "rope.scaling.atfn_factor", ""),
        ("phi3.attention.sliding_window", "phi3.attention.sliding_windxw", ""),
    ] {
        match (read(renamed(from, to)?), said) {
            (Ok(model), "") => {
                // Without its factor the scores are others; a window of 0 is none.
                let same = apart(&model, &case)? < 1e-4;
                assert_eq!(same, from.contains("sliding"), "{from}");
            }
            (Err(e), said) if !said.is_empty() => assert!(e.to_string().contains(said), "{e}"),
            (found, _) => panic!("{from}: {:?}", found.map(|m| m.config)),
        }
    }
    Ok(())
}

/// The comparison above sees each thing that a family has.
#[test]
fn nothing_of_a_family_goes_without() -> Outcome {
    type Change = fn(&mut FloatModel) -> accllm_llm::Result<()>;
    let changes: [(&str, Change); 5] = [
        ("qwen2", |m| {
            m.layers.resident()?.iter_mut().for_each(|w| w.biases = Default::default());
            Ok(())
        }),
        ("qwen3", |m| {
            m.layers.resident()?.iter_mut().for_each(|w| w.k_norm.clear());
            Ok(())
        }),
        ("smollm3", |m| {
            m.config.unrotated.clear();
            Ok(())
        }),
        ("phi3 with longrope", |m| {
            m.config.sizes.rope.scaling = None;
            Ok(())
        }),
        ("llama with biases", |m| {
            for w in m.layers.resident()? {
                w.biases[accllm_hw::sizes::Linear::Down].clear();
            }
            Ok(())
        }),
    ];
    for (name, change) in changes {
        let case = find(name)?;
        let mut model = case.model()?;
        change(&mut model)?;
        let apart = apart(&model, &case)?;
        assert!(apart > 0.01, "{name}: logits differ by only {apart}");
    }
    Ok(())
}

/// A tensor that the configuration does not ask for is never left out, and one that it asks for is never missing.
#[test]
fn tensors_are_those_of_the_configuration() -> Outcome {
    let refusal = |config: &Value, case: &Case| -> Result<String, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        write_folder(folder.path(), &config.to_string(), &case.tensors())?;
        Ok(load_model(folder.path()).err().map(|e| e.to_string()).unwrap_or_default())
    };
    let mut case = find("llama with biases")?;
    case.config["attention_bias"] = false.into();
    let text = refusal(&case.config, &case)?;
    assert!(text.contains("self_attn") && text.contains(".bias"), "{text}");
    let mut case = find("llama")?;
    case.config["mlp_bias"] = true.into();
    let text = refusal(&case.config, &case)?;
    assert!(text.contains("mlp.gate_proj.bias") && text.contains("missing"), "{text}");
    let mut case = find("mistral")?;
    case.config["attention_bias"] = true.into();
    assert!(refusal(&case.config, &case)?.contains("attention_bias"));
    Ok(())
}

#[test]
fn a_family_that_is_not_known_is_named_with_those_that_are() {
    let refusal = |config: &str| {
        LlamaConfig::parse(config, Path::new("config.json")).err().map(|e| e.to_string()).unwrap_or_default()
    };
    for config in [
        r#"{"architectures": ["GemmaForCausalLM"], "model_type": "gemma"}"#,
        r#"{"model_type": "gemma"}"#,
        "{}",
    ] {
        let text = refusal(config);
        for word in ["Llama", "Mistral", "Qwen2", "Qwen3", "SmolLM3", "Phi3"] {
            assert!(text.contains(&format!("{word}ForCausalLM")), "{text}");
        }
        assert_eq!(text.contains("gemma") || text.contains("Gemma"), config != "{}", "{text}");
    }
}

/// Largest difference over the largest of `b`.
fn part(a: &[f32], b: &[f32]) -> f32 {
    let most = b.iter().map(|v| v.abs()).fold(0.0, f32::max);
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / most
}

/// Every change of the weights before rounding leaves the logits as they are, the integers have the quantizer's values, and
/// the integer model is near them; it comes back from its folder, and its export from a checkpoint.
#[test]
fn quantized() -> Outcome {
    let text: Vec<u32> = small_text(256).into_iter().map(|t| t.min(47)).collect();
    let names = [
        "llama with biases",
        "qwen2",
        "qwen3",
        "qwen3 with yarn and biases",
        "smollm3",
        "phi3 with longrope",
        "qwen3 with heads of 256",
        "phi3 with longrope and heads of 160",
    ];
    for name in names {
        let (case, folder) = (find(name)?, tempfile::tempdir()?);
        for (keys, rotate) in [(Keys::Plain, None), (Keys::Led, Some(3))] {
            let options = Options {
                body: WeightFormat::W4,
                keys,
                rotate,
                order: rotate.is_some(),
                split: 2,
                ..small_options()
            };
            let q = quantize(&case.model()?, &text, &options)?;
            let expected = q.dequantized.logits(&case.tokens, None, &mut NoTap)?;
            let original = case.model()?.logits(&case.tokens, None, &mut NoTap)?;
            assert!(part(&expected, &original) < 0.4, "{name}: weights {}", part(&expected, &original));
            let unit = (-f32::from(q.model.logit_frac)).exp2();
            let integer = Sequence::new(&q.model).step(&case.tokens, Logits::All, &mut NoIntTap)?;
            let integer: Vec<f32> = integer.iter().map(|v| *v as f32 * unit).collect();
            assert!(part(&integer, &expected) < 0.4, "{name}: integers {}", part(&integer, &expected));

            let at = folder.path().join("quantized");
            q.model.save(&at, None)?;
            assert!(QuantModel::load(&at)? == q.model);
            let exported = folder.path().join("exported");
            std::fs::create_dir_all(&exported)?;
            let weights = float(Arc::new(q.model))?;
            write(&weights, &exported, |_| {})?;
            let ours = weights.logits(&case.tokens, None, &mut NoTap)?;
            assert!(part(&ours, &expected) < 1e-3, "{name}, {keys:?}: export {}", part(&ours, &expected));
            let again = load_model(&exported)?.logits(&case.tokens, None, &mut NoTap)?;
            assert!(part(&again, &ours) < 1e-6, "{name}: checkpoint {}", part(&again, &ours));
        }
    }
    Ok(())
}

/// Layers without rotation keep that in a folder, for all heads or none.
#[test]
fn layers_without_rotation_of_a_folder() -> Outcome {
    let text: Vec<u32> = small_text(256).into_iter().map(|t| t.min(47)).collect();
    let folder = tempfile::tempdir()?;
    for keys in [Keys::Plain, Keys::Led] {
        let options = Options { keys, ..small_options() };
        let model = quantize(&find("smollm3")?.model()?, &text, &options)?.model;
        let rotates: Vec<bool> = model.layers.iter().map(|l| l.rotates()).collect();
        assert_eq!(rotates, [true, false, true, false]);
        // Rotated, it is another model.
        let mut rotated = model.clone();
        rotated.layers.iter_mut().filter(|l| !l.rotates()).for_each(|l| l.leads.clear());
        let logits = |m| Sequence::new(m).step(&text[..24], Logits::All, &mut NoIntTap);
        assert!(logits(&model)? != logits(&rotated)?);
        model.save(folder.path(), None)?;
        assert!(QuantModel::load(folder.path())? == model);
    }
    let manifest = folder.path().join("quant.json");
    let mut json: Value = serde_json::from_str(&std::fs::read_to_string(&manifest)?)?;
    // Older readers know another version.
    assert_eq!((&json["version"], &json["layers"][1]["leads"]), (&6.into(), &serde_json::json!([255, 255])));
    json["layers"][1]["leads"] = serde_json::json!([255, 0]);
    std::fs::write(&manifest, json.to_string())?;
    let said = QuantModel::load(folder.path()).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(said.contains("layers[1].leads") && said.contains("all heads"), "{said}");
    Ok(())
}

/// Biases that are left out, or in another unit, are seen.
#[test]
fn biases_of_a_folder() -> Outcome {
    let text: Vec<u32> = small_text(256).into_iter().map(|t| t.min(47)).collect();
    let folder = tempfile::tempdir()?;
    let model = quantize(&find("qwen2")?.model()?, &text, &small_options())?.model;
    let biased: Vec<&str> = model.layers[0].biased().map(|l| l.name()).collect();
    assert_eq!(biased, ["q", "k", "v"]);
    model.save(folder.path(), None)?;
    let manifest = folder.path().join("quant.json");
    let mut json: Value = serde_json::from_str(&std::fs::read_to_string(&manifest)?)?;
    // Older readers, which would leave them out, know another version.
    assert_eq!(json["version"], 6);
    json["layers"][1]["biases"] = serde_json::json!(["q", "k", "x"]);
    std::fs::write(&manifest, json.to_string())?;
    let said = QuantModel::load(folder.path()).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(said.contains("L1.biases") && said.contains('x'), "{said}");
    json["layers"][1]["biases"] = serde_json::json!(["q", "k", "v", "o"]);
    std::fs::write(&manifest, json.to_string())?;
    let said = QuantModel::load(folder.path()).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(said.contains("L1.o.bias"), "{said}");
    json["layers"][1]["biases"] = serde_json::json!(["q", "k"]);
    std::fs::write(&manifest, json.to_string())?;
    let said = QuantModel::load(folder.path()).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(said.contains("layers[1].biases"), "{said}");
    Ok(())
}
