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
