//! The checker accepts what the compiler emits and refuses mutations of it.

use super::common;

use accllm_compiler::Error;
use accllm_compiler::{Program, Settings};
use accllm_hw::beat::WeightFormat;
use accllm_hw::config::{CONFIGS, find};
use accllm_hw::isa::{Instr, Op, Unit};
use common::{compile, led, llama2_7b, shapes};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever compiles is proved; what does not says which buffer is too small.
    #[test]
    fn any_shape_is_proved_or_does_not_fit(
        sizes in (1usize..300, 1usize..700, 1usize..4, 1usize..3000),
        heads in (1usize..5, 1usize..5, 1usize..129),
        lambda in (0usize..70, 1usize..300),
        formats in proptest::array::uniform7(0usize..3),
        (config, block, wide, uniform) in (0usize..3, 1usize..17, any::<bool>(), any::<bool>()),
        (leads, own) in (1usize..6, any::<bool>()),
    ) {
        let (_, mut spec, _) = shapes().swap_remove(0);
        let d = &mut spec.sizes;
        (d.hidden, d.ff, d.layers, d.vocab) = sizes;
        (d.kv_heads, d.heads, d.head_dim) = (heads.0, heads.0 * heads.1, 2 * heads.2);
        let mut layer = spec.layers[0];
        layer.formats = formats.map(|f| WeightFormat::ALL[f]);
        spec.layers = vec![layer; sizes.2];
        if !uniform {
            for (l, layer) in spec.layers.iter_mut().enumerate() {
                layer.consts.zm -= l as u16;
            }
        }
        spec.prob_wide = wide;
        led(&mut spec, leads, own);
        let config = &CONFIGS[config];
        let settings = Settings::new(lambda.0, lambda.1).with_block(block.min(config.block));
        match Program::compile(&spec, config, &settings) {
            Ok(p) => {
                let report = p.check();
                prop_assert!(report.is_ok(), "{:?}", report.err().map(|e| e.to_string()));
            }
            Err(Error::TooSmall { .. }) => {}
            Err(e) => prop_assert!(false, "{e}"),
        }
    }
}

#[test]
fn accepts_every_shape_on_every_configuration() {
    for config in CONFIGS.iter() {
        for (name, spec, settings) in shapes() {
            let program = compile(&spec, &config.name, &settings);
            let report = program.check();
            assert!(
                report.is_ok(),
                "{name} on {}: {}",
                config.name,
                report.err().map_or(String::new(), |e| e.to_string())
            );
        }
    }
}

#[test]
fn accepts_every_block_size_and_odd_windows() {
    let (_, spec, _) = shapes().swap_remove(0);
    for block in 1..=8 {
        for (n_sink, n_window) in [(0, 1), (1, 1), (4, 28), (33, 64), (0, 129)] {
            let settings = Settings::new(n_sink, n_window).with_block(block);
            let program = compile(&spec, "tiny", &settings);
            assert!(program.check().is_ok(), "{block} {n_sink} {n_window}: {:?}", program.check());
        }
    }
}

#[test]
fn accepts_llama2_7b() {
    let program = compile(&llama2_7b(), "u280", &Settings::new(4, 2044));
    let start = std::time::Instant::now();
    let report = program.check();
    println!("{report:?} in {:?}", start.elapsed());
    assert!(report.is_ok());
}

fn refused(program: &Program, needle: &str) {
    let error = program.check().err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains(needle), "wanted '{needle}', got '{error}'");
}

fn base() -> Program {
    let (_, spec, settings) = shapes().swap_remove(1);
    compile(&spec, "tiny", &settings)
}

fn position(p: &Program, op: Op, from: usize) -> usize {
    (from..p.code.len()).find(|&i| p.code[i].op == op as u8).unwrap_or(0)
}

#[test]
fn refuses_addresses_outside_their_area() {
    type Change = fn(&mut accllm_hw::isa::Instr);
    let cases: [(Op, Change, &str); 8] = [
        (Op::MATW, |i| i.a += 1 << 20, "weights"),
        (Op::MATK, |i| i.a = 0, "KV cache"),
        (Op::QK, |i| i.c += 1 << 20, "KV cache"),
        (Op::STORE, |i| i.c = 0, "logits"),
        (Op::MATW, |i| i.c = 65504, "vector memory"),
        (Op::SILU, |i| i.c += 500, "activation buffer"),
        (Op::MATK, |i| i.c += 4096, "score buffer"),
        (Op::STATK, |i| i.c = 255, "scalar file"),
    ];
    for (op, change, needle) in cases {
        let mut p = base();
        let at =
            p.code.iter().position(|i| i.op == op as u8 && i.n > 0).unwrap_or_else(|| position(&p, op, 0));
        change(&mut p.code[at]);
        refused(&p, needle);
    }
}

