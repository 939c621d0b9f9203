//! What each instruction of a program computes, in the names of docs/numerics.md.

mod tensor;

pub use tensor::Tensor;

use serde::{Deserialize, Serialize};

/// Which layer an instruction works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRef {
    /// The layer, of the first iteration.
    pub first: usize,
    /// Index of the loop over layers, if the instruction is in one.
    pub in_loop: Option<u8>,
}

/// Which token of the block an instruction works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TokenRef {
    /// All tokens, or none in particular.
    #[default]
    All,
    /// The counter of this loop.
    Loop(u8),
    /// The last one.
    Last,
}

/// Debug label of an instruction.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Label {
    /// Layer; `None` outside of the layers.
    pub layer: Option<LayerRef>,
    /// Operation, e.g. `q_proj`, `k_append`, `softmax`.
    pub op: String,
    /// Tensors that are complete once it is done.
    pub tensors: Vec<Tensor>,
    /// Token.
    pub token: TokenRef,
    /// KV head, where it works on one.
    pub kv_head: Option<usize>,
    /// Query head within the KV head's group, where it works on one.
    pub group: Option<usize>,
    /// Range of the tensor's elements, where it makes a part: first, count.
    pub part: Option<(usize, usize)>,
}

impl Label {
    /// Layer in an iteration given by its loop counters.
    pub fn layer_at(&self, loops: &[u32]) -> Option<usize> {
        let layer = self.layer?;
        let step = layer.in_loop.and_then(|d| loops.get(usize::from(d)).copied()).unwrap_or(0);
        Some(layer.first + step as usize)
    }

    /// Tokens (indices in the block of `tokens`) that the instruction works on.
    pub fn tokens_at(&self, loops: &[u32], tokens: usize) -> std::ops::Range<usize> {
        match self.token {
            TokenRef::All => 0..tokens,
            TokenRef::Last => tokens.saturating_sub(1)..tokens,
            TokenRef::Loop(d) => {
                let t = loops.get(usize::from(d)).copied().unwrap_or(0) as usize;
                t..t + 1
            }
        }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.layer {
            Some(LayerRef { first, in_loop: Some(_) }) => write!(f, "layer {first}+ ")?,
            Some(LayerRef { first, in_loop: None }) => write!(f, "layer {first} ")?,
            None => {}
        }
        f.write_str(&self.op)?;
        match (self.kv_head, self.group) {
            (Some(h), Some(g)) => write!(f, " head {h}.{g}"),
            (Some(h), None) => write!(f, " head {h}"),
            _ => Ok(()),
        }
    }
}
