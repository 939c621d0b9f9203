//! What each instruction of a program computes, in the names of docs/numerics.md.

use accllm_hw::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Which layer an instruction works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRef {
    /// The layer, of the first iteration.
    pub first: usize,
    /// Index of the loop over layers, if the instruction is in one.
    pub in_loop: Option<u8>,
}

/// Tokens of a step that an instruction works on. Prefill goes through the layers in two groups of tokens, so that the
/// vector unit can work on one while the matrix unit works on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Span {
    /// The only token of a decode step; in prefill: all tokens, or none in particular.
    #[default]
    Step,
    /// The first group.
    First,
    /// The second group.
    Second,
    /// One token of each sequence.
    Batch,
}

impl Span {
    /// The tokens (indices in the step) of a step of `tokens`; in a step of all sequences each is a sequence's.
    pub fn of(self, tokens: usize) -> Range<usize> {
        let half = tokens.div_ceil(2);
        match self {
            Self::Step | Self::Batch => 0..tokens,
            Self::First => 0..half,
            Self::Second => half..tokens,
        }
    }
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
    /// Group of tokens.
    pub span: Span,
    /// The loop whose counter is the token within the group; `None`: all tokens of the group.
    pub token_loop: Option<u8>,
    /// The sequence, where it works on one of several.
    pub sequence: Option<usize>,
    /// KV head, where it works on one.
    pub kv_head: Option<usize>,
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

    /// Tokens (indices in the step of `tokens`) that the instruction works on.
    pub fn tokens_at(&self, loops: &[u32], tokens: usize) -> Range<usize> {
        if let Some(s) = self.sequence {
            return s..s + 1;
        }
        let all = self.span.of(tokens);
        match self.token_loop {
            None => all,
            Some(d) => {
                let t = all.start + loops.get(usize::from(d)).copied().unwrap_or(0) as usize;
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
        if let Some(s) = self.sequence {
            write!(f, " sequence {s}")?;
        }
        match self.kv_head {
            Some(h) => write!(f, " head {h}"),
            None => Ok(()),
        }
    }
}
