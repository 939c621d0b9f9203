//! Sizes of a Llama model, and what follows from them alone: the shapes of its linear layers, the widths of a head, the
//! limits of the engine.

use crate::config::GROUP;
use crate::rope::{MAX_PAIRS, Rope};
use serde::{Deserialize, Serialize};

/// Largest width of the residual stream.
pub const MAX_HIDDEN: usize = 8192;
/// Largest width of a head.
pub const MAX_HEAD_DIM: usize = 2 * MAX_PAIRS;
/// Most query heads on one key/value head.
pub const MAX_GROUP: usize = 16;

/// Sizes of a model. Everything that has sizes holds this: a checkpoint's configuration, a quantized model, a program,
/// a random model, a shape by name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
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
    /// Width of one head; even.
    pub head_dim: usize,
    /// Tokens in the vocabulary.
    pub vocab: usize,
    /// RoPE's base and scaling.
    #[serde(flatten)]
    pub rope: Rope,
}

/// The linear layers of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)] // named after the tensors
pub enum Linear {
    Q,
    K,
    V,
    O,
    Gate,
    Up,
    Down,
    Head,
}

impl Linear {
    /// The linear layers of one decoder layer, in the order of the contract.
    pub const LAYER: [Self; 7] = [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// Name in the quantized model's tensors.
    pub const fn name(self) -> &'static str {
        ["q", "k", "v", "o", "gate", "up", "down", "head"][self as usize]
    }
}

/// Widths of a head as the engine rotates it and keeps it in the cache of keys: half a beat, one, two.
pub const PADDED_HEADS: [usize; 3] = [64, 128, MAX_HEAD_DIM];

/// The smallest of [`PADDED_HEADS`] that a head fits into.
pub const fn padded_head(head_dim: usize) -> usize {
    match head_dim {
        0..=64 => 64,
        65..=128 => 128,
        _ => MAX_HEAD_DIM,
    }
}

/// Distance of heads in the columns of `o`: `head_dim` rounded up to 32.
pub const fn head_stride(head_dim: usize) -> usize {
    head_dim.next_multiple_of(GROUP)
}

impl Sizes {
    /// Width of the query projection: `heads * head_dim`.
    pub fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of the key (and value) projection: `kv_heads * head_dim`.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Query heads that share one key/value head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// [`padded_head`] of the model's heads.
    pub fn padded_head(&self) -> usize {
        padded_head(self.head_dim)
    }

    /// [`head_stride`] of the model's heads.
    pub fn head_stride(&self) -> usize {
        head_stride(self.head_dim)
    }

    /// `(rows, columns)` of a linear layer in the checkpoint.
    pub fn linear(&self, linear: Linear) -> (usize, usize) {
        match linear {
            Linear::Q => (self.q_width(), self.hidden),
            Linear::K | Linear::V => (self.kv_width(), self.hidden),
            Linear::O => (self.hidden, self.q_width()),
            Linear::Gate | Linear::Up => (self.ff, self.hidden),
            Linear::Down => (self.hidden, self.ff),
            Linear::Head => (self.vocab, self.hidden),
        }
    }

    /// `(rows, columns)` of a linear layer in the quantized model, where the heads in the columns of `o` are
    /// [`head_stride`] apart.
    pub fn quantized(&self, linear: Linear) -> (usize, usize) {
        match linear {
            Linear::O => (self.hidden, self.heads * self.head_stride()),
            _ => self.linear(linear),
        }
    }

    /// Weights of each of [`Linear::LAYER`] in the checkpoint.
    pub fn linear_weights(&self) -> [usize; 7] {
        Linear::LAYER.map(|linear| {
            let (rows, cols) = self.linear(linear);
            rows * cols
        })
    }

    /// Columns of a linear layer of the quantized model that hold weights: in each `(block, used)` of them the first
    /// `used`. The rest is the tail of a head of `o`, or of a row that is padded to a multiple of 32.
    pub fn used_columns(&self, linear: Linear) -> (usize, usize) {
        match linear {
            Linear::O => (self.head_stride(), self.head_dim),
            _ => (usize::MAX, self.linear(linear).1),
        }
    }

