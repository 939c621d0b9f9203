//! GGUF files: the small model, ggml's blocks, the tokenizer, and what is refused.

use super::support;

use accllm_llm::float::NoTap;
use accllm_llm::import::gguf::tokenizer_files;
use accllm_llm::import::{load_config, load_model, load_model_within};
use accllm_llm::tokenizer::TextTokenizer;
use serde_json::Value;
use std::path::{Path, PathBuf};
use support::gguf::{
    self as writer, Pair, Tensor, f32_pair, file, list_pair, small_pairs, small_tensors, text_pair, u32_pair,
};
use support::{Outcome, small_float, small_text};

fn write(folder: &Path, pairs: &[Pair], tensors: &[Tensor]) -> std::io::Result<PathBuf> {
    let path = folder.join("small.gguf");
    std::fs::write(&path, file(pairs, tensors))?;
    Ok(path)
}

/// What loading model and tokenizer says.
fn refusal(pairs: &[Pair], tensors: &[Tensor]) -> Result<String, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = write(folder.path(), pairs, tensors)?;
    let model = load_model(&path).err().map(|e| e.to_string()).unwrap_or_default();
    let tokenizer = tokenizer_files(&path).err().map(|e| e.to_string()).unwrap_or_default();
    Ok(model + &tokenizer)
}

fn without(key: &str) -> Vec<Pair> {
    small_pairs().into_iter().filter(|p| p.0 != key).collect()
}

fn with(pair: Pair) -> Vec<Pair> {
    let mut all = without(&pair.0);
    all.push(pair);
    all
}

#[test]
fn the_small_model_is_that_of_the_folder() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = write(folder.path(), &small_pairs(), &small_tensors())?;
    let (here, there) = (load_model(&path)?, small_float()?);
    let text = small_text(30);
    assert_eq!(here.logits(&text, None, &mut NoTap)?, there.logits(&text, None, &mut NoTap)?);
    assert_eq!(here.layer(1)?.k, there.layer(1)?.k);
    let stored = load_model_within(&path, 0)?;
    assert_eq!(stored.logits(&text, None, &mut NoTap)?, there.logits(&text, None, &mut NoTap)?);
    let c = &here.config;
    assert_eq!(&load_config(&path)?, c);
    assert_eq!((c.tied_head, c.bos, c.eos.as_slice(), c.norm_eps), (false, None, &[1][..], 1e-5));
    let tied: Vec<_> = small_tensors().into_iter().filter(|t| t.name != "output.weight").collect();
    let tied = load_model(&write(folder.path(), &small_pairs(), &tied)?)?;
    assert!(tied.config.tied_head && tied.head.is_none());
    Ok(())
}

#[test]
fn llama3_divisors_become_its_scaling() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (rope, scaled) = {
        let plain = accllm_hw::rope::Rope::plain(10000.0);
        let scaling = accllm_hw::rope::Scaling::Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192.0,
        };
        (plain, accllm_hw::rope::Rope { scaling: Some(scaling), ..plain })
    };
    let tensor = |change: f32| {
        let divisor = |i: usize| (rope.frequency(i, 10) / scaled.frequency(i, 10)) as f32 * change;
        let bytes = (0..5).flat_map(|i| divisor(i).to_le_bytes()).collect();
        Tensor { name: "rope_freqs.weight".into(), shape: vec![5], kind: 0, bytes }
    };
    let all = |change| small_tensors().into_iter().chain([tensor(change)]).collect::<Vec<_>>();
    // With base 10,000 the last pair turns slowly enough to be scaled by the whole factor or in part.
    assert!(scaled.frequency(4, 10) < rope.frequency(4, 10));
    let found = load_model(&write(folder.path(), &small_pairs(), &all(1.0))?)?.config.sizes.rope;
    for i in 0..5 {
        assert!((found.frequency(i, 10) / scaled.frequency(i, 10) - 1.0).abs() < 1e-4, "{found:?}");
    }
    let text = refusal(&small_pairs(), &all(1.01))?;
    assert!(text.contains("rope_freqs.weight"), "{text}");
    Ok(())
}

