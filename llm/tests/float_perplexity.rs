//! The bundled models reach the perplexity their README states, by the stated protocol.

use accllm_llm::Result;
use accllm_llm::import::load_model;
use accllm_llm::perplexity::{Protocol, perplexity, story_stream};
use accllm_llm::tokenizer::TextTokenizer;
use std::path::Path;

fn tinytales(name: &str) -> Result<f64> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data");
    let folder = data.join("tinytales").join(name);
    let model = load_model(&folder)?;
    let tokenizer = TextTokenizer::read(&folder.join("tokenizer.json"), model.config.sizes.vocab)?;
    let path = data.join("tinytales_val.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let stream = story_stream(&text, &tokenizer, 0, 1)?;
    Ok(perplexity(&model, &stream, Protocol::TINYTALES)?.perplexity)
}

#[test]
fn float_is_9_65() -> Result<()> {
    let p = tinytales("float")?;
    assert!((p - 9.65).abs() <= 0.01, "perplexity {p}");
    Ok(())
}

#[test]
fn w2_is_9_77() -> Result<()> {
    let p = tinytales("w2")?;
    assert!((p - 9.77).abs() <= 0.01, "perplexity {p}");
    Ok(())
}
