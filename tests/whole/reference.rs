//! Integer reference model == golden executor, every tensor: this proves the compiler.

use accllm_compiler::synthetic::{Synthetic, shapes};
use accllm_hw::config::CONFIGS;
use accllm_hw::fixed::rope_row;
use accllm_hw::rope::Scaling;
use accllm_hw::sizes::Sizes;
use accllm_llm::model::{LambdaShape, QuantModel};
use accllm_tests::{Compiled, past_the_wrap, ragged};

#[test]
fn all_shapes_on_all_configurations() {
    for config in CONFIGS.iter() {
        for (name, shape) in shapes() {
            let model = shape.build();
            let compiled = Compiled::new(&model, config, shape.lambda.n_sink, shape.lambda.n_window);
            let compared = ragged(name, &compiled, None, shape.seed, past_the_wrap(&shape));
            println!("{name} on {}: {compared:?}", config.name);
            assert!(compared.elements > 100_000, "{compared:?}");
        }
    }
}

/// Groups of KV heads that cross parts of q, heads of 128, no sinks, layers that do not share a loop.
#[test]
fn leads_of_groups() {
    let shape = Synthetic {
        sizes: Sizes { layers: 2, heads: 18, kv_heads: 6, head_dim: 96, ..Synthetic::SIZES },
        uniform: false,
        lambda: LambdaShape { n_sink: 0, n_window: 24 },
        seed: 8,
        ..Synthetic::default()
    };
    let mut model = shape.build();
    let pairs = [[0, 47, 3], [1, 0, 20]];
    for (layer, pairs) in model.layers.iter_mut().zip(pairs) {
        layer.leads = pairs.into_iter().flat_map(|lead| [lead; 2]).collect();
    }
    for config in CONFIGS.iter() {
        let compiled = Compiled::new(&model, config, shape.lambda.n_sink, shape.lambda.n_window);
        let s = &compiled.program.layout.shape;
        assert_eq!((&s.leads[..], s.rope_groups), (&[0, 1, 3, 20, 47][..], 3));
        assert_eq!((s.q_parts, s.hdp), (2, 128));
        let compared = ragged("leads", &compiled, None, 5, past_the_wrap(&shape));
        assert!(compared.elements > 100_000, "{compared:?}");
    }
}

/// All heads with the same lead: rows made for it, loaded once; or another one in each layer, gathered once for all heads.
#[test]
fn one_lead_for_all_heads() {
    let shape = Synthetic {
        sizes: Sizes { heads: 4, kv_heads: 2, head_dim: 16, ..Synthetic::SIZES },
        ..Synthetic::default()
    };
    for leads in [[5, 5], [7, 2]] {
        let mut model = shape.build();
        for (layer, lead) in model.layers.iter_mut().zip(leads) {
            layer.leads = vec![lead; 2];
        }
        let compiled = Compiled::new(&model, &CONFIGS[0], shape.lambda.n_sink, shape.lambda.n_window);
        let s = &compiled.program.layout.shape;
        assert_eq!((s.rope_groups, s.led()), (1, leads[0] != leads[1]));
        let compared = ragged("one lead", &compiled, None, 5, past_the_wrap(&shape));
        assert!(compared.elements > 50_000, "{compared:?}");
    }
}

#[test]
fn scaled_rope() {
    let shape = Synthetic { sizes: Sizes { layers: 2, ..Synthetic::SIZES }, ..Synthetic::default() };
    let plain = shape.build();
    let mut model = plain.clone();
    model.arch.sizes.rope.scaling = Some(Scaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 64.0,
    });
    let row = |m: &QuantModel| rope_row(40, &m.arch.sizes.rope, shape.sizes.head_dim, 64);
    assert_ne!(row(&plain), row(&model), "the scaling must reach the rows");
    let compiled = Compiled::new(&model, &CONFIGS[0], shape.lambda.n_sink, shape.lambda.n_window);
    let compared = ragged("llama3 rope", &compiled, None, 5, past_the_wrap(&shape));
    assert!(compared.elements > 50_000, "{compared:?}");
}
