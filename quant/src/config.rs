//! Shape and constants of a Llama model, whatever file they come from.

use accllm_hw::rope::Rope;

/// Shape and constants of a Llama model.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaConfig {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward layer.
    pub ffn: usize,
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
    pub rope: Rope,
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
}

impl LlamaConfig {
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

    /// The leading RoPE pair of a KV head of layer `l`.
    pub fn lead(&self, l: usize, kv_head: usize) -> usize {
        self.leads.get(l).and_then(|heads| heads.get(kv_head)).map_or(0, |lead| usize::from(*lead))
    }
}
