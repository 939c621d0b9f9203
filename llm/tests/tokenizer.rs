//! Text to tokens and back, whole and as a stream.

use super::support;

use accllm_llm::tokenizer::TextTokenizer;
use support::{Outcome, data};

fn tokenizer(vocab: usize) -> accllm_llm::Result<TextTokenizer> {
    TextTokenizer::read(&data().join("tinytales/w2/tokenizer.json"), vocab)
}

#[test]
fn texts_come_back() -> Outcome {
    let t = tokenizer(1024)?;
    for text in ["Once upon a time", "", " leading", "naïve café — 😀 日本語\n\ttabs", "a\u{0}b"] {
        assert_eq!(t.decode(&t.encode(text)?)?, text);
    }
    Ok(())
}

#[test]
fn a_stream_prints_whole_characters_only() -> Outcome {
    let t = tokenizer(1024)?;
    let text = "One 😀 day, 日本語 and naïve.";
    let (mut stream, mut out, mut held) = (t.stream(), String::new(), 0);
    for id in t.encode(text)? {
        let piece = stream.push(id)?;
        assert!(!piece.contains(char::REPLACEMENT_CHARACTER), "{piece:?}");
        held += usize::from(piece.is_empty());
        out += &piece;
    }
    out += &stream.finish()?;
    assert_eq!(out, text);
    assert!(held >= 3, "the four bytes of an emoji are separate tokens here, so some must be held back");
    Ok(())
}

#[test]
fn an_unfinished_character_comes_out_at_the_end() -> Outcome {
    let t = tokenizer(1024)?;
    let ids = t.encode("😀")?;
    let mut stream = t.stream();
    for id in &ids[..ids.len() - 1] {
        assert_eq!(stream.push(*id)?, "");
    }
    assert!(stream.finish()?.contains(char::REPLACEMENT_CHARACTER));
    Ok(())
}

#[test]
fn a_vocabulary_that_is_too_small_is_refused() -> Outcome {
    let text = tokenizer(300)?.encode("Once upon a time").err().map(|e| e.to_string()).unwrap_or_default();
    assert!(text.contains("do not belong together"), "{text}");
    Ok(())
}

#[test]
fn bad_files_are_refused() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tokenizer.json");
    assert!(TextTokenizer::read(&path, 10).is_err());
    std::fs::write(&path, "{\"version\": \"1.0\"}")?;
    let text = TextTokenizer::read(&path, 10).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(text.contains("tokenizer.json"), "{text}");
    Ok(())
}
