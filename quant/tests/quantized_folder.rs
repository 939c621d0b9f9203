//! The quantized-model folder: what is written comes back, and damaged folders are refused.

use super::support;

use accllm_llm::model::{QuantModel, WeightFormat};
use accllm_quant::quantize::Options;
use proptest::prelude::*;
use safetensors::Dtype;
use serde_json::{Value, json};
use std::path::Path;
use support::{Outcome, small_options, small_quant};

#[test]
fn every_format_comes_back() -> Outcome {
    for body in WeightFormat::ALL {
        let options = Options {
            body,
            layer_formats: vec![[body; 7], [WeightFormat::W4; 7]],
            prob_wide: false,
            ..small_options()
        };
        let model = small_quant(&options)?;
        assert_eq!((model.layers[0].q.grid.format, model.layers[1].q.grid.format), (body, WeightFormat::W4));
        let parent = tempfile::tempdir()?;
        let folder = parent.path().join("model");
        model.save(&folder, None)?;
        let back = QuantModel::load(&folder)?;
        assert_eq!((&back, back.fingerprint()?), (&model, model.fingerprint()?));
        assert_eq!(std::fs::read_dir(parent.path())?.count(), 1, "no temporary folder is left");
    }
    Ok(())
}

/// A folder as version 4 had it: a byte for each level, two for each entry of the embedding.
fn write_unpacked(model: &QuantModel, folder: &Path) -> Outcome {
    model.save(folder, None)?;
    let manifest = folder.join("quant.json");
    let text = std::fs::read_to_string(&manifest)?;
    std::fs::write(&manifest, text.replace("\"version\": 5", "\"version\": 4"))?;
    let path = folder.join("quant.safetensors");
    let bytes = std::fs::read(&path)?;
    let mut tensors = Vec::new();
    let mut add = |name: String, dtype, shape: Vec<usize>, bytes| {
        tensors.push(support::Raw { name, dtype, shape, bytes });
    };
    for (name, view) in safetensors::SafeTensors::deserialize(&bytes)?.tensors() {
        if !["w2s", "w2d", "w4"].iter().any(|f| name.ends_with(f)) && !name.starts_with("embed") {
            add(name, view.dtype(), view.shape().to_vec(), view.data().to_vec());
        }
    }
    let bytes = model.embed.iter().flat_map(|v| v.to_le_bytes()).collect();
    add("embed".into(), Dtype::I16, vec![model.arch.sizes.vocab, model.arch.sizes.hidden], bytes);
    let layers = model.layers.iter().enumerate();
    let linears = layers.flat_map(|(l, layer)| {
        layer.linears().map(move |(linear, w)| (format!("L{l}.{}", linear.name()), w))
    });
    for (name, w) in linears.chain([("head".to_string(), &model.head)]) {
        let bytes = w.grid.level.iter().map(|l| l.cast_unsigned()).collect();
        add(format!("{name}.level"), Dtype::I8, vec![w.grid.rows, w.grid.cols_padded()], bytes);
    }
    support::write_tensors(&path, &tensors)
}

#[test]
fn a_folder_of_the_version_before_is_converted_and_not_loaded() -> Outcome {
    let model = small_quant(&small_options())?;
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("model");
    write_unpacked(&model, &folder)?;
    let text = QuantModel::load(&folder).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(text.contains("accllm repack"), "{text}");
    let before = std::fs::metadata(folder.join("quant.safetensors"))?.len();
    let back = QuantModel::load_unpacked(&folder)?;
    assert_eq!(back, model);
    back.save(&folder, None)?;
    let after = std::fs::metadata(folder.join("quant.safetensors"))?.len();
    assert!(2 * after < before, "{before} bytes became {after}");
    let text = QuantModel::load_unpacked(&folder).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(text.contains("no conversion"), "{text}");
    Ok(())
}

#[test]
fn a_fingerprint_is_of_everything() -> Outcome {
    let model = small_quant(&small_options())?;
    let mut seen = vec![model.fingerprint()?];
    let changes: [fn(&mut QuantModel); 8] = [
        |m| m.arch.sizes.rope.theta += 1.0,
        |m| m.logit_frac ^= 1,
        |m| m.layers[1].constants.og ^= 1,
        |m| m.layers[0].attn_norm.g[3] ^= 1,
        |m| m.layers[1].down.mult[0] ^= 1,
        |m| m.embed.swap(0, 1),
        |m| m.head.grid.scale[0] ^= 1,
        |m| m.head.grid.offset[0] ^= 1,
    ];
    for change in changes {
        let mut other = model.clone();
        change(&mut other);
        let new = other.fingerprint()?;
        assert!(new.len() == 32 && !seen.contains(&new), "{}: {new}", seen.len());
        seen.push(new);
    }
    Ok(())
}

#[test]
fn saving_replaces_a_model_and_nothing_else() -> Outcome {
    let model = small_quant(&small_options())?;
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("model");
    model.save(&folder, None)?;
    let tokenizer = parent.path().join("t.json");
    std::fs::write(&tokenizer, "{}")?;
    let other = QuantModel { embed_shift: model.embed_shift ^ 1, ..model.clone() };
    other.save(&folder, Some(&tokenizer))?;
    assert_eq!(QuantModel::load(&folder)?, other);
    assert_eq!(std::fs::read_to_string(folder.join("tokenizer.json"))?, "{}");
    let missing = parent.path().join("missing.json");
    assert!(model.save(&folder, Some(&missing)).is_err());
    assert_eq!(QuantModel::load(&folder)?, other, "a failed save leaves the old model");
    let private = parent.path().join("private");
    std::fs::create_dir(&private)?;
    std::fs::write(private.join("notes.txt"), "keep")?;
    let text = model.save(&private, None).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(text.contains("other files"), "{text}");
    assert_eq!(std::fs::read_to_string(private.join("notes.txt"))?, "keep");
    Ok(())
}