/// The RoPE rows that a layer gathers are rows of the IO block, and their ids were loaded.
#[test]
fn refuses_rope_rows_outside_their_area() {
    type Change = fn(&mut Instr, usize);
    let led = shapes().into_iter().find(|(name, ..)| *name == "led");
    let (_, spec, settings) = led.unwrap_or_else(|| panic!("no shape with leading pairs"));
    let good = compile(&spec, "tiny", &settings);
    let l = &good.layout;
    let of =
        |op: &str| -> Vec<usize> { (0..good.code.len()).filter(|&pc| good.labels[pc].op == op).collect() };
    let all = of("rope_rows");
    // For each of three KV heads: decode, the first layer of prefill, its loop twice, the last layer.
    assert_eq!(all.len(), 3 * 5);
    for pc in all {
        let token = l.shape.leads.len() * l.shape.rope_row() / 32;
        let cases: [(Change, usize, &str); 4] = [
            (|i, at| i.a = at as u32, l.aux.logits - token + 1, "the readable auxiliary memory"),
            (|i, more| i.aux += more as u32, l.aux.end, "the readable auxiliary memory"),
            (|i, at| i.b = at as u32, l.vmem.end, "the vector memory in use"),
            (|i, at| i.c = at as u32, l.vmem.end, "the vector memory in use"),
        ];
        for (change, by, needle) in cases {
            let mut p = good.clone();
            change(&mut p.code[pc], by);
            refused(&p, needle);
        }
    }
    let mut p = good.clone();
    p.code[of("load_norm")[0]].n -= 32;
    refused(&p, "which nothing has written");
}

#[test]
fn refuses_misaligned_and_malformed() {
    let mut p = base();
    let at = position(&p, Op::ROPE, 0);
    p.code[at].a += 1;
    refused(&p, "multiple");

    // A block of columns shares an exponent: no silu begins inside of one.
    let mut p = base();
    let at = position(&p, Op::SILU, 0);
    p.code[at].aux += 32;
    refused(&p, "multiple of 256");

    let mut p = base();
    let at = position(&p, Op::LOOP, 0);
    p.code[at].a += 1;
    refused(&p, "LOOP");

    let mut p = base();
    let at = position(&p, Op::ENDLOOP, 0);
    p.code.remove(at);
    p.labels.remove(at);
    assert!(p.check().is_err());

    let mut p = base();
    p.code.pop();
    p.labels.pop();
    refused(&p, "END");

    let mut p = base();
    p.code[0].a += 1;
    refused(&p, "constant 0");

    let mut p = base();
    let at = position(&p, Op::RADD, 0);
    p.code[at].k = 1;
    refused(&p, "must be zero");
}

/// Dropping any wait or any signal is found: each orders something, or balances something.
#[test]
fn refuses_every_missing_wait_and_signal() {
    let good = base();
    for pc in 0..good.code.len() {
        let i = good.code[pc];
        for change in 0..3 {
            let mut p = good.clone();
            let target = &mut p.code[pc];
            match change {
                0 => target.wait = [0; 2],
                1 => target.signal = [0; 2],
                _ => target.prefetch_wait = 0,
            }
            if *target != i {
                assert!(
                    p.check().is_err(),
                    "instruction {pc} ({}), change {change}",
                    good.disassemble_line(pc)
                );
            }
        }
    }
}

/// A wait and its signal may be dropped together only where something else orders the same things.
#[test]
fn refuses_unordered_units() {
    let mut p = base();
    for i in &mut p.code {
        for s in i.wait.iter_mut().chain(&mut i.signal) {
            *s = 0;
        }
        i.prefetch_wait = 0;
    }
    refused(&p, "without waiting for");
    // Keys and values may not be prefetched before they are appended.
    let mut p = base();
    for i in &mut p.code {
        for s in i.signal.iter_mut().filter(|s| **s == 3) {
            *s = 0;
        }
        if i.prefetch_wait == 3 {
            i.prefetch_wait = 0;
        }
    }
    refused(&p, "prefetcher");
}

#[test]
fn refuses_a_semaphore_of_two_units() {
    let mut p = base();
    let at = (0..p.code.len())
        .find(|&i| Op::from_code(p.code[i].op).is_some_and(|o| o.info().unit == Unit::Vector))
        .unwrap_or(0);
    p.code[at].wait[1] = 1;
    refused(&p, "two units");
}

#[test]
fn says_what_does_not_fit() {
    let (_, spec, _) = shapes().swap_remove(1);
    let Some(config) = find("tiny").ok() else { return };
    for (settings, needle) in [
        (Settings::new(4, 4000), "score buffer"),
        (Settings::new(4, 8190), "8192"),
        (Settings::new(4, 0), "n_window"),
        (Settings::new(4, 64).with_block(9), "block"),
    ] {
        let error =
            Program::compile(&spec, config, &settings).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains(needle), "{error}");
    }
    let mut grouped = spec;
    grouped.sizes.kv_heads = 1;
    let settings = Settings::new(4, 64).with_block(8);
    let error =
        Program::compile(&grouped, config, &settings).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("lane rows"), "{error}");
}
