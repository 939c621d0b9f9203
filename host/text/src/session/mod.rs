//! Sessions: a text in progress on any runner, with sampling, stop strings, cancelling, saving and restoring.
//!
//! ```no_run
//! use accllm_text::calibration::Calibration;
//! use accllm_text::runner::Reference;
//! use accllm_text::model::{Ready, Source};
//! use accllm_text::session::{Options, Session};
//! use std::ops::ControlFlow;
//!
//! let source = Source::find("bundled")?;
//! let ready = Ready::open(&source, &Calibration::open(None)?)?;
//! let runner = Reference::new(&ready.model, ready.model.lambda)?;
//! let mut session = Session::new(&ready, Box::new(runner));
//! session.push_text("Once upon a time")?;
//! session.generate(&Options::new(32), &mut |piece| {
//!     print!("{}", piece.text);
//!     Ok(ControlFlow::Continue(()))
//! })?;
//! session.save("story.session".as_ref())?;
//! # Ok::<(), accllm_text::Error>(())
//! ```

mod file;
mod prefix;
mod save;
mod stop;

use crate::generate::{self, Stop, Watch, generate_watched};
use crate::model::Ready;
use crate::runner::{Cancel, Runner};
use crate::sample::Sampling;
use crate::{Error, Result};
use std::ops::ControlFlow;
use stop::StopStrings;

/// How a text is continued.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Most tokens to write.
    pub tokens: usize,
    /// How they are chosen.
    pub sampling: Sampling,
    /// Added to the logits of tokens.
    pub bias: Vec<(u32, f64)>,
    /// Strings that end the text; they are not part of it.
    pub stop: Vec<String>,
    /// Go on when the model ends its text.
    pub ignore_end: bool,
    /// Tokens that end the text, beside the model's; they count even where those do not.
    pub end: Vec<u32>,
    /// Ends the generation from elsewhere.
    pub cancel: Cancel,
}

impl Options {
    /// The most likely `tokens` tokens.
    pub fn new(tokens: usize) -> Self {
        Self { tokens, ..Self::default() }
    }
}

/// A new token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The token; `None` for text that was held back until the end.
    pub token: Option<u32>,
    /// Text that is complete by now; may be empty.
    pub text: &'a str,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// All new tokens; with a stop string, also those of the string, which are no longer part of the session's text.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub stop: Stop,
}

/// A text in progress.
pub struct Session<'m> {
    ready: &'m Ready,
    runner: Box<dyn Runner + 'm>,
    /// All tokens of the text, after the model's prefix. The runner has the first `runner.position()` of them.
    tokens: Vec<u32>,
}

impl<'m> Session<'m> {
    /// An empty text of a model on a runner that holds it.
    pub fn new(ready: &'m Ready, runner: Box<dyn Runner + 'm>) -> Self {
        Self { ready, runner, tokens: Vec::new() }
    }

