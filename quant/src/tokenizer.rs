//! Text to tokens and back, from a `tokenizer.json`.

use crate::{Error, Result};
use std::path::Path;
use tokenizers::Tokenizer;

/// A tokenizer that adds no special tokens and never returns an id outside the model's vocabulary.
pub struct TextTokenizer {
    inner: Tokenizer,
    vocab: usize,
}

impl TextTokenizer {
    /// Reads `path`; `vocab` is the model's vocabulary size.
    pub fn read(path: &Path, vocab: usize) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
        let inner = text.parse::<Tokenizer>().map_err(|e| Error::malformed(path, "tokenizer.json", e))?;
        Ok(Self { inner, vocab })
    }

    /// Tokens of `text`.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, false).map_err(|e| Error::Tokenizer(e.to_string()))?;
        let ids = encoding.get_ids();
        match ids.iter().find(|id| **id as usize >= self.vocab) {
            Some(id) => Err(Error::Tokenizer(format!(
                "the text encodes to token {id}, but the model has only {} tokens; \
                 tokenizer.json and config.json do not belong together",
                self.vocab
            ))),
            None => Ok(ids.to_vec()),
        }
    }

    /// Text of `ids`, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|e| Error::Tokenizer(e.to_string()))
    }

    /// Starts decoding token by token.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream { tokenizer: self, ids: Vec::new(), settled: 0, printed: 0 }
    }

    /// Starts decoding token by token behind `before`, whose text is not repeated.
    ///
    /// # Errors
    /// `before` has tokens that cannot be decoded.
    pub fn stream_after(&self, before: &[u32]) -> Result<TextStream<'_>> {
        /// Tokens that can matter to the text of the next one.
        const CONTEXT: usize = 16;
        let ids = before[before.len().saturating_sub(CONTEXT)..].to_vec();
        let text = self.decode(&ids)?;
        let printed = text.trim_end_matches(char::REPLACEMENT_CHARACTER).len();
        Ok(TextStream { tokenizer: self, settled: ids.len(), ids, printed })
    }
}

/// Turns tokens into text as they come, holding back bytes that are not yet a whole character.
pub struct TextStream<'a> {
    tokenizer: &'a TextTokenizer,
    /// Tokens whose text may still depend on, or give context to, what follows.
    ids: Vec<u32>,
    /// Tokens at the front of `ids` that are printed and only serve as context.
    settled: usize,
    /// Bytes of the text of `ids` that belong to settled tokens.
    printed: usize,
}

impl TextStream<'_> {
    /// Adds a token; returns the text that became complete (possibly empty).
    pub fn push(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids)?;
        if text.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(String::new());
        }
        let new = text.get(self.printed..).unwrap_or_default().to_string();
        // Keep the newest tokens as context: decoders may strip the space before a first word.
        self.ids.drain(..self.settled);
        self.settled = self.ids.len();
        self.printed = self.tokenizer.decode(&self.ids)?.len();
        Ok(new)
    }

    /// Text still held back at the end; incomplete characters appear as U+FFFD.
    pub fn finish(self) -> Result<String> {
        let text = self.tokenizer.decode(&self.ids)?;
        Ok(text.get(self.printed..).unwrap_or_default().to_string())
    }
}