    /// Refuses what is beyond the limits of the engine (docs/numerics.md): the field, and what is wrong with it. Products
    /// of sizes that are within them do not overflow.
    ///
    /// # Errors
    /// The first such field.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (field, value, most) in [
            ("hidden", self.hidden, MAX_HIDDEN),
            ("ff", self.ff, 65504),
            ("layers", self.layers, 1 << 10),
            ("heads", self.heads, 1 << 10),
            ("kv_heads", self.kv_heads, self.heads),
            ("head_dim", self.head_dim, MAX_HEAD_DIM),
            ("vocab", self.vocab, 1 << 22),
        ] {
            if !(1..=most).contains(&value) {
                return Err((field, format!("is {value}; the engine takes 1 to {most}")));
            }
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(("head_dim", format!("is {}; RoPE needs an even number", self.head_dim)));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err((
                "kv_heads",
                format!("is {}, which does not divide heads ({})", self.kv_heads, self.heads),
            ));
        }
        if self.group() > MAX_GROUP {
            let why = format!(
                "is {}: {} query heads on each; the engine takes 1 to {MAX_GROUP}",
                self.kv_heads,
                self.group()
            );
            return Err(("kv_heads", why));
        }
        self.rope.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Sizes = Sizes {
        hidden: 96,
        ff: 40,
        layers: 1,
        heads: 4,
        kv_heads: 2,
        head_dim: 80,
        vocab: 33,
        rope: Rope::plain(10_000.0),
    };

    #[test]
    fn shapes_by_hand() {
        let of = |linear| (SMALL.linear(linear), SMALL.quantized(linear));
        assert_eq!(of(Linear::Q), ((320, 96), (320, 96)));
        assert_eq!(of(Linear::V), ((160, 96), (160, 96)));
        assert_eq!(of(Linear::O), ((96, 320), (96, 384)));
        assert_eq!(of(Linear::Up), ((40, 96), (40, 96)));
        assert_eq!(of(Linear::Down), ((96, 40), (96, 40)));
        assert_eq!(of(Linear::Head), ((33, 96), (33, 96)));
        assert_eq!((SMALL.used_columns(Linear::O), SMALL.used_columns(Linear::Down).1), ((96, 80), 40));
        assert_eq!([2, 64, 66, 128, 130, 256].map(padded_head), [64, 64, 128, 128, 256, 256]);
        assert_eq!(Linear::LAYER.map(Linear::name), ["q", "k", "v", "o", "gate", "up", "down"]);
    }

    #[test]
    fn limits() {
        assert_eq!(SMALL.check(), Ok(()));
        let field = |sizes: Sizes| sizes.check().err().map(|(field, _)| field);
        let half = SMALL.heads / 2;
        for (sizes, expected) in [
            (Sizes { hidden: MAX_HIDDEN + 1, ..SMALL }, "hidden"),
            (Sizes { hidden: 0, ..SMALL }, "hidden"),
            (Sizes { ff: 65505, ..SMALL }, "ff"),
            (Sizes { layers: 1025, ..SMALL }, "layers"),
            (Sizes { heads: 0, ..SMALL }, "heads"),
            (Sizes { kv_heads: 0, ..SMALL }, "kv_heads"),
            (Sizes { kv_heads: half + 1, ..SMALL }, "kv_heads"),
            (Sizes { heads: 17, kv_heads: 1, ..SMALL }, "kv_heads"),
            (Sizes { head_dim: 258, ..SMALL }, "head_dim"),
            (Sizes { head_dim: 79, ..SMALL }, "head_dim"),
            (Sizes { vocab: (1 << 22) + 1, ..SMALL }, "vocab"),
            (Sizes { rope: Rope::plain(0.0), ..SMALL }, "rope_theta"),
        ] {
            assert_eq!(field(sizes), Some(expected), "{sizes:?}");
        }
    }
}
