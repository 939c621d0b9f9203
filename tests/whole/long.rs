//! Long texts: memory and work stay constant, and the RTL agrees far beyond the wrap.

use accllm_compiler::Step;
use accllm_compiler::abi::reg;
use accllm_device::{Device as _, GoldenDevice, MemoryKind, Verilator};
use accllm_hw::config::{BEAT_BYTES, find};
use accllm_sim::golden::Executed;
use accllm_sim::lockstep::{Lockstep, Nowhere};
use accllm_tests::{Compiled, bundled, rtl};

const TOKENS: u64 = 4096;
/// Positions at which the RTL takes over the KV cache and runs one step in lockstep.
const POINTS: [u64; 4] = [64, 511, 1024, TOKENS - 1];

#[test]
fn four_thousand_tokens() {
    let ready = bundled();
    let compiled = Compiled::new(&ready.model, find("tiny").unwrap(), 4, 60);
    let (program, layout) = (&compiled.program, &compiled.program.layout);
    let mut golden = GoldenDevice::new(program, &compiled.image).unwrap();
    let (mut token, mut work) = (0, Vec::new());
    for position in 0..TOKENS {
        let args = layout.args(Step { position, tokens: 1, head: true }).unwrap();
        let io = layout.io_block(position, &[token]).unwrap();
        golden.write_aux(layout.aux.ids, &io).unwrap();
        let outcome = if POINTS.contains(&position) {
            // A fresh engine with the golden executor's memory: all state of a text is in there.
            let mut image = compiled.image.clone();
            golden.copy_memory(&mut image).unwrap();
            let mut engine = Verilator::new(program, &image, &rtl(MemoryKind::Stalling(position))).unwrap();
            let mut compare = Lockstep::new();
            let expected = golden.run_observed(args, &mut |r: Executed| compare.expect(r)).unwrap();
            let got = engine.run_observed(args, &mut compare).unwrap();
            let report = compare.finish();
            assert!(
                report.difference.is_none(),
                "position {position}: {}",
                report.difference.unwrap().message(&Nowhere)
            );
            assert!(report.elements > 20_000);
            assert_eq!((got.token, got.logit), (expected.token, expected.logit));
            expected
        } else {
            golden.run(args).unwrap()
        };
        // Nothing grows: the same slots, the same memory.
        if position >= 96 {
            work.push((args[usize::from(reg::VBLOCKS) - 1], golden.written_beats()));
        }
        token = outcome.token;
    }
    assert!(work.iter().all(|w| *w == work[0]), "work or memory changes with the position");
    let bytes: usize = compiled.image.channels.iter().map(|c| c.len()).sum();
    println!("{TOKENS} tokens; image of {} beats", bytes / BEAT_BYTES);
}
