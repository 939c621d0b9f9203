//! What a checkpoint says of its Llama model, whatever file it comes from.

use accllm_hw::sizes::{Linear, Sizes};

/// What a checkpoint says of its model: sizes, and what a float model needs beyond them.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaConfig {
    /// Sizes.
    pub sizes: Sizes,
    /// Last tokens that a query was trained to see; `None` for all. The quantized model's default window.
    pub sliding_window: Option<usize>,
    /// Added to the mean square in RMSNorm.
    pub norm_eps: f64,
    /// True when the output head is the embedding table.
    pub tied_head: bool,
    /// Positions the model was trained for (information only).
    pub max_positions: usize,
    /// Begin-of-text token, when the model has one.
    pub bos: Option<u32>,
    /// Tokens that end a text.
    pub eos: Vec<u32>,
    /// Leading RoPE pair of each KV head, layer by layer: the one that K is rounded with in place 0
    /// ([`crate::transform::match_keys`]). Empty where all are 0, as in every checkpoint.
    pub leads: Vec<Vec<u8>>,
    /// What scores are multiplied by besides `1 / sqrt(head_dim)`: YaRN's and LongRoPE's factor, squared. Import puts it
    /// into the weights of q.
    pub score_factor: f64,
    /// Linears of each layer that add a bias.
    pub biases: Vec<Linear>,
    /// Whether each query and key head has an RMSNorm before its rotation.
    pub head_norms: bool,
    /// Layers whose queries and keys are not rotated; empty where there are none.
    pub unrotated: Vec<usize>,
}

impl LlamaConfig {
    /// Whether layer `l` rotates its queries and keys.
    pub fn rotates(&self, l: usize) -> bool {
        !self.unrotated.contains(&l)
    }

    /// The leading RoPE pair of a KV head of layer `l`.
    pub fn lead(&self, l: usize, kv_head: usize) -> usize {
        self.leads.get(l).and_then(|heads| heads.get(kv_head)).map_or(0, |lead| usize::from(*lead))
    }
}
