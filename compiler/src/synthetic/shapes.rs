//! Named shapes: those that tests go through.

use super::Synthetic;
use accllm_hw::beat::WeightFormat;
use accllm_hw::sizes::{Linear, Sizes};
use accllm_llm::model::LambdaShape;

/// [`Synthetic::SIZES`] with these: hidden, ff, layers, heads, kv_heads, head_dim, vocab.
fn sizes([hidden, ff, layers, heads, kv_heads, head_dim, vocab]: [usize; 7]) -> Sizes {
    Sizes { hidden, ff, layers, heads, kv_heads, head_dim, vocab, ..Synthetic::SIZES }
}

/// Shapes that tests go through: padded and whole heads, GQA, MQA, MHA, odd vocabularies, every format, leads.
pub fn shapes() -> Vec<(&'static str, Synthetic)> {
    use WeightFormat::{W2Dense, W2Sparse, W4};
    let base = |seed| Synthetic { seed, ..Synthetic::default() };
    let mixed = [W4, W2Dense, W2Sparse, W2Dense, W4, W2Sparse, W4];
    let lambda = |n_sink, n_window| LambdaShape { n_sink, n_window };
    let mut all = vec![
        ("mqa", base(1)),
        ("gqa3", Synthetic { sizes: sizes([576, 172, 2, 9, 3, 64, 257]), ..base(2) }),
        (
            "mha128",
            Synthetic {
                sizes: sizes([256, 512, 3, 2, 2, 128, 320]),
                formats: mixed,
                head: W2Dense,
                uniform: false,
                lambda: lambda(0, 20),
                ..base(3)
            },
        ),
        (
            "narrow",
            Synthetic {
                sizes: sizes([100, 40, 1, 4, 2, 80, 33]),
                formats: [W4; 7],
                head: W2Sparse,
                prob_wide: false,
                lambda: lambda(1, 40),
                ..base(4)
            },
        ),
        (
            "dense2",
            Synthetic {
                sizes: sizes([320, 544, 2, 8, 2, 40, 1000]),
                formats: [W2Dense; 7],
                lambda: lambda(40, 33),
                ..base(5)
            },
        ),
        // MLP and head in chunks.
        (
            "chunks",
            Synthetic { sizes: sizes([64, 5000, 2, 4, 4, 16, 5001]), lambda: lambda(2, 30), ..base(6) },
        ),
    ];
    all.extend(unusual(base));
    all
}

/// What not every model has: leads, biases, norms of heads, layers without rotation, heads of two beats.
fn unusual(base: impl Fn(u64) -> Synthetic) -> [(&'static str, Synthetic); 5] {
    [
        // A leading RoPE pair for each KV head, other ones in each layer.
        ("led", Synthetic { sizes: sizes([64, 96, 3, 6, 3, 16, 65]), led: true, ..base(7) }),
        // Biases of all linears.
        (
            "biased",
            Synthetic { sizes: sizes([96, 300, 2, 6, 2, 24, 70]), biases: Linear::LAYER.to_vec(), ..base(8) },
        ),
        // Norms of the widest heads, and a bias before one of them.
        (
            "heads",
            Synthetic {
                sizes: sizes([96, 200, 2, 4, 2, 256, 70]),
                head_norms: true,
                biases: vec![Linear::K],
                uniform: false,
                ..base(9)
            },
        ),
        // A layer with rotation and one without.
        ("unrotated", Synthetic { sizes: sizes([64, 96, 2, 4, 2, 20, 67]), unrotated: 2, ..base(10) }),
        // Heads wider than 128, each with a leading pair.
        (
            "ragged",
            Synthetic {
                sizes: sizes([64, 96, 2, 3, 3, 160, 67]),
                led: true,
                prob_wide: false,
                lambda: LambdaShape { n_sink: 1, n_window: 40 },
                ..base(11)
            },
        ),
    ]
}
