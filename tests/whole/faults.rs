//! Deliberate faults: each is caught, and the report points to the right place.

use accllm_compiler::synthetic::Synthetic;
use accllm_device::{GoldenDevice, MemoryKind, Verilator, VerilatorOptions};
use accllm_hw::config::{BEAT_BYTES, find};
use accllm_llm::model::QuantModel;
use accllm_tests::{Compiled, changed_rtl, rtl};
use accllm_text::runner::Runner as _;

fn compiled(model: &QuantModel) -> Compiled<'_> {
    Compiled::new(model, find("tiny").unwrap(), 4, 24)
}

/// Runs the changed RTL; the first difference.
fn difference(file: &str, from: &str, to: &str) -> String {
    let model = Synthetic::default().build();
    let (_folder, path) = changed_rtl(file, from, to);
    let options = VerilatorOptions { rtl: Some(path), ..rtl(MemoryKind::Ideal) };
    let mut session = compiled(&model).lockstep(Some(&options));
    (0..40)
        .find_map(|t| session.feed(&[t * 13 % 101]).err())
        .unwrap_or_else(|| panic!("{file}: '{to}' changed nothing that was compared"))
        .to_string()
}

#[test]
fn wrong_arithmetic_in_the_rtl() {
    // One sink too many is seen.
    let said =
        difference("vec/vec_visible.sv", "start[0] <= W'(sink_sight)", "start[0] <= W'(sink_sight) + W'(1)");
    assert!(said.contains("layer 0, softmax") && said.contains("SOFTMAX"), "{said}");
}

#[test]
fn wrong_table_entry() {
    // An entry of the sigmoid table, for gates around 0.7: only SILU reads it.
    let said = difference("pkg/accllm_tables_pkg.sv", "16'd20155, 16'd20397", "16'd21155, 16'd20397");
    assert!(said.contains("mlp_h") && said.contains("SILU"), "{said}");
}

/// A weight in the wrong place: golden executor and RTL agree, the integer reference does not.
#[test]
fn wrong_layout() {
    let model = Synthetic::default().build();
    let good = compiled(&model);
    let mut bad = compiled(&model);
    let stream = bad.program.layout.weights.layers[1].iter().find(|s| s.name() == "L1.up").unwrap();
    let at = (stream.beat + 1) * BEAT_BYTES;
    for channel in 0..bad.image.channels.len() {
        let (first, second) = bad.image.port_mut(channel)[at..].split_at_mut(BEAT_BYTES);
        first.swap_with_slice(&mut second[..BEAT_BYTES]);
    }
    let said = bad.lockstep(Some(&rtl(MemoryKind::Ideal))).feed(&[5]).unwrap_err().to_string();
    assert!(said.contains("integer reference differ: layer 1, up, token 0"), "{said}");

    // The same damage in the memory of the RTL only.
    let golden = GoldenDevice::new(&good.program, &good.image).unwrap();
    let rtl = Verilator::new(&bad.program, &bad.image, &rtl(MemoryKind::Ideal)).unwrap();
    let said = good.session(golden, Some(rtl)).feed(&[5]).unwrap_err().to_string();
    assert!(
        said.contains("RTL and golden executor differ: layer 1, up, token 0") && said.contains("MATW"),
        "{said}"
    );
}
