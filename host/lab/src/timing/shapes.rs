//! Random shapes of models, for shapes that nobody has tuned the model on.

use accllm_compiler::synthetic::Synthetic;
use accllm_hw::beat::WeightFormat;
use accllm_hw::config::random::Numbers;
use accllm_hw::sizes::Sizes;
use accllm_llm::model::LambdaShape;

/// A model of random sizes, formats and attention shape; small enough for the RTL of a small configuration.
pub fn random(seed: u64) -> Synthetic {
    let mut numbers = Numbers::new(seed ^ 0x7a5e);
    let mut below = |n: usize| numbers.below(n);
    let formats = [WeightFormat::W2Sparse, WeightFormat::W2Dense, WeightFormat::W4];
    let kv_heads = 1 + below(4);
    let sizes = Sizes {
        hidden: 32 * (2 + below(15)),
        ff: 32 * (4 + below(30)),
        layers: 1 + below(3),
        heads: kv_heads * (1 + below(4)),
        kv_heads,
        head_dim: 2 * (4 + below(61)),
        vocab: 100 + below(4000),
        ..Synthetic::SIZES
    };
    Synthetic {
        sizes,
        formats: std::array::from_fn(|_| formats[below(3)]),
        head: formats[below(3)],
        prob_wide: below(2) == 0,
        lambda: LambdaShape { n_sink: below(6), n_window: 28 + below(300) },
        seed,
        ..Synthetic::default()
    }
}
