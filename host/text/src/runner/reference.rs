//! The integer reference model as a runner.

use super::{Cancel, Part, Runner};
use crate::{Error, Result};
use accllm_llm::int::{Logits, NoIntTap, Sequence};
use accllm_llm::model::{HeadCache, LambdaShape, QuantModel};

/// Runs the integer reference model: fast, on all cores, no hardware.
pub struct Reference<'m> {
    session: Sequence<'m>,
    /// Of the last token, if they were asked for.
    logits: Vec<i32>,
}

impl<'m> Reference<'m> {
    /// An empty text.
    ///
    /// # Errors
    /// `lambda` is outside the limits of the contract.
    pub fn new(model: &'m QuantModel, lambda: LambdaShape) -> Result<Self> {
        Ok(Self { session: Sequence::with_lambda(model, lambda)?, logits: Vec::new() })
    }
}

impl Runner for Reference<'_> {
    fn lambda(&self) -> LambdaShape {
        self.session.lambda()
    }

    fn block(&self) -> usize {
        self.session.block_tokens()
    }

    fn position(&self) -> u64 {
        self.session.position()
    }

    fn step(&mut self, tokens: &[u32], part: Part) -> Result<Option<u32>> {
        let which = if part == Part::Prompt { Logits::Skip } else { Logits::Last };
        self.logits = self.session.step(tokens, which, &mut NoIntTap)?;
        Ok(argmax(&self.logits))
    }

    /// In blocks, with the logits of all their tokens.
    fn feed_each(
        &mut self,
        tokens: &[u32],
        cancel: &Cancel,
        on_logits: &mut dyn FnMut(usize, &[i32]) -> Result<()>,
    ) -> Result<()> {
        let block = self.session.block_tokens();
        for (b, block_tokens) in tokens.chunks(block).enumerate() {
            if cancel.is_set() {
                return Ok(());
            }
            let all = self.session.step(block_tokens, Logits::All, &mut NoIntTap)?;
            let vocab = all.len() / block_tokens.len();
            for (i, row) in all.chunks_exact(vocab.max(1)).enumerate() {
                on_logits(b * block + i, row)?;
                self.logits = row.to_vec();
            }
        }
        Ok(())
    }

    fn logits(&mut self) -> Result<Vec<i32>> {
        match self.logits.is_empty() {
            false => Ok(self.logits.clone()),
            true => Err(super::no_logits()),
        }
    }

    fn rewind(&mut self, to: u64) -> Result<bool> {
        let can = self.session.rewind(to);
        if can {
            self.logits.clear();
        }
        Ok(can)
    }

    fn head_cache(&mut self, layer: usize, head: usize) -> Result<HeadCache> {
        Ok(self.session.head_cache(layer, head)?)
    }

    fn restore(
        &mut self,
        position: u64,
        heads: &mut dyn FnMut(usize, usize) -> Result<HeadCache>,
    ) -> Result<()> {
        self.logits.clear();
        self.session.restore::<Error>(position, heads)
    }
}

/// Index of the largest logit, the lowest among equals.
pub(super) fn argmax(logits: &[i32]) -> Option<u32> {
    let best = logits.iter().enumerate().rev().max_by_key(|(_, v)| **v)?;
    u32::try_from(best.0).ok()
}

#[cfg(test)]
mod tests {
    use super::argmax;

    #[test]
    fn lowest_index_wins() {
        assert_eq!(argmax(&[1, 7, 7, -3]), Some(1));
        assert_eq!(argmax(&[]), None);
    }
}
