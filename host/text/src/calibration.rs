//! Texts for calibration and scoring, from a file or built in.

use crate::{Error, Result, bundled};
use accllm_quant::float::FloatModel;
use accllm_quant::perplexity;
use accllm_quant::tokenizer::TextTokenizer;
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

/// Calibration text.
pub struct Calibration {
    text: String,
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
        Ok(Self { text })
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
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
