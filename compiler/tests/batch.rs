//! Programs for several sequences: what the checker accepts and refuses, and the host's arithmetic.

use super::common;

use accllm_compiler::abi::reg;
use accllm_compiler::label::Span;
use accllm_compiler::{Error, ModelSpec, Program, Settings, Step};
use accllm_hw::config::{CONFIGS, Config, find};
use accllm_hw::isa::Op;
use common::{compile, led, llama2_7b, shapes};
use proptest::prelude::*;

/// For as many sequences as the configuration has room for; `None` where that is one.
fn largest(spec: &ModelSpec, config: &Config, settings: &Settings) -> Option<Program> {
    (2..=4).rev().find_map(|n| Program::compile(spec, config, &settings.with_sequences(n)).ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever compiles is proved; what does not says what is in the way.
    #[test]
    fn any_shape_is_proved_or_does_not_fit(
        sizes in (1usize..300, 1usize..700, 1usize..4, 1usize..3000),
        heads in (1usize..5, 1usize..5, 1usize..65),
        lambda in (0usize..70, 1usize..300),
        (config, block, wide, sequences) in (0usize..3, 1usize..17, any::<bool>(), 2usize..5),
        (leads, own) in (1usize..6, any::<bool>()),
    ) {
        let (_, mut spec, _) = shapes().swap_remove(0);
        let d = &mut spec.sizes;
        (d.hidden, d.ff, d.layers, d.vocab) = sizes;
        (d.kv_heads, d.heads, d.head_dim) = (heads.0, heads.0 * heads.1, 2 * heads.2);
        spec.layers = vec![spec.layers[0]; sizes.2];
        spec.prob_wide = wide;
        led(&mut spec, leads, own);
        let config = &CONFIGS[config];
        let mut settings = Settings::new(lambda.0, lambda.1).with_sequences(sequences);
        if block <= config.block {
            settings = settings.with_block(block);
        }
        match Program::compile(&spec, config, &settings) {
            Ok(p) => {
                let report = p.check();
                prop_assert!(report.is_ok(), "{:?}", report.err().map(|e| e.to_string()));
            }
            Err(Error::TooSmall { .. } | Error::Setting { name: "sequences", .. }) => {}
            Err(e) => prop_assert!(false, "{e}"),
        }
    }
}

#[test]
fn accepts_every_shape_on_every_configuration() {
    let mut most = 0;
    for config in CONFIGS.iter() {
        for (name, spec, settings) in shapes() {
            let Some(p) = largest(&spec, config, &settings) else {
                println!("{name} on {}: no room for a second sequence", config.name);
                continue;
            };
            let (n, report) = (p.layout.shape.sequences, p.check());
            println!("{name} on {}: {n} sequences, {} instructions", config.name, p.code.len());
            assert!(report.is_ok(), "{name} on {}, {n} sequences: {:?}", config.name, report.err());
            most = most.max(n);
        }
    }
    assert_eq!(most, 4);
}

#[test]
fn llama2_7b_has_room_for_four() {
    let one = compile(&llama2_7b(), "u280", &Settings::new(4, 2044));
    let four = compile(&llama2_7b(), "u280", &Settings::new(4, 2044).with_sequences(4));
    println!("{} instructions for one sequence, {} for four", one.code.len(), four.code.len());
    assert!(four.check().is_ok(), "{:?}", four.check());
    assert_eq!(one.layout.weights, four.layout.weights);
    let beats = |p: &Program| p.layout.kv.end - p.layout.kv.start;
    assert_eq!(4 * beats(&one), beats(&four));
}

/// Two sequences of the shape with GQA on 'tiny'.
fn base() -> Program {
    let (_, spec, settings) = shapes().swap_remove(1);
    compile(&spec, "tiny", &settings.with_sequences(2))
}

fn refused(program: &Program, needle: &str) {
    let error = program.check().err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains(needle), "wanted '{needle}', got '{error}'");
}

/// Dropping any wait or any signal of the part for all sequences is found.
#[test]
fn refuses_every_missing_wait_and_signal() {
    let good = base();
    let mut dropped = 0;
    for pc in (0..good.code.len()).filter(|&pc| good.labels[pc].span == Span::Batch) {
        for change in 0..3 {
            let mut p = good.clone();
            let target = &mut p.code[pc];
            match change {
                0 => target.wait = [0; 2],
                1 => target.signal = [0; 2],
                _ => target.prefetch_wait = 0,
            }
            if *target != good.code[pc] {
                dropped += 1;
                assert!(p.check().is_err(), "instruction {pc} ({}), {change}", good.disassemble_line(pc));
            }
        }
    }
    assert!(dropped > 60, "{dropped}");
}

