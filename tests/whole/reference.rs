//! Integer reference model == golden executor, every tensor: this proves the compiler.

use accllm_compiler::synthetic::{Synthetic, shapes};
use accllm_hw::config::CONFIGS;
use accllm_hw::fixed::rope_row;
use accllm_hw::rope::Scaling;
use accllm_quant::model::QuantModel;
use accllm_tests::{Compiled, past_the_wrap, ragged};

#[test]
fn all_shapes_on_all_configurations() {
    for config in &CONFIGS {
        for (name, shape) in shapes() {
            let model = shape.build();
            let compiled = Compiled::new(&model, config, shape.lambda.n_sink, shape.lambda.n_window);
            let compared = ragged(name, &compiled, None, shape.seed, past_the_wrap(&shape));
            println!("{name} on {}: {compared:?}", config.name);
            assert!(compared.elements > 100_000, "{compared:?}");
        }
    }
}

#[test]
fn scaled_rope() {
    let shape = Synthetic { layers: 2, ..Synthetic::default() };
    let plain = shape.build();
    let mut model = plain.clone();
    model.arch.rope.scaling = Some(Scaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 64.0,
    });
    let row = |m: &QuantModel| rope_row(40, &m.arch.rope, shape.head_dim, 64);
    assert_ne!(row(&plain), row(&model), "the scaling must reach the rows");
    let compiled = Compiled::new(&model, &CONFIGS[0], shape.lambda.n_sink, shape.lambda.n_window);
    let compared = ragged("llama3 rope", &compiled, None, 5, past_the_wrap(&shape));
    assert!(compared.elements > 50_000, "{compared:?}");
}
