//! Texts for calibration and scoring, from a file or built in.

use crate::{Error, Result, bundled};
use accllm_llm::float::FloatModel;
use accllm_llm::perplexity;
use accllm_llm::tokenizer::TextTokenizer;
use std::path::Path;

/// Tokens of `text` for calibration or scoring: stories separated by blank lines as `bos story eos` when
/// the model has both tokens, otherwise the plain text.
///
/// # Errors
/// The tokenizer refuses the text.
pub fn stream(text: &str, tokenizer: &TextTokenizer, bos: Option<u32>, eos: &[u32]) -> Result<Vec<u32>> {
    Ok(match (bos, eos.first()) {
        (Some(bos), Some(eos)) => perplexity::story_stream(text, tokenizer, bos, *eos)?,
        _ => perplexity::plain_stream(text, tokenizer)?,
    })
}

/// Most beginnings that are taken from a text, and tokens of the longest.
const BEGINNINGS: usize = 16384;
/// See [`BEGINNINGS`].
const LONGEST: usize = 16;

/// Calibration text.
pub struct Calibration {
    text: String,
    given: bool,
}

impl Calibration {
    /// The text in `file`, or the built-in stories.
    ///
    /// # Errors
    /// The file cannot be read as text.
    pub fn open(file: Option<&Path>) -> Result<Self> {
        let text = match file {
            Some(path) => read_text(path)?,
            None => bundled::CALIBRATION.into(),
        };
        Ok(Self { text, given: file.is_some() })
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it comes from a file, and is not the built-in one.
    pub fn given(&self) -> bool {
        self.given
    }

    /// How its stories begin, the first 1 to 16 tokens of each, after the model's begin token where it has one.
    ///
    /// # Errors
    /// The tokenizer refuses the text, or there is none.
    pub fn beginnings(&self, float: &FloatModel, tokenizer: &TextTokenizer) -> Result<Vec<Vec<u32>>> {
        let stories = self.text.split("\n\n").map(str::trim).filter(|s| !s.is_empty()).take(BEGINNINGS);
        let begin = |(i, story): (usize, &str)| {
            // A token has a byte at least.
            let end = story.char_indices().nth(8 * LONGEST).map_or(story.len(), |(at, _)| at);
            let tokens = tokenizer.encode(&story[..end])?;
            Ok(float.config.bos.into_iter().chain(tokens.into_iter().take(1 + i % LONGEST)).collect())
        };
        let all: Vec<Vec<u32>> = stories.enumerate().map(begin).collect::<Result<_>>()?;
        match all.is_empty() {
            true => Err(Error::Argument("the calibration text is empty".into())),
            false => Ok(all),
        }
    }

    /// At least `tokens` tokens for a model, where there are so many.
    ///
    /// # Errors
    /// The tokenizer refuses the text.
    pub fn stream(&self, float: &FloatModel, tokenizer: &TextTokenizer, tokens: usize) -> Result<Vec<u32>> {
        // A token has at least one byte; texts have 3 to 5 bytes a token. Whole stories only.
        let bytes = tokens.saturating_mul(8);
        let end = self.text.match_indices("\n\n").map(|(at, _)| at).find(|at| *at >= bytes);
        let text = end.and_then(|end| self.text.get(..end)).unwrap_or(&self.text);
        stream(text, tokenizer, float.config.bos, &float.config.eos)
    }
}

/// Reads a text file.
///
/// # Errors
/// The file cannot be read, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::io("read text from", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use accllm_llm::import::load_model;

    #[test]
    fn texts_begin_as_the_stories_of_a_file_do() {
        let folder = bundled::unpack().unwrap();
        let float = load_model(folder.path()).unwrap();
        let path = folder.path().join("tokenizer.json");
        let tokenizer = TextTokenizer::read(&path, float.config.sizes.vocab).unwrap();
        let text = Calibration { text: "Ünü was here. She ran.\n\n\n\n A cat\n\n".into(), given: true };
        let begin = |text: &str, n: usize| {
            let tokens = tokenizer.encode(text).unwrap();
            float.config.bos.into_iter().chain(tokens.into_iter().take(n)).collect::<Vec<_>>()
        };
        let all = text.beginnings(&float, &tokenizer).unwrap();
        assert_eq!(all, [begin("Ünü was here.", 1), begin("A cat", 2)]);
        let empty = Calibration { text: "\n\n".into(), given: true };
        assert!(empty.beginnings(&float, &tokenizer).is_err());
    }
}