/// A sequence's instruction must not reach into the cache of another, in either kind of step.
#[test]
fn refuses_the_cache_of_another_sequence() {
    let good = base();
    let seq = good.layout.kv.seq as u32;
    let find = |op: Op, span: Span, sequence| {
        let is = |pc: &usize| {
            let (i, l) = (&good.code[*pc], &good.labels[*pc]);
            i.op == op as u8 && (i.n > 0 || i.regs[3] > 0) && l.span == span && l.sequence == sequence
        };
        (0..good.code.len()).find(is).unwrap_or_else(|| panic!("no {op:?} in {span:?}"))
    };
    for op in [Op::QK, Op::QV, Op::MATK, Op::MATV] {
        for (span, sequence) in
            [(Span::Step, None), (Span::First, None), (Span::Batch, Some(0)), (Span::Batch, Some(1))]
        {
            let mut p = good.clone();
            let i = &mut p.code[find(op, span, sequence)];
            let at = if matches!(op, Op::QK | Op::QV) { &mut i.c } else { &mut i.a };
            *at = if sequence == Some(1) { *at - seq } else { *at + seq };
            refused(&p, "outside of the KV cache of its sequence");
        }
    }
}

#[test]
fn says_how_many_sequences_fit() {
    let (_, spec, settings) = shapes().swap_remove(1);
    let error = |config: &str, settings: &Settings| {
        let config = find(config).unwrap_or_else(|e| panic!("{e}"));
        Program::compile(&spec, config, settings).err().map(|e| e.to_string()).unwrap_or_default()
    };
    // Query rows of three heads begin a word of two lanes at every second token, and a group has four.
    let e = error("tiny", &settings.with_sequences(3));
    assert!(e.contains("sequences: is 3; 'tiny' with blocks of 8 takes 1..=2"), "{e}");
    let e = error("u280", &settings.with_sequences(5));
    assert!(e.contains("takes 1..=4"), "{e}");
    let e = error("u280", &settings.with_sequences(0));
    assert!(e.contains("is 0"), "{e}");
    let e = error("tiny", &settings.with_sequences(2).with_block(1));
    assert!(e.contains("with blocks of 1 takes 1..=1"), "{e}");
}

#[test]
fn arguments_of_batches() {
    let (_, spec, _) = shapes().swap_remove(0);
    let p = compile(&spec, "tiny", &Settings::new(4, 24).with_sequences(4));
    let l = &p.layout;
    let args = l.batch_args(&[0, 4, 37, 10]).unwrap_or_default();
    let arg = |register: u8| args[usize::from(register) - 1];
    assert_eq!(reg::BATCH_OF.map(|b| arg(b.pos)), [0, 4, 37, 10]);
    assert_eq!(reg::BATCH_OF.map(|b| arg(b.ring)), [28, 0, 1, 6]);
    let kind = [reg::DECODE, reg::PREFILL, reg::BATCH, reg::HEAD];
    assert_eq!(kind.map(arg), [0, 0, 1, 1]);
    // The window is read as the longest sequence, which has wrapped, needs it.
    assert_eq!((arg(reg::WSLOTS), arg(reg::KSTEPS)), (32, 8));
    let short = l.batch_args(&[0, 4, 1, 10]).unwrap_or_default();
    assert_eq!(short[usize::from(reg::KSTEPS) - 1], 7_u32.div_ceil(4));

    let step = Step { position: 5, tokens: 1, head: true };
    let seq = |s| l.sequence_args(s, step).map(|a| a[usize::from(reg::SEQ) - 1]);
    assert_eq!(seq(0).ok(), Some(0));
    assert_eq!(seq(3).ok(), Some(3 * l.kv.seq as u32));
    assert!(seq(4).is_err() && l.batch_args(&[0; 3]).is_err() && l.batch_args(&[0, 0, 0, 1 << 31]).is_err());
    let io = l.batch_io(&[(5, 1), (0, 2), (1000, 3), (7, 4)]).unwrap_or_default();
    assert_eq!(io.len(), 64 + 64 + 4 * 2 * 64 * 2);
    assert_eq!([0, 4, 8, 12].map(|at| io[at]), [1, 2, 3, 4]);
    // Each row has the angles of its own position.
    let single = l.io_block(1000, &[3]).unwrap_or_default();
    assert_eq!(io[128 + 2 * 256..][..256], single[128..][..256]);
    assert!(l.batch_io(&[(0, 0), (0, 0), (0, 0), (0, 101)]).is_err());
    let one = compile(&spec, "tiny", &Settings::new(4, 24));
    let error = one.layout.batch_args(&[0]).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("for one sequence"), "{error}");
}
