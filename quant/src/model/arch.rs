//! What a quantized model says of itself beside its numbers.

use accllm_hw::sizes::Sizes;
use serde::{Deserialize, Serialize};

/// Sizes, and the tokens around a text: the checkpoint's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arch {
    /// Sizes.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// Begin-of-text token.
    pub bos: Option<u32>,
    /// Tokens that end a text.
    pub eos: Vec<u32>,
    /// Positions the model was trained for (information only).
    pub max_positions: usize,
}

/// Λ-shaped attention of the integer engine: first `n_sink` tokens and last `n_window` tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LambdaShape {
    /// Sink tokens.
    pub n_sink: usize,
    /// Window tokens, the current one included; at least 1.
    pub n_window: usize,
}

impl LambdaShape {
    /// Position whose rotation a query at `p` uses to score the sinks.
    pub fn sink_position(&self, p: u64) -> u64 {
        p.min((self.n_sink + self.n_window) as u64 - 1)
    }

    /// Positions that a query at `p` sees: sinks, then window, each in order; `p` is the last.
    pub fn visible(&self, p: u64) -> impl Iterator<Item = u64> + Clone + use<> {
        let sinks = (self.n_sink as u64).min(p + 1);
        (0..sinks).chain(self.window_start(p).max(sinks)..p + 1)
    }

    /// Positions that are kept of a text of `len` tokens: what its last token sees, which is all that a token
    /// after it, or in its place, can see.
    pub fn kept(&self, len: u64) -> impl Iterator<Item = u64> + Clone + use<> {
        self.visible(len.saturating_sub(1)).filter(move |_| len > 0)
    }

    /// Whether a text of `len` tokens can be taken back to `to` of them, when its window holds every position from
    /// `held` on.
    pub fn can_rewind(&self, held: u64, len: u64, to: u64) -> bool {
        let sinks = self.n_sink as u64;
        to <= len && (to <= sinks || held <= self.window_start(to).max(sinks))
    }

    /// First position of the window of a query at `p`, were there no sinks.
    pub(crate) fn window_start(&self, p: u64) -> u64 {
        (p + 1).saturating_sub(self.n_window as u64)
    }
}
