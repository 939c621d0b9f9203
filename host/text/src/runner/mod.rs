//! Whatever continues a text: the integer reference, a device, or two of them in lockstep.

mod batch;
mod cancel;
mod device;
mod held;
mod loaded;
mod reference;

use crate::Result;
use accllm_device::Compared;
use accllm_device::perf::Work;
use accllm_llm::model::{HeadCache, LambdaShape};
pub use batch::Batch;
pub use cancel::Cancel;
pub use device::DeviceRunner;
pub use reference::Reference;

/// Which part of a text a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A block of a prompt, of which more follows: no logits.
    Prompt,
    /// The last block of a prompt.
    PromptEnd,
    /// A token after a text.
    Token,
}

/// A text in progress. All runners compute the same logits for the same model and attention shape.
pub trait Runner {
    /// The attention shape.
    fn lambda(&self) -> LambdaShape;

    /// Most tokens of a step.
    fn block(&self) -> usize;

    /// Tokens of the text.
    fn position(&self) -> u64;

    /// Appends 1 ..= [`Runner::block`] tokens; returns the most likely next token, except for [`Part::Prompt`].
    ///
    /// # Errors
    /// A token outside the vocabulary, a device fault, or a difference in lockstep. The text is then as before.
    fn step(&mut self, tokens: &[u32], part: Part) -> Result<Option<u32>>;

    /// Logits of the last token, when its step was not [`Part::Prompt`].
    ///
    /// # Errors
    /// There are none.
    fn logits(&mut self) -> Result<Vec<i32>>;

    /// Takes the text back to its first `to` tokens; false where the window no longer holds what they need. Back to
    /// an empty text is always possible.
    ///
    /// # Errors
    /// The device's.
    fn rewind(&mut self, to: u64) -> Result<bool>;

    /// Keys and values of a layer and KV head, of the positions that are kept.
    ///
    /// # Errors
    /// There is no such head, or the device's.
    fn head_cache(&mut self, layer: usize, head: usize) -> Result<HeadCache>;

    /// Makes this a text of `position` tokens whose KV cache is what `heads` says of each layer and KV head, in order.
    ///
    /// # Errors
    /// Those of `heads`, or the device's. The text is then empty.
    fn restore(
        &mut self,
        position: u64,
        heads: &mut dyn FnMut(usize, usize) -> Result<HeadCache>,
    ) -> Result<()>;

    /// Appends tokens (at least one) in blocks; returns the most likely next token, or `None` when cancelled between
    /// two blocks.
    ///
    /// # Errors
    /// As [`Runner::step`]; the blocks before the error are in the text.
    fn feed_until(&mut self, tokens: &[u32], cancel: &Cancel) -> Result<Option<u32>> {
        if let [token] = tokens {
            return if cancel.is_set() { Ok(None) } else { self.step(&[*token], Part::Token) };
        }
        let blocks = tokens.chunks(self.block());
        let last = blocks.len().saturating_sub(1);
        for (i, block) in blocks.enumerate() {
            if cancel.is_set() {
                return Ok(None);
            }
            let part = if i == last { Part::PromptEnd } else { Part::Prompt };
            if let Some(next) = self.step(block, part)? {
                return Ok(Some(next));
            }
        }
        Err(crate::Error::Argument("there is no token to continue from".into()))
    }

    /// Appends tokens (at least one) in blocks; returns the most likely next token.
    ///
    /// # Errors
    /// As [`Runner::step`].
    fn feed(&mut self, tokens: &[u32]) -> Result<u32> {
        let next = self.feed_until(tokens, &Cancel::new())?;
        next.ok_or_else(|| crate::Error::Argument("the engine returned no token".into()))
    }

    /// Appends tokens one by one; `on_logits` sees the number of each and the logits after it. Ends early when cancelled.
    ///
    /// # Errors
    /// As [`Runner::step`], and those of `on_logits`.
    fn feed_each(
        &mut self,
        tokens: &[u32],
        cancel: &Cancel,
        on_logits: &mut dyn FnMut(usize, &[i32]) -> Result<()>,
    ) -> Result<()> {
        for (i, token) in tokens.iter().enumerate() {
            if cancel.is_set() {
                return Ok(());
            }
            self.step(&[*token], Part::Token)?;
            on_logits(i, &self.logits()?)?;
        }
        Ok(())
    }

    /// Ends what the runner writes beside the text: waves, timelines.
    ///
    /// # Errors
    /// A file cannot be written.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    /// What has been compared so far; `None` on runners that compare nothing.
    fn compared(&self) -> Option<Compared> {
        None
    }

    /// What was counted for prompts and for single tokens; `None` on runners that are no device.
    fn work(&self) -> Option<[&Work; 2]> {
        None
    }
}

/// The error of [`Runner::logits`].
fn no_logits() -> crate::Error {
    crate::Error::Argument("there are no logits: nothing was computed since the text was last changed".into())
}
