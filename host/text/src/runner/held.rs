//! How far back a text on a ring of window slots can be taken.

use accllm_llm::model::LambdaShape;

/// What the window still holds.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    lambda: LambdaShape,
    /// Window slots.
    ring: u64,
    /// First position that is held, apart from what the ring has overwritten since.
    from: u64,
}

impl Held {
    /// Of an empty text.
    pub fn new(lambda: LambdaShape, ring: usize) -> Self {
        Self { lambda, ring: ring as u64, from: 0 }
    }

    /// Whether a text of `len` tokens can be taken back to `to`, and if so, notes that it is.
    pub fn rewind(&mut self, len: u64, to: u64) -> bool {
        let from = self.from.max(len.saturating_sub(self.ring));
        let can = self.lambda.can_rewind(from, len, to);
        if can {
            self.from = from.min(to);
        }
        can
    }

    /// Notes that what is kept of a text of `len` tokens was put in.
    pub fn restored(&mut self, len: u64) {
        self.from = len.saturating_sub(self.lambda.n_window as u64);
    }
}
