//! Models by name: shapes of known checkpoints with seeded random weights, and the bundled model.

use accllm_compiler::synthetic::{Synthetic, Values};
use accllm_hw::beat::WeightFormat;
use accllm_quant::model::LambdaShape;

/// The bundled model: real weights, real text.
pub const BUNDLED: &str = "tinytales";

/// A shape and where it is from.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// Name on the command line.
    pub name: &'static str,
    hidden: usize,
    ff: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    vocab: usize,
    rope_theta: f64,
}

/// Shapes with random weights.
pub const SHAPES: [Named; 3] = [
    Named {
        name: "llama2-7b",
        hidden: 4096,
        ff: 11008,
        layers: 32,
        heads: 32,
        kv_heads: 32,
        head_dim: 128,
        vocab: 32000,
        rope_theta: 10000.0,
    },
    Named {
        name: "llama3-8b",
        hidden: 4096,
        ff: 14336,
        layers: 32,
        heads: 32,
        kv_heads: 8,
        head_dim: 128,
        vocab: 128256,
        rope_theta: 500000.0,
    },
    Named {
        name: "smollm2-135m",
        hidden: 576,
        ff: 1536,
        layers: 30,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        vocab: 49152,
        rope_theta: 100000.0,
    },
];

/// Names of all shapes.
pub fn names() -> Vec<&'static str> {
    SHAPES.iter().map(|s| s.name).chain([BUNDLED]).collect()
}

impl Named {
    /// A model of this shape: all layers in W2 2:4, the head in W4, weights as of a real model.
    pub fn model(&self, layers: usize, lambda: LambdaShape, prob_wide: bool, seed: u64) -> Synthetic {
        Synthetic {
            hidden: self.hidden,
            ff: self.ff,
            layers,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            vocab: self.vocab,
            rope_theta: self.rope_theta,
            formats: [WeightFormat::W2Sparse; 7],
            head: WeightFormat::W4,
            prob_wide,
            values: Values::Normal,
            uniform: true,
            led: false,
            lambda,
            seed,
        }
    }

    /// Its sizes, by contents.
    pub(crate) fn sizes(&self) -> impl std::fmt::Debug {
        let widths =
            [self.hidden, self.ff, self.layers, self.heads, self.kv_heads, self.head_dim, self.vocab];
        (widths, self.rope_theta)
    }

    /// Layers of the whole model.
    pub fn layers(&self) -> usize {
        self.layers
    }
}
