//! Text to tokens and back, from a `tokenizer.json` and the files beside it.

mod bytes;
mod files;
mod process;
pub(crate) mod sentencepiece;
mod stream;
pub(crate) mod vocabulary;

use crate::{Error, Result};
use bytes::Decoding;
pub use files::Files;
use std::collections::HashSet;
use std::path::Path;
use std::sync::OnceLock;
pub use stream::TextStream;
use tokenizers::Tokenizer;

/// A tokenizer that adds no special tokens and never returns an id outside the model's vocabulary. It neither cuts nor
/// fills a text, whatever its file says.
pub struct TextTokenizer {
    inner: Tokenizer,
    decoding: Decoding,
    /// Tokens that have no text.
    special: HashSet<u32>,
    /// Tokens that are found in a text before it is cut up.
    added: HashSet<u32>,
    /// Where a space is put before a text: the file for one that does not.
    continued: Option<String>,
    continuing: OnceLock<Option<Tokenizer>>,
    begin: Option<u32>,
    end: Option<u32>,
    vocab: usize,
}

impl TextTokenizer {
    /// Reads `path`, a `tokenizer.json`, and what belongs to it ([`Files`]); `vocab` is the model's vocabulary size.
    ///
    /// # Errors
    /// A file is missing, damaged, or of a kind that is not supported.
    pub fn read(path: &Path, vocab: usize) -> Result<Self> {
        Self::new(&Files::read(path)?, vocab)
    }

    /// The tokenizer in `files`.
    ///
    /// # Errors
    /// As [`TextTokenizer::read`].
    pub fn new(files: &Files, vocab: usize) -> Result<Self> {
        let path = files.path();
        let inner = files.json().to_string().parse::<Tokenizer>();
        let inner = inner.map_err(|e| Error::malformed(path, "tokenizer.json", e))?;
        files.check_ids(&inner)?;
        let decoder = &files.json()["decoder"];
        let decoding = Decoding::of(decoder)
            .ok_or_else(|| Error::unsupported(path, "decoder", decoder, bytes::SUPPORTED))?;
        let tokens = inner.get_added_tokens_decoder();
        Ok(Self {
            decoding,
            special: tokens.iter().filter(|(_, t)| t.special).map(|(id, _)| *id).collect(),
            added: tokens.into_keys().collect(),
            inner,
            continued: process::without_prefix(files.json()).map(|json| json.to_string()),
            continuing: OnceLock::new(),
            begin: files.begin(vocab)?,
            end: files.end(vocab),
            vocab,
        })
    }

    /// The token that a text begins with, where the tokenizer puts one there.
    pub fn begin(&self) -> Option<u32> {
        self.begin
    }

    /// The token that the tokenizer's configuration calls the end of a text.
    pub fn end(&self) -> Option<u32> {
        self.end
    }

    /// Tokens of `text`.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, false).map_err(|e| Error::Tokenizer(e.to_string()))?;
        self.checked(encoding.get_ids())
    }

    /// Tokens of `text` that goes on after `before`: no space is put in front of it where it goes on in the middle of a
    /// text, and what follows a special token is the same as in one go.
    ///
    /// # Errors
    /// As [`TextTokenizer::encode`].
    pub fn encode_after(&self, before: &[u32], text: &str) -> Result<Vec<u32>> {
        let Some(last) = before.last() else { return self.encode(text) };
        if let (true, Some(token)) = (self.added.contains(last), self.inner.id_to_token(*last)) {
            let all = self.encode(&(token + text))?;
            return match all.split_first() {
                Some((first, rest)) if first == last => Ok(rest.to_vec()),
                _ => self.encode(text),
            };
        }
        let Some(continuing) = self.continuing() else { return self.encode(text) };
        let encoding = self.inner.encode(text, false).map_err(|e| Error::Tokenizer(e.to_string()))?;
        let special = encoding.get_ids().iter().position(|id| self.added.contains(id));
        let at = special.and_then(|i| encoding.get_offsets().get(i)).map_or(text.len(), |o| o.0);
        let (head, tail) = text.split_at_checked(at).unwrap_or((text, ""));
        let head = continuing.encode_fast(head, false).map_err(|e| Error::Tokenizer(e.to_string()))?;
        Ok([self.checked(head.get_ids())?, self.encode(tail)?].concat())
    }

    /// The same without a space before the text; `None` where it puts none there.
    fn continuing(&self) -> Option<&Tokenizer> {
        let make = || self.continued.as_ref().and_then(|json| json.parse::<Tokenizer>().ok());
        self.continuing.get_or_init(make).as_ref()
    }

    fn checked(&self, ids: &[u32]) -> Result<Vec<u32>> {
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
        let mut stream = self.stream();
        let mut text = String::new();
        for id in ids {
            text += &stream.push(*id)?;
        }
        Ok(text + &stream.finish()?)
    }

    /// What a token is called, special or not; `None` outside the vocabulary.
    pub fn name(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The bytes that a token stands for in the middle of a text; of a special one, its name.
    pub fn bytes(&self, id: u32) -> Vec<u8> {
        match self.text_of(id) {
            Some(token) => self.decoding.bytes(&token, false),
            None => self.name(id).unwrap_or_default().into_bytes(),
        }
    }

    /// A token that makes text; `None` for special ones and outside the vocabulary.
    fn text_of(&self, id: u32) -> Option<String> {
        if self.special.contains(&id) { None } else { self.inner.id_to_token(id) }
    }

    /// Starts decoding token by token.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream::new(self)
    }

    /// Starts decoding token by token after `before`, whose text is not repeated.
    ///
    /// # Errors
    /// None so far.
    pub fn stream_after(&self, before: &[u32]) -> Result<TextStream<'_>> {
        let mut stream = self.stream();
        for id in before {
            stream.push(*id)?;
        }
        Ok(stream)
    }
}