/// A model of width 256 with one token, whose embedding is `bytes` of the type `kind`.
fn model_around(kind: u32, bytes: Vec<u8>) -> (Vec<Pair>, Vec<Tensor>) {
    let sizes = [
        ("llama.embedding_length", 256),
        ("llama.feed_forward_length", 1),
        ("llama.block_count", 1),
        ("llama.attention.head_count", 1),
        ("llama.attention.head_count_kv", 1),
        ("llama.rope.dimension_count", 2),
        ("llama.attention.key_length", 2),
    ];
    let mut pairs: Vec<Pair> =
        small_pairs().into_iter().filter(|p| sizes.iter().all(|s| s.0 != p.0)).collect();
    pairs.extend(sizes.iter().map(|(key, v)| u32_pair(key, *v)));
    pairs.retain(|p| !p.0.starts_with("tokenizer.ggml.tok") && !p.0.contains("_token_id"));
    pairs.push(list_pair("tokenizer.ggml.tokens", 8, &[writer::text("a")]));
    let zeros = |name: &str, shape: &[usize]| Tensor {
        name: name.into(),
        shape: shape.to_vec(),
        kind: 0,
        bytes: vec![0; 4 * shape.iter().product::<usize>()],
    };
    let mut tensors = vec![zeros("output_norm.weight", &[256])];
    for (part, shape) in [
        ("attn_norm", &[256][..]),
        ("ffn_norm", &[256]),
        ("attn_q", &[2, 256]),
        ("attn_k", &[2, 256]),
        ("attn_v", &[2, 256]),
        ("attn_output", &[256, 2]),
        ("ffn_gate", &[1, 256]),
        ("ffn_up", &[1, 256]),
        ("ffn_down", &[256, 1]),
    ] {
        tensors.push(zeros(&format!("blk.0.{part}.weight"), shape));
    }
    tensors.push(Tensor { name: "token_embd.weight".into(), shape: vec![1, 256], kind, bytes });
    (pairs, tensors)
}

#[test]
fn blocks_are_decoded_as_ggml_does() -> Outcome {
    let all: Value = serde_json::from_str(include_str!("data/ggml_blocks.json"))?;
    let hex = |v: &Value| -> Vec<u8> {
        let digits = v.as_str().unwrap_or_default().as_bytes();
        let value = |d: u8| char::from(d).to_digit(16).unwrap_or(0) as u8;
        digits.chunks_exact(2).map(|d| value(d[0]) << 4 | value(d[1])).collect()
    };
    let mut kinds = 0;
    for (name, case) in all.as_object().into_iter().flatten() {
        let kind = case["type"].as_u64().unwrap_or(99) as u32;
        let (pairs, tensors) = model_around(kind, hex(&case["bytes"]));
        let folder = tempfile::tempdir()?;
        let model = load_model(&write(folder.path(), &pairs, &tensors)?)?;
        let expected = hex(&case["values"]);
        let expected = expected.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        assert_eq!(model.embed.data.len(), 256);
        for (i, (a, b)) in model.embed.data.iter().zip(expected).enumerate() {
            assert!(*a == b, "{name}, value {i}: {a}, ggml has {b}");
        }
        kinds += 1;
    }
    assert_eq!(kinds, 11);
    Ok(())
}

#[test]
fn the_tokenizer_becomes_an_ordinary_one() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = write(folder.path(), &small_pairs(), &small_tensors())?;
    for (name, text) in tokenizer_files(&path)? {
        std::fs::write(folder.path().join(name), text)?;
    }
    let tokenizer = TextTokenizer::read(&folder.path().join("tokenizer.json"), 50)?;
    assert_eq!(tokenizer.encode("abcabA<end>")?, [48, 47, 0, 49]);
    // "A" begins texts here, and so it is no text of its own.
    assert_eq!(tokenizer.decode(&[48, 0, 2, 49])?, "abcC");
    let config: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("tokenizer_config.json"))?)?;
    assert_eq!((&config["bos_token"], &config["eos_token"]), (&Value::from("A"), &Value::from("B")));
    assert!(config["chat_template"].as_str().is_some_and(|t| t.contains("messages")));
    Ok(())
}

