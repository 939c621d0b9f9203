//! Quantized models of families (random weights, `tests/models/data/families.json`): integer reference == golden executor ==
//! RTL, every tensor.

use accllm_device::MemoryKind;
use accllm_hw::config::{CONFIGS, find};
use accllm_llm::model::QuantModel;
use accllm_models as support;
use accllm_quant::quantize::{Options, quantize};
use accllm_quant::transform::Keys;
use accllm_tests::{Compiled, ragged, rtl};

/// A model of the family in W2 2:4, each key head with a leading pair where the family lets it.
fn model(name: &str) -> QuantModel {
    let text: Vec<u32> = support::small_text(256).into_iter().map(|t| t.min(47)).collect();
    let case = support::families::find(name).unwrap();
    let options = Options { keys: Keys::Led, ..support::small_options() };
    quantize(&case.model().unwrap(), &text, &options).unwrap().model
}

#[test]
fn on_all_configurations() {
    let names = [
        "qwen2 with yarn",
        "qwen3 with yarn and biases",
        "smollm3",
        "phi3 with longrope",
        "qwen3 with heads of 256",
        "phi3 with longrope and heads of 160",
    ];
    for name in names {
        let model = model(name);
        assert_eq!(model.layers.iter().any(|l| !l.rotates()), name == "smollm3");
        for config in CONFIGS.iter() {
            let compared = ragged(name, &Compiled::new(&model, config, 4, 24), None, 3, 96);
            assert!(compared.elements > 100_000, "{name} on {}: {compared:?}", config.name);
        }
    }
}

/// A layer without rotation, and heads of two beats.
#[test]
fn on_the_rtl() {
    for name in ["smollm3", "qwen3 with heads of 256"] {
        let model = model(name);
        for config in ["tiny", "edge"].map(|name| find(name).unwrap()) {
            let compiled = Compiled::new(&model, config, 4, 24);
            let compared = ragged(name, &compiled, Some(&rtl(MemoryKind::Stalling(3))), 3, 96);
            println!("{name} on {}: {compared:?}", config.name);
            assert!(compared.elements > 200_000, "{compared:?}");
        }
    }
}