    /// The model.
    pub fn ready(&self) -> &'m Ready {
        self.ready
    }

    /// The runner.
    pub fn runner(&self) -> &dyn Runner {
        &*self.runner
    }

    /// Tokens of the text, after those of the model's prefix where there is a text.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Tokens of the text without the model's prefix.
    fn text(&self) -> &[u32] {
        self.tokens.get(self.prefix().tokens.len()..).unwrap_or_default()
    }

    /// Computes `text` from its beginning; `on_logits` sees the logits after each token of it. The text may then be
    /// continued.
    ///
    /// # Errors
    /// A token is not in the vocabulary, the device's, or those of `on_logits`.
    pub fn score(
        &mut self,
        text: &[u32],
        cancel: &Cancel,
        on_logits: &mut dyn FnMut(usize, &[i32]) -> Result<()>,
    ) -> Result<()> {
        self.check(text)?;
        self.reset()?;
        self.begin()?;
        self.runner.feed_each(text, cancel, on_logits)?;
        self.tokens = self.behind_prefix(text);
        Ok(())
    }

    /// Begins an empty text.
    ///
    /// # Errors
    /// The device's.
    pub fn reset(&mut self) -> Result<()> {
        self.tokens.clear();
        self.rewind(0)
    }

    /// Appends tokens; they are computed with the next generation.
    ///
    /// # Errors
    /// A token is not in the vocabulary; nothing is appended.
    pub fn push(&mut self, tokens: &[u32]) -> Result<()> {
        self.check(tokens)?;
        if self.tokens.is_empty() {
            self.tokens = self.behind_prefix(tokens);
        } else {
            self.tokens.extend_from_slice(tokens);
        }
        Ok(())
    }

    /// Appends text, after the begin token where the text is empty so far. Text that goes on has the tokens that it has
    /// there: no space is put in front of it. Returns the number of tokens.
    ///
    /// # Errors
    /// The tokenizer refuses it.
    pub fn push_text(&mut self, text: &str) -> Result<usize> {
        let tokens = match self.tokens.is_empty() {
            true => self.ready.prompt(text)?,
            false => self.ready.tokenizer.encode_after(&self.tokens, text)?,
        };
        self.push(&tokens)?;
        Ok(tokens.len())
    }

    /// Makes this the text, computing only what differs from the text so far; returns how many of these tokens were
    /// kept.
    ///
    /// # Errors
    /// A token is not in the vocabulary, or the device's.
    pub fn replace(&mut self, tokens: &[u32]) -> Result<usize> {
        if let Some(kept) = self.replace_near(tokens)? {
            return Ok(kept);
        }
        self.rewind(0)?;
        self.tokens = self.behind_prefix(tokens);
        Ok(0)
    }

    /// [`Session::replace`] where the window still holds what the common beginning needs; `None` where it does not, and
    /// the text is as before.
    ///
    /// # Errors
    /// As there.
    pub fn replace_near(&mut self, tokens: &[u32]) -> Result<Option<usize>> {
        self.check(tokens)?;
        let tokens = self.behind_prefix(tokens);
        let computed = &self.tokens[..self.runner.position() as usize];
        let same = computed.iter().zip(&tokens).take_while(|(a, b)| a == b).count();
        // The last token is computed again, for its logits.
        let same = same.min(tokens.len().saturating_sub(1));
        if same != computed.len() && !self.runner.rewind(same as u64)? {
            return Ok(None);
        }
        self.tokens = tokens;
        Ok(Some(same.saturating_sub(self.prefix().tokens.len())))
    }

    /// Takes the text back to its first `len` tokens; false where the window no longer holds what they need, and the
    /// text is as before.
    ///
    /// # Errors
    /// The device's.
    pub fn take_back(&mut self, len: usize) -> Result<bool> {
        if len <= self.prefix().tokens.len() {
            return self.reset().map(|()| true);
        }
        let can = self.runner.position() <= len as u64 || self.runner.rewind(len as u64)?;
        if can {
            self.tokens.truncate(len);
        }
        Ok(can)
    }

    /// Continues the text. `on_piece` sees every token at once and may end the text, which then counts as cancelled.
    /// The new tokens are part of the text; an end token is not, nor are those that a stop string is in.
    ///
    /// # Errors
    /// There is no text yet, sampling options without meaning, the device's, or those of `on_piece`. The text then
    /// has the tokens that `on_piece` saw.
    pub fn generate(
        &mut self,
        options: &Options,
        on_piece: &mut dyn FnMut(Piece<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<Answer> {
        self.generate_watched(options, None, on_piece)
    }

    /// Makes sure that there is a token whose logits are still to be computed.
    fn ready_to_go_on(&mut self) -> Result<()> {
        if self.tokens.is_empty() {
            return Err(Error::Argument("there is no text to continue; give a prompt".into()));
        }
        self.begin()?;
        if self.runner.position() == self.tokens.len() as u64 {
            // Its logits are needed again.
            let to = self.runner.position() - 1;
            self.rewind(to)?;
        }
        Ok(())
    }

    /// [`Session::generate`]; `watch` sees the logits of each token before `on_piece` sees the token.
    ///
    /// # Errors
    /// As there.
    pub fn generate_watched(
        &mut self,
        options: &Options,
        watch: Option<Watch<'_>>,
        on_piece: &mut dyn FnMut(Piece<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<Answer> {
        options.sampling.check()?;
        self.ready_to_go_on()?;
        let end = match options.ignore_end {
            true => options.end.clone(),
            false => [&options.end[..], self.ready.ends()].concat(),
        };
        let pending = self.tokens[self.runner.position() as usize..].to_vec();
        let request = generate::Request {
            prompt: &pending,
            tokens: options.tokens,
            end: &end,
            sampler: options.sampling.sampler(self.ready.model.logit_frac, self.text(), &options.bias),
            cancel: options.cancel.clone(),
        };
        let mut stream = self.ready.tokenizer.stream_after(&self.tokens)?;
        let mut stop = StopStrings::new(&options.stop);
        let mut text = String::new();
        // Where the text of each new token ends, stop string included.
        let (mut ends, mut end) = (Vec::new(), 0);
        let before = self.tokens.len();
        let tokens = &mut self.tokens;
        let written = generate_watched(&mut *self.runner, &request, watch, &mut |token| {
            tokens.push(token);
            let new = stream.push(token)?;
            end += new.len();
            ends.push(end);
            let new = stop.push(&new);
            text.push_str(&new);
            let flow = on_piece(Piece { token: Some(token), text: &new })?;
            Ok(match flow {
                _ if stop.found() => ControlFlow::Break(Stop::StopString),
                ControlFlow::Break(()) => ControlFlow::Break(Stop::Cancelled),
                ControlFlow::Continue(()) => ControlFlow::Continue(()),
            })
        })?;
        let mut rest = stop.push(&stream.finish()?);
        let stopped = if stop.found() { Stop::StopString } else { written.stop };
        rest += &stop.finish();
        if !rest.is_empty() {
            text.push_str(&rest);
            // There is nothing left to end.
            let _ = on_piece(Piece { token: None, text: &rest })?;
        }
        if stopped == Stop::StopString {
            // Far back the window may not reach; then the string's tokens stay.
            let whole = ends.iter().take_while(|end| **end <= text.len()).count();
            self.take_back(before + whole)?;
        }
        Ok(Answer { text, tokens: written.tokens, stop: stopped })
    }

    /// Ends what the runner writes beside the text: waves, timelines.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn finish(&mut self) -> Result<()> {
        self.runner.finish()
    }

    /// Takes the runner back to what it is known to hold.
    fn rewind(&mut self, to: u64) -> Result<()> {
        match self.runner.rewind(to)? {
            true => Ok(()),
            false => Err(Error::Argument(format!("the text cannot be taken back to {to} tokens"))),
        }
    }

    fn check(&self, tokens: &[u32]) -> Result<()> {
        let vocab = self.ready.model.arch.sizes.vocab;
        match tokens.iter().find(|t| **t as usize >= vocab) {
            Some(t) => Err(Error::Argument(format!("token {t} is not below the vocabulary size {vocab}"))),
            None => Ok(()),
        }
    }
}
