//! Text out of tokens that come one by one.

use super::TextTokenizer;
use super::bytes::Characters;
use crate::Result;

/// Turns tokens into text as they come, holding back bytes that are not yet a whole character. How many tokens come at
/// a time makes no difference: [`TextTokenizer::decode`] is this, over all of them.
pub struct TextStream<'a> {
    tokenizer: &'a TextTokenizer,
    characters: Characters,
    /// Whether no token has made text yet.
    first: bool,
    /// Spaces that may still be taken from the beginning.
    strip: usize,
}

impl<'a> TextStream<'a> {
    pub(super) fn new(tokenizer: &'a TextTokenizer) -> Self {
        let decoding = &tokenizer.decoding;
        let characters = Characters::new(decoding.sign_for_each_byte());
        Self { tokenizer, characters, first: true, strip: decoding.strip() }
    }

    /// Adds a token; returns the text that became complete (possibly empty).
    ///
    /// # Errors
    /// None so far: tokens outside the vocabulary have no text.
    pub fn push(&mut self, id: u32) -> Result<String> {
        let Some(token) = self.tokenizer.text_of(id) else { return Ok(String::new()) };
        let bytes = self.tokenizer.decoding.bytes(&token, self.first);
        self.first = false;
        let mut bytes = bytes.as_slice();
        while let (true, [b' ', rest @ ..]) = (self.strip > 0, bytes) {
            self.strip -= 1;
            bytes = rest;
        }
        if !bytes.is_empty() {
            self.strip = 0;
        }
        Ok(self.characters.push(bytes))
    }

    /// Text still held back at the end; incomplete characters appear as U+FFFD.
    ///
    /// # Errors
    /// None so far.
    pub fn finish(self) -> Result<String> {
        Ok(self.characters.finish())
    }
}