#[test]
fn a_model_that_breaks_the_contract_is_not_written() -> Outcome {
    let model = small_quant(&small_options())?;
    let folder = tempfile::tempdir()?;
    let refused = |change: fn(&mut QuantModel), words: &str| {
        let mut bad = model.clone();
        change(&mut bad);
        let text = bad.save(&folder.path().join("m"), None).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(text.contains(words), "{text:?} does not contain {words:?}");
    };
    refused(|m| m.layers[0].q.grid.level[0] = 3, "L0.q.level");
    refused(|m| m.layers[1].gate.grid.level[..4].fill(1), "2:4");
    refused(|m| m.layers[1].gate.grid.level[..4].fill(0), "2:4");
    refused(|m| m.layers[0].o.grid.level[10] = 1, "L0.o.level");
    refused(|m| m.head.shift[3] = 64, "head.shift");
    refused(|m| m.layers[0].down.mult.truncate(1), "L0.down.mult");
    refused(|m| m.layers[1].constants.zs = 48, "layers[1].zs");
    refused(|m| m.layers[1].constants.rot_shift_k = 16, "layers[1].rot_shift_k");
    refused(|m| m.final_norm.eps = 0, "final_norm.eps");
    refused(|m| m.lambda.n_window = 0, "lambda.n_window");
    refused(|m| m.lambda.n_sink = 8192, "n_sink");
    refused(|m| m.arch.eos = vec![50], "token 50");
    Ok(())
}

/// Writes the small model, changes its manifest, and returns the error of loading it.
fn with_manifest(
    model: &QuantModel,
    change: impl Fn(&mut Value),
) -> Result<String, Box<dyn std::error::Error>> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("model");
    model.save(&folder, None)?;
    let path = folder.join("quant.json");
    let mut manifest: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    change(&mut manifest);
    std::fs::write(&path, manifest.to_string())?;
    Ok(QuantModel::load(&folder).err().map(|e| e.to_string()).unwrap_or_default())
}

#[test]
fn hostile_manifests_are_refused() -> Outcome {
    let model = small_quant(&small_options())?;
    let huge = json!(u64::MAX);
    let cases: [(&str, Value, &str); 18] = [
        ("/format", json!("gguf"), "gguf"),
        ("/version", json!(1), "quantize again"),
        ("/arch/hidden", huge.clone(), "hidden"),
        ("/arch/hidden", json!(72), "attn_norm.g"),
        ("/arch/hidden", json!(-1), "manifest"),
        ("/arch/heads", huge.clone(), "heads"),
        ("/arch/kv_heads", json!(0), "kv_heads"),
        ("/arch/kv_heads", json!(3), "divide"),
        ("/arch/head_dim", json!(258), "head_dim"),
        ("/arch/head_dim", json!(9), "even"),
        ("/arch/layers", json!(3), "layers"),
        ("/arch/vocab", huge.clone(), "vocab"),
        ("/arch/rope_theta", json!(0.0), "rope_theta"),
        ("/lambda/n_window", huge, "n_window"),
        ("/layers/0/hs", json!(200), "hs"),
        ("/layers/0/format/q", json!("w3"), "w3"),
        ("/layers/0/format/q", json!("w2d"), "L0.q"),
        ("/layers/1", json!({}), "manifest"),
    ];
    for (pointer, value, words) in cases {
        let text = with_manifest(&model, |m| {
            if let Some(slot) = m.pointer_mut(pointer) {
                *slot = value.clone();
            }
        })?;
        assert!(text.contains(words), "{pointer} = {value}: {text:?} does not contain {words:?}");
    }
    Ok(())
}

#[test]
fn missing_and_foreign_files_are_refused() -> Outcome {
    let text = |folder: &Path| QuantModel::load(folder).err().map(|e| e.to_string()).unwrap_or_default();
    let parent = tempfile::tempdir()?;
    assert!(text(parent.path()).contains("quant.json"));
    let folder = parent.path().join("model");
    small_quant(&small_options())?.save(&folder, None)?;
    let path = folder.join("quant.safetensors");
    support::write_tensors(&path, &support::tensors())?;
    assert!(text(&folder).contains("`L0.attn_norm.g` is missing"), "{}", text(&folder));
    std::fs::remove_file(&path)?;
    assert!(text(&folder).contains("quant.safetensors"));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever happens to one byte or to the length of a file, loading returns (it never panics), and what
    /// it accepts obeys the contract.
    #[test]
    fn damaged_files_never_panic(tensors in any::<bool>(), place in 0.0f64..1.0, byte in any::<u8>(), cut in any::<bool>()) {
        let run = || -> Outcome {
            let parent = tempfile::tempdir()?;
            let folder = parent.path().join("model");
            MODEL.as_ref().ok_or("no model")?.save(&folder, None)?;
            let path = folder.join(if tensors { "quant.safetensors" } else { "quant.json" });
            let mut bytes = std::fs::read(&path)?;
            let at = (place * bytes.len() as f64) as usize;
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            std::fs::write(&path, bytes)?;
            if let Ok(model) = QuantModel::load(&folder) {
                model.check(&folder)?;
            }
            Ok(())
        };
        prop_assert!(run().is_ok());
    }
}

static MODEL: std::sync::LazyLock<Option<QuantModel>> =
    std::sync::LazyLock::new(|| small_quant(&small_options()).ok());
