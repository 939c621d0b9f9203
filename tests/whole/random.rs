//! Configurations that nobody chose: integer reference == golden executor == RTL, every tensor, as on the named ones.

use accllm_compiler::synthetic::{Synthetic, shapes};
use accllm_compiler::{ModelSpec, Program, Settings};
use accllm_device::MemoryKind;
use accllm_hw::config::random::{Numbers, small};
use accllm_hw::config::{Config, TUNED};
use accllm_sim::verilate::OptLevel;
use accllm_tests::{Compiled, past_the_wrap, ragged, rtl};
use std::sync::Mutex;

/// The shapes that fit a configuration, from a random one on.
fn fitting(config: &Config, seed: u64) -> Vec<(&'static str, Synthetic)> {
    let mut all = shapes();
    all.rotate_left(Numbers::new(seed).below(7));
    all.retain(|(_, s)| {
        let settings = Settings::new(s.lambda.n_sink, s.lambda.n_window);
        Program::compile(&ModelSpec::from(&s.build()), config, &settings).is_ok()
    });
    all
}

/// Compares the first shapes that fit; how many did.
fn compare(config: &Config, seed: u64, shapes: usize, with_rtl: bool) -> usize {
    let all = fitting(config, seed);
    for (name, shape) in all.iter().take(shapes) {
        let model = shape.build();
        let compiled = Compiled::new(&model, config, shape.lambda.n_sink, shape.lambda.n_window);
        let options =
            accllm_device::VerilatorOptions { opt: OptLevel::Quick, ..rtl(MemoryKind::Stalling(seed)) };
        let compared = ragged(name, &compiled, with_rtl.then_some(&options), seed, past_the_wrap(shape));
        println!("{name} on {config:?}: {compared:?}");
        assert!(compared.elements > 100_000, "{compared:?}");
    }
    all.len().min(shapes)
}

/// Small ones with the RTL, side by side: building and running one takes a core.
fn on_the_rtl(seeds: std::ops::Range<u64>) {
    let next = Mutex::new(seeds.clone());
    let take = || next.lock().ok()?.next();
    let run = || std::iter::from_fn(take).filter(|&seed| compare(&small(seed), seed, 1, true) > 0).count();
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let ran: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).sum()
    });
    println!("{ran} of {} configurations hold a shape", seeds.end - seeds.start);
    assert!(2 * ran as u64 > seeds.end - seeds.start, "{ran} of {seeds:?}");
}

#[test]
fn golden_on_random_configurations() {
    let ran = (0..8).filter(|&seed| compare(&small(seed), seed, 1, false) > 0).count();
    assert!(ran >= 4, "{ran}");
}

#[test]
fn rtl_on_random_configurations() {
    on_the_rtl(0..2);
}

#[test]
#[ignore = "an hour: 90 configurations are built"]
fn rtl_on_many_random_configurations() {
    on_the_rtl(2..92);
}

#[test]
fn golden_on_configurations_of_other_cards() {
    TUNED.iter().for_each(|config| assert_eq!(compare(config, 1, 1, false), 1, "{}", config.name));
}

#[test]
#[ignore = "ten minutes: four engines as large as cards are built"]
fn rtl_on_configurations_of_other_cards() {
    TUNED.iter().for_each(|config| assert_eq!(compare(config, 1, 1, true), 1, "{}", config.name));
}
