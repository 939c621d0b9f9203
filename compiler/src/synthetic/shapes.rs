//! Named shapes: those that tests go through.

use super::Synthetic;
use accllm_hw::beat::WeightFormat;
use accllm_hw::sizes::{Linear, Sizes};
use accllm_quant::model::LambdaShape;

/// Shapes that tests go through: padded and whole heads, GQA, MQA, MHA, odd vocabularies, every format, leads.
pub fn shapes() -> Vec<(&'static str, Synthetic)> {
    use WeightFormat::{W2Dense, W2Sparse, W4};
    let base = Synthetic::default();
    let mixed = [W4, W2Dense, W2Sparse, W2Dense, W4, W2Sparse, W4];
    let lambda = |n_sink, n_window| LambdaShape { n_sink, n_window };
    let mut all = vec![
        ("mqa", base.clone()),
        (
            "gqa3",
            Synthetic {
                sizes: Sizes {
                    hidden: 576,
                    ff: 172,
                    heads: 9,
                    kv_heads: 3,
                    head_dim: 64,
                    vocab: 257,
                    ..base.sizes
                },
                seed: 2,
                ..base.clone()
            },
        ),
        (
            "mha128",
            Synthetic {
                sizes: Sizes {
                    hidden: 256,
                    ff: 512,
                    layers: 3,
                    heads: 2,
                    kv_heads: 2,
                    head_dim: 128,
                    vocab: 320,
                    ..base.sizes
                },
                formats: mixed,
                head: W2Dense,
                uniform: false,
                lambda: lambda(0, 20),
                seed: 3,
                ..base.clone()
            },
        ),
        (
            "narrow",
            Synthetic {
                sizes: Sizes {
                    hidden: 100,
                    ff: 40,
                    layers: 1,
                    heads: 4,
                    kv_heads: 2,
                    head_dim: 80,
                    vocab: 33,
                    ..base.sizes
                },
                formats: [W4; 7],
                head: W2Sparse,
                prob_wide: false,
                lambda: lambda(1, 40),
                seed: 4,
                ..base.clone()
            },
        ),
        (
            "dense2",
            Synthetic {
                sizes: Sizes {
                    hidden: 320,
                    ff: 544,
                    layers: 2,
                    heads: 8,
                    kv_heads: 2,
                    head_dim: 40,
                    vocab: 1000,
                    ..base.sizes
                },
                formats: [W2Dense; 7],
                lambda: lambda(40, 33),
                seed: 5,
                ..base.clone()
            },
        ),
        // MLP and head in chunks.
        (
            "chunks",
            Synthetic {
                sizes: Sizes { ff: 5000, vocab: 5001, heads: 4, kv_heads: 4, head_dim: 16, ..base.sizes },
                lambda: lambda(2, 30),
                seed: 6,
                ..base.clone()
            },
        ),
    ];
    all.extend(unusual(base));
    all
}

/// What not every model has: leads, biases.
fn unusual(base: Synthetic) -> [(&'static str, Synthetic); 2] {
    [
        // A leading RoPE pair for each KV head, other ones in each layer.
        (
            "led",
            Synthetic {
                sizes: Sizes {
                    ff: 96,
                    layers: 3,
                    heads: 6,
                    kv_heads: 3,
                    head_dim: 16,
                    vocab: 65,
                    ..base.sizes
                },
                led: true,
                seed: 7,
                ..base.clone()
            },
        ),
        // Biases of all linears.
        (
            "biased",
            Synthetic {
                sizes: Sizes {
                    hidden: 96,
                    ff: 300,
                    heads: 6,
                    kv_heads: 2,
                    head_dim: 24,
                    vocab: 70,
                    ..base.sizes
                },
                biases: Linear::LAYER.to_vec(),
                seed: 8,
                ..base
            },
        ),
    ]
}
