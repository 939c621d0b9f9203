//! Integer reference == golden executor == RTL, every tensor, under random memory timing.

use accllm_compiler::synthetic::shapes;
use accllm_device::{Device as _, MemoryKind};
use accllm_hw::config::{Config, find};
use accllm_llm::model::LambdaShape;
use accllm_tests::{Compiled, bundled, past_the_wrap, ragged, rtl};
use accllm_text::generate::{Request, generate};
use accllm_text::runner::Reference;
use std::ops::ControlFlow;

/// A prompt of 100 tokens in prefill blocks and 64 more: the ring of 60 wraps, sinks leave the window.
fn story(config: &Config) {
    const LAMBDA: LambdaShape = LambdaShape { n_sink: 4, n_window: 60 };
    let ready = bundled();
    let compiled = Compiled::new(&ready.model, config, LAMBDA.n_sink, LAMBDA.n_window);
    assert!(compiled.program.layout.shape.block >= 4, "prefill in blocks");
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../data/tinytales_val.txt")).unwrap();
    let mut prompt = ready.prompt(&text[..2000]).unwrap();
    prompt.truncate(100);
    assert_eq!(prompt.len(), 100);
    let request = Request::greedy(&prompt, 64);
    let mut all = compiled.lockstep(Some(&rtl(MemoryKind::Stalling(7))));
    let ours = generate(&mut all, &request, &mut |_| Ok(ControlFlow::Continue(()))).unwrap();
    let mut reference = Reference::new(&ready.model, LAMBDA).unwrap();
    assert_eq!(ours, generate(&mut reference, &request, &mut |_| Ok(ControlFlow::Continue(()))).unwrap());
    let compared = all.device().compared().unwrap();
    println!("tinytales on {}: {compared:?}", config.name);
    assert!(compared.tensors > 50_000 && compared.elements > 5_000_000, "{compared:?}");
}

fn all_shapes(config: &Config) {
    for (name, shape) in shapes() {
        let model = shape.build();
        let compiled = Compiled::new(&model, config, shape.lambda.n_sink, shape.lambda.n_window);
        let options = rtl(MemoryKind::Stalling(shape.seed));
        let compared = ragged(name, &compiled, Some(&options), shape.seed, past_the_wrap(&shape));
        println!("{name} on {}: {compared:?}", config.name);
        assert!(compared.elements > 200_000, "{compared:?}");
    }
}

#[test]
fn story_on_tiny() {
    story(find("tiny").unwrap());
}

#[test]
fn story_on_edge() {
    story(find("edge").unwrap());
}

#[test]
fn all_shapes_on_tiny() {
    all_shapes(find("tiny").unwrap());
}

#[test]
fn all_shapes_on_edge() {
    all_shapes(find("edge").unwrap());
}

/// 32 channels, end to end.
#[test]
fn all_shapes_on_u280() {
    all_shapes(find("u280").unwrap());
}

/// Memory timing never changes what is computed: the run above under an ideal memory.
#[test]
fn ideal_memory_on_tiny() {
    let (name, shape) = shapes().remove(0);
    let model = shape.build();
    let compiled = Compiled::new(&model, find("tiny").unwrap(), shape.lambda.n_sink, shape.lambda.n_window);
    ragged(name, &compiled, Some(&rtl(MemoryKind::Ideal)), shape.seed, past_the_wrap(&shape));
}
