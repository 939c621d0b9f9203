//! The integer reference model as an engine.

use super::Engine;
use crate::{Error, Result};
use accllm_quant::int::{Logits, NoIntTap, Session};
use accllm_quant::model::{LambdaShape, QuantModel};

/// Runs the integer reference model: fast, on all cores, no hardware.
pub struct Reference<'m> {
    session: Session<'m>,
}

impl<'m> Reference<'m> {
    /// An empty text.
    ///
    /// # Errors
    /// `lambda` is outside the limits of the contract.
    pub fn new(model: &'m QuantModel, lambda: LambdaShape) -> Result<Self> {
        Ok(Self { session: Session::with_lambda(model, lambda)? })
    }
}

impl Engine for Reference<'_> {
    fn feed(&mut self, tokens: &[u32]) -> Result<u32> {
        let logits = self.session.step(tokens, Logits::Last, &mut NoIntTap)?;
        argmax(&logits).ok_or_else(|| Error::Argument("there is no token to continue from".into()))
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
