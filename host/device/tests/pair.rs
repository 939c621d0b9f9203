//! Golden executor and RTL on two threads: whichever stops first, the other does not wait for ever, and what is said
//! is the reason.

use accllm_compiler::image::ModelSource as _;
use accllm_compiler::synthetic::Synthetic;
use accllm_compiler::{MemoryImage, Program, Settings, Step};
use accllm_device::timeline::Record;
use accllm_device::{Device as _, GoldenDevice, MemoryKind, Verilator, VerilatorOptions, pair};
use accllm_hw::config::find;
use accllm_sim::verilate::OptLevel;

/// A token id that no vocabulary has.
const BAD: u32 = 1 << 30;

/// One step with these token ids.
fn run(golden_id: u32, rtl_id: u32) -> accllm_device::Result<pair::Ran> {
    let model = Synthetic::default();
    let program = Program::compile(&model.spec(), find("tiny").unwrap(), &Settings::new(4, 24))?;
    let image = MemoryImage::new(&program, &model)?;
    let options = VerilatorOptions {
        memory: MemoryKind::Ideal,
        trace: true,
        wave: None,
        rtl: None,
        opt: OptLevel::Fast,
        timeline: Record::Off,
    };
    let mut golden = GoldenDevice::new(&program, &image)?;
    let mut rtl = Verilator::new(&program, &image, &options)?;
    let aux = &program.layout.aux;
    let io = |id: u32| {
        let mut io = program.layout.io_block(0, &[7]).unwrap();
        io[..4].copy_from_slice(&id.to_le_bytes());
        io
    };
    golden.write_aux(aux.ids, &io(golden_id))?;
    rtl.write_aux(aux.ids, &io(rtl_id))?;
    let args = program.layout.args(Step { position: 0, tokens: 1, head: true })?;
    let mut seen = 0;
    let ran = pair::run(&program, &mut golden, &mut rtl, args, |_| seen += 1, &mut ())?;
    assert!(seen > 50, "{seen} records");
    Ok(ran)
}

#[test]
fn both_agree() {
    let ran = run(7, 7).unwrap();
    assert!(ran.outcome.is_some() && ran.difference.is_none());
    assert!(ran.report.elements > 5_000 && ran.report.different == 0);
    assert_eq!(ran.outcome.map(|o| o.token), run(7, 7).unwrap().agreed().ok().map(|(o, _)| o.token));
}

#[test]
fn other_token_other_values() {
    let ran = run(7, 8).unwrap();
    let said = ran.difference.as_deref().unwrap();
    assert!(said.contains("load_ids") || said.contains("embed"), "{said}");
    assert!(ran.report.different > 100, "{:?}", ran.report);
    assert!(ran.agreed().is_err());
}

#[test]
fn a_fault_of_the_golden_executor() {
    let said = run(BAD, 7).unwrap_err().to_string();
    assert!(said.contains("the golden executor faulted"), "{said}");
}

/// The ids differ before the fault that follows from them.
#[test]
fn a_fault_of_the_rtl_after_a_difference() {
    let ran = run(7, BAD).unwrap();
    let said = ran.difference.as_deref().unwrap();
    assert!(said.contains("load_ids") && ran.outcome.is_none(), "{said}");
}

#[test]
fn a_fault_of_both() {
    let said = run(BAD, BAD).unwrap_err().to_string();
    assert!(said.contains("the golden executor faulted"), "{said}");
}
