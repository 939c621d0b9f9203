//! The real model: SmolLM2-135M-Instruct out of a GGUF file (`make smollm2`).

use super::support;

use accllm_llm::float::NoTap;
use accllm_llm::import::gguf::tokenizer_files;
use accllm_llm::import::load_model;
use accllm_llm::perplexity::{Protocol, perplexity, plain_stream};
use accllm_llm::tokenizer::TextTokenizer;
use serde_json::Value;
use std::path::PathBuf;
use support::Outcome;

/// The file, or `None` with a reason printed.
fn file() -> Option<PathBuf> {
    let path = support::data().join("../build/models/smollm2-135m-instruct.gguf");
    if !path.is_file() {
        eprintln!("skipped: build/models/smollm2-135m-instruct.gguf is not there; `make smollm2` fetches it");
        return None;
    }
    Some(path)
}

fn tokenizer(path: &std::path::Path) -> Result<TextTokenizer, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    for (name, text) in tokenizer_files(path)? {
        std::fs::write(folder.path().join(name), text)?;
    }
    Ok(TextTokenizer::read(&folder.path().join("tokenizer.json"), 49152)?)
}

/// Token ids and logits of an independent implementation (tools/reference_logits.py).
fn reference() -> Result<Value, serde_json::Error> {
    serde_json::from_str(include_str!("data/smollm2.json"))
}

fn list(v: &Value) -> &[Value] {
    v.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn tokens_are_those_of_the_published_tokenizer() -> Outcome {
    let Some(path) = file() else { return Ok(()) };
    let tokenizer = tokenizer(&path)?;
    let reference = reference()?;
    for case in list(&reference["texts"]) {
        let text = case["text"].as_str().unwrap_or_default();
        let ids: Vec<u32> = list(&case["ids"]).iter().filter_map(|v| Some(v.as_u64()? as u32)).collect();
        assert_eq!(tokenizer.encode(text)?, ids, "{text:?}");
    }
    assert_eq!(list(&reference["texts"]).len(), 8);
    let text = "  two  spaces, 1234\n\nnaïve 日本語 👩‍👩‍👧\t.";
    assert_eq!(tokenizer.decode(&tokenizer.encode(text)?)?, text);
    Ok(())
}

#[test]
fn the_most_likely_tokens_have_the_reference_logits() -> Outcome {
    let Some(path) = file() else { return Ok(()) };
    let (model, tokenizer, reference) = (load_model(&path)?, tokenizer(&path)?, reference()?);
    let mut worst = 0.0f64;
    for case in list(&reference["logits"]) {
        let prompt = tokenizer.encode(case["prompt"].as_str().unwrap_or_default())?;
        let logits = model.logits(&prompt, None, &mut NoTap)?;
        let last = &logits[logits.len() - model.config.sizes.vocab..];
        let mut order: Vec<usize> = (0..last.len()).collect();
        order.sort_by(|a, b| last[*b].total_cmp(&last[*a]));
        assert_eq!(list(&case["top"]).len(), 20);
        for (id, expected) in order.iter().zip(list(&case["top"])) {
            assert_eq!(Some(*id as u64), expected[0].as_u64(), "prompt {}", case["prompt"]);
            let apart = (f64::from(last[*id]) - expected[1].as_f64().unwrap_or(f64::NAN)).abs();
            assert!(apart < 1e-3, "token {id}: logits {} and {}", last[*id], expected[1]);
            worst = worst.max(apart);
        }
    }
    println!("largest difference of a logit: {worst:.2e}");
    Ok(())
}

/// Needs a text that is not in the repository: ACCLLM_WIKITEXT2 names it.
#[test]
#[ignore = "measures: minutes, and needs ACCLLM_WIKITEXT2"]
fn perplexity_of_wikitext2() -> Outcome {
    let (Some(path), Ok(text)) = (file(), std::env::var("ACCLLM_WIKITEXT2")) else {
        eprintln!("skipped: ACCLLM_WIKITEXT2 does not name WikiText-2's test text");
        return Ok(());
    };
    let model = load_model(&path)?;
    let stream = plain_stream(&std::fs::read_to_string(text)?, &tokenizer(&path)?)?;
    let found = perplexity(&model, &stream, Protocol { window: 2048, windows: Some(32) })?;
    println!("float: perplexity {:.4} of {} tokens", found.perplexity, found.tokens);
    assert!((found.perplexity - 21.81).abs() <= 0.03, "{found:?}");
    Ok(())
}
