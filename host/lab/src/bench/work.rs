//! How many multiplications a run needs: those of kept weights and of cached keys and values in sight.

use accllm_compiler::{Program, Step};
use accllm_hw::beat::WeightFormat;
use accllm_hw::sizes::Linear;

/// Multiplications of a step, each a multiplier of one token lane busy for a cycle. Pruned weights, padding and
/// tokens out of sight do not count. A 16-bit probability counts twice, because it is multiplied as two int8 halves
/// on two lanes.
pub fn multiplications(program: &Program, step: Step) -> u64 {
    let (spec, shape) = (&program.spec, &program.layout.shape);
    let dims = &spec.sizes;
    let halves = |wide: bool| if wide { 2 } else { 1 };
    let weights = |linear: Linear, format: WeightFormat| {
        let (rows, cols) = shape.sizes.linear(linear);
        let kept = if format == WeightFormat::W2Sparse { rows * cols / 2 } else { rows * cols };
        kept as u64
    };
    let layers = spec.layers.iter().map(|l| {
        let linears = Linear::LAYER.iter().filter_map(|&n| l.format(n).map(|f| weights(n, f)));
        linears.sum::<u64>()
    });
    let linear = layers.sum::<u64>() * step.tokens as u64;
    let head = if step.head { weights(Linear::Head, spec.head) } else { 0 };
    let seen: u64 =
        (step.position..).take(step.tokens).map(|p| program.layout.visible(p).count() as u64).sum();
    let pair = shape.hdp as u64 + dims.head_dim as u64 * halves(spec.prob_wide);
    linear + head + seen * (dims.layers * dims.heads) as u64 * pair
}

#[cfg(test)]
mod tests {
    use super::*;
    use accllm_compiler::Settings;
    use accllm_compiler::image::ModelSource as _;
    use accllm_compiler::synthetic::Synthetic;
    use accllm_hw::config::find;

    /// By hand: two layers of 64 wide, MLP of 172, two query heads on one KV head of 8 (64 padded), head of 101 rows.
    #[test]
    fn multiplications_by_hand() {
        let model = Synthetic { prob_wide: false, ..Synthetic::default() };
        let config = find("tiny").unwrap();
        let program = Program::compile(&model.spec(), config, &Settings::new(4, 24)).unwrap();
        let kept = (16 * 64 + 2 * 8 * 64 + 64 * 16 + 3 * 172 * 64) / 2;
        let count = |position, tokens, head| multiplications(&program, Step { position, tokens, head });
        let attention = |seen: u64| seen * 2 * 2 * (64 + 8);
        assert_eq!(count(0, 1, true), 2 * kept + 101 * 64 + attention(1));
        assert_eq!(count(0, 3, false), 3 * 2 * kept + attention(1 + 2 + 3));
        assert_eq!(count(1000, 1, false), 2 * kept + attention(28));
    }
}
