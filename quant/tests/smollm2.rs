//! The real model: SmolLM2-135M-Instruct out of a GGUF file (`make smollm2`).

mod support;

use accllm_quant::gguf::tokenizer_files;
use accllm_quant::hf::load_model;
use accllm_quant::perplexity::{Protocol, perplexity, plain_stream};
use accllm_quant::tokenizer::TextTokenizer;
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
