//! A real model, SmolLM2-135M-Instruct out of its GGUF file, from quantization to the RTL of `edge`.

use accllm_device::{Device as _, MemoryKind};
use accllm_hw::config::find;
use accllm_llm::model::{LambdaShape, WeightFormat};
use accllm_llm::perplexity::{Protocol, plain_stream};
use accllm_quant::quantize::{Closed, Options, quantize};
use accllm_tests::{Compiled, rtl};
use accllm_text::generate::{Request, generate};
use accllm_text::model::Source;
use accllm_text::runner::{Reference, Runner as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

const LAMBDA: LambdaShape = LambdaShape { n_sink: 4, n_window: 252 };
/// Tokens that the RTL runs: a block, and the next ones one by one.
const BLOCK: usize = 3;
const SINGLE: usize = 2;

/// Formats of q, k, v, o, gate, up, down: every one that the engine has, in one model.
const FORMATS: [WeightFormat; 7] = [
    WeightFormat::W4,
    WeightFormat::W4,
    WeightFormat::W4,
    WeightFormat::W2Dense,
    WeightFormat::W2Sparse,
    WeightFormat::W2Sparse,
    WeightFormat::W2Dense,
];

#[test]
#[ignore = "minutes, and needs the model of `make smollm2`"]
fn a_real_model_on_edge() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/models/smollm2-135m-instruct.gguf");
    if !path.is_file() {
        eprintln!("skipped: build/models/smollm2-135m-instruct.gguf is not there; `make smollm2` fetches it");
        return;
    }
    let start = Instant::now();
    let took = |what: &str| println!("{what} after {:.0} s (measured)", start.elapsed().as_secs_f64());
    let source = Source::find(path.to_str().unwrap()).unwrap();
    let float = source.float().unwrap();
    let tokenizer = source.tokenizer(float.config.sizes.vocab).unwrap();
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../data/tinytales_val.txt")).unwrap();
    let text = plain_stream(&text[..8000], &tokenizer).unwrap();
    took("read");
    // Rounded to the nearest level: this is about the path, not about quality.
    let options = Options {
        layer_formats: vec![FORMATS; float.config.sizes.layers],
        closed: Closed { feedback: false, correct: false, rounds: 0, ..Closed::default() },
        migration: Some(1.0),
        calibration: Protocol { window: 128, windows: Some(2) },
        ..Options::default()
    };
    let model = quantize(&float, &text, &options).unwrap().model;
    took("quantized");
    let compiled = Compiled::new(&model, find("edge").unwrap(), LAMBDA.n_sink, LAMBDA.n_window);
    took("compiled");

    let prompt = tokenizer.encode("The capital of France is").unwrap();
    let request = Request::greedy(&prompt, 16);
    let mut golden = compiled.lockstep(None);
    let ours = generate(&mut golden, &request, &mut |_| Ok(ControlFlow::Continue(()))).unwrap();
    let compared = golden.device().compared().unwrap();
    println!("golden executor: {} tokens of prompt, {:?}, {compared:?}", prompt.len(), ours.tokens);
    assert!(compared.tensors > 16 * 30 * 10 && compared.elements > 16 * 49152, "{compared:?}");
    let mut reference = Reference::new(&model, LAMBDA).unwrap();
    assert_eq!(ours, generate(&mut reference, &request, &mut |_| Ok(ControlFlow::Continue(()))).unwrap());
    took("golden executor");

    let mut all = compiled.lockstep(Some(&rtl(MemoryKind::Stalling(7))));
    took("RTL built");
    let mut tokens = prompt[..BLOCK].to_vec();
    for _ in 0..=SINGLE {
        let next = all.feed(&tokens).unwrap();
        let compared = all.device().compared().unwrap();
        println!("RTL: {} tokens, then {next}, {compared:?}", tokens.len());
        assert!(compared.tensors > 30 * 10 && compared.elements > 49152, "{compared:?}");
        tokens = vec![next];
        took("RTL");
    }
}
