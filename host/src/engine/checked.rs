//! A device beside the integer reference model.

use super::{Engine, Session};
use crate::device::{Compared, Device};
use crate::{Error, Result};
use accllm_quant::int;
use accllm_quant::model::{LambdaShape, QuantModel};

/// Feeds both, and compares all logits of every token that is followed by a new one.
pub struct Checked<'m, D> {
    session: Session<D>,
    reference: int::Session<'m>,
    compared: Compared,
}

impl<'m, D: Device> Checked<'m, D> {
    /// A device session, not fed yet, and the model that its program was compiled from.
    ///
    /// # Errors
    /// `lambda`, which must be the program's, is outside the limits of the contract.
    pub fn new(session: Session<D>, model: &'m QuantModel, lambda: LambdaShape) -> Result<Self> {
        let reference = int::Session::with_lambda(model, lambda)?;
        Ok(Self { session, reference, compared: Compared::default() })
    }

    /// The device's session.
    pub fn session(&self) -> &Session<D> {
        &self.session
    }

    /// Everything compared: logits with the integer reference, and what the device itself compares.
    pub fn compared(&self) -> Compared {
        let inner = self.session.device().compared().unwrap_or_default();
        Compared {
            tensors: self.compared.tensors + inner.tensors,
            elements: self.compared.elements + inner.elements,
        }
    }
}

impl<D: Device> Engine for Checked<'_, D> {
    fn feed(&mut self, tokens: &[u32]) -> Result<u32> {
        let next = self.session.feed(tokens)?;
        let device = self.session.logits()?;
        let reference = self.reference.step(tokens, int::Logits::Last, &mut int::NoIntTap)?;
        if let Some(id) = (0..reference.len()).find(|i| device.get(*i) != reference.get(*i)) {
            let token = self.reference.position().saturating_sub(1);
            return Err(Error::Mismatch(format!(
                "device and integer reference differ: logits, token {token}, element {id}: device {:?}, reference {:?}",
                device.get(id),
                reference.get(id)
            )));
        }
        self.compared.tensors += 1;
        self.compared.elements += reference.len() as u64;
        Ok(next)
    }
}