#[test]
fn sentencepiece_merges_follow_the_scores() -> Outcome {
    let tokens = ["<unk>", "\u{2581}", "a", "b", "ab", "\u{2581}a", "\u{2581}ab", "<0x0A>"];
    let kinds = [2i32, 1, 1, 1, 1, 1, 1, 6];
    let scores = [0.0f32, -7.0, -8.0, -9.0, -1.0, -2.0, -3.0, 0.0];
    let mut pairs: Vec<Pair> = small_pairs().into_iter().filter(|p| !p.0.starts_with("tokenizer")).collect();
    pairs.push(text_pair("tokenizer.ggml.model", "llama"));
    pairs.push(list_pair("tokenizer.ggml.tokens", 8, &tokens.map(writer::text)));
    pairs.push(list_pair("tokenizer.ggml.token_type", 5, &kinds.map(|k| k.to_le_bytes().to_vec())));
    pairs.push(list_pair("tokenizer.ggml.scores", 6, &scores.map(|k| k.to_le_bytes().to_vec())));
    let folder = tempfile::tempdir()?;
    let path = write(folder.path(), &pairs, &[])?;
    std::fs::write(folder.path().join("tokenizer.json"), &tokenizer_files(&path)?[0].1)?;
    let tokenizer = TextTokenizer::read(&folder.path().join("tokenizer.json"), 8)?;
    // "▁ab": "ab" scores best and is joined first, then "▁ab".
    assert_eq!(tokenizer.encode("ab a\nb")?, [6, 5, 7, 3]);
    assert_eq!(tokenizer.decode(&[6, 5, 7, 3])?, "ab a\nb");
    Ok(())
}

type Edit = fn(&mut Tensor);

#[test]
fn what_is_not_supported_is_named() -> Outcome {
    let cases: Vec<(Pair, &[&str])> = vec![
        (text_pair("general.architecture", "gemma"), &["general.architecture", "gemma", "llama", "qwen2"]),
        (u32_pair("llama.expert_count", 8), &["llama.expert_count", "8"]),
        (u32_pair("llama.attention.head_count_kv", 3), &["head_count_kv", "divide"]),
        (u32_pair("llama.rope.dimension_count", 4), &["llama.rope.dimension_count", "4", "10"]),
        (u32_pair("llama.block_count", 0), &["llama.block_count", "0"]),
        (u32_pair("llama.vocab_size", 51), &["llama.vocab_size", "51"]),
        (text_pair("llama.rope.scaling.type", "yarn"), &["llama.rope.scaling.factor"]),
        (text_pair("llama.rope.scaling.type", "longrope"), &["rope_factors_short.weight", "missing"]),
        (
            text_pair("llama.rope.scaling.type", "ntk"),
            &["llama.rope.scaling.type", "ntk", "longrope", "yarn"],
        ),
        (text_pair("llama.rope.scaling.type", "linear"), &["llama.rope.scaling.factor"]),
        (f32_pair("llama.attention.layer_norm_rms_epsilon", f32::NAN), &["layer_norm_rms_epsilon"]),
        (text_pair("tokenizer.ggml.model", "t5"), &["tokenizer.ggml.model", "t5"]),
        (text_pair("tokenizer.ggml.pre", "tekken"), &["tokenizer.ggml.pre", "tekken", "smollm", "qwen2"]),
        (u32_pair("tokenizer.ggml.eos_token_id", 50), &["eos_token_id", "50"]),
        (list_pair("tokenizer.ggml.merges", 8, &[writer::text("a q")]), &["merges", "a q"]),
        (u32_pair("general.alignment", 3), &["general.alignment", "3"]),
        (u32_pair("tokenizer.ggml.tokens", 3), &["tokenizer.ggml.tokens", "list"]),
    ];
    for (pair, words) in cases {
        let text = refusal(&with(pair), &small_tensors())?;
        for word in words {
            assert!(text.contains(word), "{text:?} does not mention {word:?}");
        }
    }
    let nan = |t: &mut Tensor| t.bytes[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
    let edits: [(Edit, &[&str]); 5] = [
        (nan, &["blk.1.attn_v.weight", "element 2", "NaN"]),
        (|t| t.kind = 10, &["blk.1.attn_v.weight", "Q2_K", "Q4_1"]),
        (|t| t.kind = 999, &["blk.1.attn_v.weight", "999"]),
        (|t| t.shape = vec![40, 20], &["blk.1.attn_v.weight", "[40, 20]"]),
        (|t| t.name = "blk.1.attn_v.bias".into(), &["blk.1.attn_v.bias"]),
    ];
    for (edit, words) in edits {
        let mut all = small_tensors();
        all.iter_mut().filter(|t| t.name == "blk.1.attn_v.weight").for_each(edit);
        let text = refusal(&small_pairs(), &all)?;
        for word in words {
            assert!(text.contains(word), "{text:?} does not mention {word:?}");
        }
    }
    Ok(())
}
