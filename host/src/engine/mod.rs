//! Whatever continues a text greedily: the integer reference, a device, or two of them in lockstep.

mod batch;
mod reference;
mod session;

use crate::Result;
pub use batch::Batch;
pub use reference::Reference;
pub use session::{Session, Work};

/// A text in progress. All engines choose the same tokens for the same model and attention shape.
pub trait Engine {
    /// Appends `tokens` (at least one) to the text; returns the most likely next token.
    ///
    /// # Errors
    /// A token outside the vocabulary, a device fault, or a difference in lockstep.
    fn feed(&mut self, tokens: &[u32]) -> Result<u32>;
}
