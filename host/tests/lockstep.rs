//! Lockstep on the library: RTL and golden executor agree; damage in one of them is found and named.

use accllm::device::{Device as _, GoldenDevice, LockstepDevice, MemoryKind, Verilator, VerilatorOptions};
use accllm::engine::{Engine as _, Reference, Session};
use accllm::generate::{Request, generate};
use accllm::model::{Calibration, Ready, Source};
use accllm_compiler::{MemoryImage, ModelSpec, Program, Settings};
use accllm_hw::config::{BEAT_BYTES, find};
use accllm_quant::model::LambdaShape;

const LAMBDA: LambdaShape = LambdaShape { n_sink: 4, n_window: 28 };
const OPTIONS: VerilatorOptions =
    VerilatorOptions { memory: MemoryKind::Stalling(3), trace: true, wave: None };

fn bundled() -> Ready {
    let source = Source::find("bundled").unwrap();
    Ready::open(&source, &Calibration::open(None, 640).unwrap()).unwrap()
}

fn compile(ready: &Ready) -> (Program, MemoryImage) {
    let settings = Settings::new(LAMBDA.n_sink, LAMBDA.n_window);
    let program = Program::compile(&ModelSpec::from(&ready.model), find("tiny").unwrap(), &settings).unwrap();
    let image = MemoryImage::new(&program, &ready.model).unwrap();
    (program, image)
}

#[test]
fn agreement_and_damage() {
    let ready = bundled();
    let (program, image) = compile(&ready);
    let golden = || GoldenDevice::new(&program, &image).unwrap();
    let prompt = ready.prompt("Once upon a time there was a small red fox who").unwrap();
    let request = Request { prompt: &prompt, tokens: 24, end: &[] };

    // The window wraps within the text.
    let rtl = Verilator::new(&program, &image, &OPTIONS).unwrap();
    let device = LockstepDevice::new(&program, &ready.model, golden(), Some(rtl)).unwrap();
    let mut engine = Session::new(&program, device);
    let mut reference = Reference::new(&ready.model, LAMBDA).unwrap();
    let story = generate(&mut engine, &request, &mut |_| Ok(())).unwrap();
    assert_eq!(story, generate(&mut reference, &request, &mut |_| Ok(())).unwrap());
    let compared = engine.device().compared().unwrap();
    assert!(compared.tensors > 4000 && compared.elements > 1_000_000, "{compared:?}");

    // One weight bit of layer 2's up projection, in the memory of the RTL only.
    let stream = program.layout.weights.layers[2].iter().find(|s| s.name() == "L2.up").unwrap();
    let mut damaged = image.clone();
    damaged.channels[1][(stream.beat + 1) * BEAT_BYTES] ^= 1;
    let rtl = Verilator::new(&program, &damaged, &OPTIONS).unwrap();
    let device = LockstepDevice::new(&program, &ready.model, golden(), Some(rtl)).unwrap();
    let mut engine = Session::new(&program, device);
    let error = engine.feed(&prompt).unwrap_err().to_string();
    assert!(error.contains("layer 2, up, token ") && error.contains("MATW"), "{error}");

    // The same bit for both: only the integer reference can tell.
    let device = GoldenDevice::new(&program, &damaged).unwrap();
    let device = LockstepDevice::new(&program, &ready.model, device, None).unwrap();
    let error = Session::new(&program, device).feed(&prompt).unwrap_err().to_string();
    assert!(error.contains("integer reference differ: layer 2, up, token "), "{error}");
}
