//! The quantized model: integers only, as `docs/numerics.md` computes and `docs/formats.md` §3 stores it.

mod arch;
mod check;
mod head_cache;
mod manifest;
mod packed;
mod prefix;
mod read;
mod weight;
mod write;

pub use accllm_hw::beat::WeightFormat;
pub use accllm_hw::config::GROUP;
pub use accllm_hw::lambda::{LambdaShape, MAX_VISIBLE};
pub use arch::Arch;
pub use check::check_lambda;
pub use head_cache::HeadCache;
pub use prefix::Prefix;
pub use weight::{Levels, Weight};

pub use accllm_hw::fixed::UNROTATED;

use accllm_hw::sizes::Linear;

/// Constants of one RMSNorm with static quantization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Norm {
    /// `round(n * rms_eps * 4^resid_frac)`, at least 1.
    pub eps: u32,
    /// Shift that belongs to `g`, 0..=47.
    pub gs: u8,
    /// `[hidden]`: `g / 2^gs = 2^-20 * sqrt(n) * gamma / step`.
    pub g: Vec<i16>,
}

/// Integer constants of one layer, beside its norms and weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LayerConstants {
    /// Shift after RoPE and Hadamard of q, 0..=15.
    pub rot_shift_q: u8,
    /// Shift after RoPE and Hadamard of k, 0..=15.
    pub rot_shift_k: u8,
    /// Shift from the v accumulator scale to V codes, 0..=31.
    pub v_shift: u8,
    /// Score multiplier to log2 units.
    pub zm: u16,
    /// Shift of `zm`, 0..=47.
    pub zs: u8,
    /// Attention output multiplier.
    pub og: u16,
    /// Shift of `og`, 0..=47.
    pub os: u8,
    /// Shift after `silu(gate) * up`, 0..=47.
    pub hs: u8,
}

/// One decoder layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Norm before attention.
    pub attn_norm: Norm,
    /// Norm before the feed-forward.
    pub mlp_norm: Norm,
    /// Scalar constants.
    pub constants: LayerConstants,
    /// Of each KV head, the RoPE pair that has changed places with pair 0 in the rows of q and k, and so turns by its
    /// frequency; empty where all are 0. [`UNROTATED`] for all of them in a layer without rotation.
    pub leads: Vec<u8>,
    /// Norms of each query head and of each key head before their rotation, whose gains are `[head_dim]`.
    pub head_norms: Option<[Norm; 2]>,
    /// Query projection, rows `heads * head_dim` in checkpoint order.
    pub q: Weight,
    /// Key projection, rows `kv_heads * head_dim`.
    pub k: Weight,
    /// Value projection, rows `kv_heads * head_dim`.
    pub v: Weight,
    /// Output projection; columns are laid out per head with stride [`Sizes::head_stride`](accllm_hw::sizes::Sizes::head_stride).
    pub o: Weight,
    /// Gate projection.
    pub gate: Weight,
    /// Up projection.
    pub up: Weight,
    /// Down projection.
    pub down: Weight,
}

impl Layer {
    /// Weights of the linears, in the order of [`Linear::LAYER`].
    pub fn weights(&self) -> [&Weight; 7] {
        [&self.q, &self.k, &self.v, &self.o, &self.gate, &self.up, &self.down]
    }

    /// The linears with their weights, in the order of [`Linear::LAYER`].
    pub fn linears(&self) -> impl Iterator<Item = (Linear, &Weight)> {
        Linear::LAYER.into_iter().zip(self.weights())
    }

    /// Its linears that have a bias.
    pub fn biased(&self) -> impl Iterator<Item = Linear> {
        self.linears().filter(|(_, w)| !w.bias.is_empty()).map(|(l, _)| l)
    }

    /// Whether it has what a plain Llama's layer has not: biases, norms of heads, no rotation.
    pub fn is_more_than_plain(&self) -> bool {
        self.head_norms.is_some() || self.biased().next().is_some() || !self.rotates()
    }

    /// Whether its queries and keys are rotated.
    pub fn rotates(&self) -> bool {
        !self.leads.contains(&UNROTATED)
    }

    /// The leading RoPE pair of a KV head; [`UNROTATED`] in a layer without rotation.
    pub fn lead(&self, kv_head: usize) -> u8 {
        self.leads.get(kv_head).copied().unwrap_or(0)
    }
}

/// A whole quantized model.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantModel {
    /// Shape.
    pub arch: Arch,
    /// Fraction bits of the residual stream (F).
    pub resid_frac: u8,
    /// Left shift from an embedding entry to the residual stream.
    pub embed_shift: u8,
    /// Fraction bits of the logits.
    pub logit_frac: u8,
    /// Probabilities in 16 bits (two int8 halves) rather than 8.
    pub prob_wide: bool,
    /// Default attention shape.
    pub lambda: LambdaShape,
    /// `[vocab, hidden]`.
    pub embed: Vec<i16>,
    /// Decoder layers.
    pub layers: Vec<Layer>,
    /// Norm before the head.
    pub final_norm: Norm,
    /// Output head, `[vocab, hidden]`.
    pub head: Weight,
    /// Tokens that all texts follow.
    pub prefix: Prefix,
}

impl QuantModel {
    /// The different leading RoPE pairs of the model, ascending, [`UNROTATED`] for layers without rotation; at least one.
    pub fn leads(&self) -> Vec<u8> {
        different_leads(self.layers.iter().map(|l| l.leads.as_slice()))
    }

    /// Keys and values of the prefix in a KV head of a layer; nothing where there is none.
    pub fn prefix_head(&self, layer: usize, head: usize) -> HeadCache {
        self.prefix.heads.get(layer * self.arch.sizes.kv_heads + head).cloned().unwrap_or_default()
    }
}

/// The different leading RoPE pairs of layers, ascending; at least one. A layer without any has 0 for all heads.
pub fn different_leads<'a>(layers: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut all: Vec<u8> = layers.flat_map(|l| if l.is_empty() { &[0] } else { l }).copied().collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() { vec![0] } else { all }
}
