//! Benchmarks on 'tiny': the page says what was reached, and the comparison finds a damaged weight.

use accllm_device::MemoryKind;
use accllm_device::progress::Silent;
use accllm_lab::bench::cases::{Case, Target};
use accllm_lab::bench::{Bench, Options, Report, page};

/// Two layers of smollm2-135m on 'tiny', without waiting for memory.
fn options() -> Options {
    Options {
        context: Some(5),
        tokens: 3,
        memory: MemoryKind::Ideal,
        layers: Some(2),
        sinks: Some(4),
        window: Some(60),
        ..Options::new("smollm2-135m", "tiny")
    }
}

#[test]
fn the_page_says_what_was_reached() {
    let options = Options { tokens: 1, ..options() };
    let report = Bench::new(&options, &Silent).unwrap().run().unwrap();
    let target = |least, share| Target {
        what: "of it",
        least,
        share,
        of: |r| Some((r.hbm_fraction_of_peak, !r.lanes.is_multiple_of(2))),
    };
    let unknown = Target { of: |_| None, ..target(0.5, false) };
    let targets = vec![target(0.5, true), target(1.5, true), unknown];
    let text = page(&[(Case { options, targets }, report.clone())]);
    let share = format!("{:.1}%", 100.0 * report.hbm_fraction_of_peak);
    for row in [
        format!(
            "| smollm2-135m decode at 5, 2 of 30 layers | of it | 50.0% | {share} *simulated* | reached |"
        ),
        format!(
            "| smollm2-135m decode at 5, 2 of 30 layers | of it | 150.0% | {share} *simulated* | **missed** |"
        ),
        "| smollm2-135m decode at 5, 2 of 30 layers | of it | 0.5 | - | **unknown** |".into(),
        "| smollm2-135m decode at 5, 2 of 30 layers whole, *estimated* |".into(),
        "- matrix unit in: head ".into(),
    ] {
        assert!(text.contains(&row), "no {row} in\n{text}");
    }
}

#[test]
fn a_damaged_weight_is_found() {
    let options = options();
    let run = |damage: bool| -> Report {
        let mut bench = Bench::new(&options, &Silent).unwrap();
        let stream = bench.program().layout.weights.layers[1].iter().find(|s| s.name() == "L1.up").unwrap();
        // The scale of the second weight beat: the first beat holds row parameters.
        let byte = (stream.beat + 2) * 64 + 60;
        if damage {
            bench.damage(1, byte);
        }
        bench.run().unwrap()
    };
    let good = run(false).agreement;
    assert_eq!((good.elements_different, good.difference), (0, None));
    let bad = run(true);
    let said = bad.difference().unwrap();
    assert!(said.contains("layer 1, up, token 5") && said.contains("MATW"), "{said}");
    assert!(bad.agreement.elements_different > 0);
    assert_eq!(bad.tokens, 1, "it goes on after a difference");
}
