//! Shape of a quantized model.

use accllm_hw::rope::Rope;
use serde::{Deserialize, Serialize};

/// Dimensions and constants that do not depend on the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arch {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward layer.
    pub ff: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head; even, at most 128.
    pub head_dim: usize,
    /// Tokens in the vocabulary.
    pub vocab: usize,
    /// RoPE's base and scaling.
    #[serde(flatten)]
    pub rope: Rope,
    /// Begin-of-text token.
    pub bos: Option<u32>,
    /// Tokens that end a text.
    pub eos: Vec<u32>,
    /// Positions the model was trained for (information only).
    pub max_positions: usize,
}

impl Arch {
    /// `hdp`: width of a head in the rotated layout, 64 or 128.
    pub fn padded_head(&self) -> usize {
        if self.head_dim <= 64 { 64 } else { 128 }
    }

    /// `hds`: stride of a head in the columns of `o`, `head_dim` rounded up to 32.
    pub fn head_stride(&self) -> usize {
        self.head_dim.next_multiple_of(super::GROUP)
    }

    /// Rows of q: `heads * head_dim`.
    pub fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Rows of k and v: `kv_heads * head_dim`.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Columns of o: `heads * head_stride`.
    pub fn o_cols(&self) -> usize {
        self.heads * self.head_stride()
    }

    /// Query heads per key/value head (G).
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// `(rows, columns)` of a layer's linear by its contract name; `None` for an unknown name.
    pub fn linear_shape(&self, name: &str) -> Option<(usize, usize)> {
        Some(match name {
            "q" => (self.q_width(), self.hidden),
            "k" | "v" => (self.kv_width(), self.hidden),
            "o" => (self.hidden, self.o_cols()),
            "gate" | "up" => (self.ff, self.hidden),
            "down" => (self.hidden, self.ff),
            "head" => (self.vocab, self.hidden),
            _ => return None,
        })
    }

    /// Tells columns of a layer's linear, or of the head, from padding: the tail of each head of `o`, the tail of every
    /// other row.
    pub(super) fn columns(&self, name: &str) -> impl Fn(usize) -> bool + Sync + use<> {
        let cols = self.linear_shape(name).unwrap_or_default().1;
        let (block, used) = match name {
            "o" => (self.head_stride(), self.head_dim),
            _ => (usize::MAX, cols),
        };
        move |column| column % block < used
    }
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
