//! The shape of attention.

use serde::{Deserialize, Serialize};

/// Most tokens a query may see (sinks plus window), so that a sum over them fits 32 bits.
pub const MAX_VISIBLE: usize = 8192;

/// Λ-shaped attention: a query sees the first `n_sink` tokens and the last `n_window` tokens.
///
/// Sinks are scored with the query rotated at [`LambdaShape::sink_position`], a ceiling on their distance; until the
/// window has moved off the sinks this is plain causal attention.
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
        p.min(((self.n_sink + self.n_window) as u64).saturating_sub(1))
    }

    /// Positions that a query at `p` sees: sinks, then window, each in order; `p` is the last.
    pub fn visible(&self, p: u64) -> impl Iterator<Item = u64> + Clone + use<> {
        let sinks = (self.n_sink as u64).min(p + 1);
        (0..sinks).chain(self.after_sinks(p)..p + 1)
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
    pub fn window_start(&self, p: u64) -> u64 {
        (p + 1).saturating_sub(self.n_window as u64)
    }

    /// First position of the window of a query at `p` that is not a sink.
    pub fn after_sinks(&self, p: u64) -> u64 {
        self.window_start(p).max((self.n_sink as u64).min(p + 1))
    }

    /// Refuses what is beyond the limits of the engine: the field, and what is wrong with it.
    ///
    /// # Errors
    /// There is no window, or a query would see too many tokens.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let all = self.n_sink.saturating_add(self.n_window);
        for (field, value) in [("n_window", self.n_window), ("n_sink + n_window", all)] {
            if !(1..=MAX_VISIBLE).contains(&value) {
                return Err((field, format!("is {value}; expected 1 to {MAX_VISIBLE}")));
            }
        }
        Ok(())
    }
}
