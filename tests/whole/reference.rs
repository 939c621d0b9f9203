//! Integer reference model == golden executor, every tensor: this proves the compiler.

use accllm_compiler::synthetic::shapes;
use accllm_hw::config::CONFIGS;
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
