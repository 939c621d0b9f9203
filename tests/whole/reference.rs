//! Integer reference model == golden executor, every tensor: this proves the compiler.

use accllm_compiler::synthetic::{Synthetic, shapes};
use accllm_compiler::{MemoryImage, ModelSpec, Program, Settings};
use accllm_hw::config::{CONFIGS, Config};
use accllm_tests::compare::Pair;

/// Random tokens in ragged blocks through both models, past the wrap of the ring.
fn check(name: &str, shape: &Synthetic, config: &Config, upto: u64) {
    let model = shape.build();
    let settings = Settings::new(shape.lambda.n_sink, shape.lambda.n_window);
    let program = Program::compile(&ModelSpec::from(&model), config, &settings)
        .unwrap_or_else(|e| panic!("{name} on {}: {e}", config.name));
    let image = MemoryImage::new(&program, &model).unwrap();
    let mut pair = Pair::new(&program, &image, &model);
    let (mut position, mut state) = (0, shape.seed | 1);
    while position < upto {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let block = program.layout.shape.block as u64;
        let n = if state >> 62 == 0 { 1 } else { 1 + (state >> 33) % block };
        let tokens: Vec<u32> =
            (0..n).map(|i| ((state >> 20) + i * 7919) as u32 % shape.vocab as u32).collect();
        pair.step(&tokens).unwrap_or_else(|e| panic!("{name} on {}, step at {position}: {e}", config.name));
        position += n;
    }
    println!("{name} on {}: {:?} compared, 0 differ", config.name, pair.totals);
    assert!(pair.totals.elements > 10_000);
}

#[test]
fn all_shapes_on_all_configurations() {
    for config in &CONFIGS {
        for (name, shape) in shapes() {
            let wrap = (shape.lambda.n_sink + shape.lambda.n_window) as u64;
            check(name, &shape, config, (2 * wrap + 40).min(160));
        }
    }
}
