//! The timing model against the RTL: whole steps of small models.

use accllm_compiler::Settings;
use accllm_compiler::image::ModelSource as _;
use accllm_compiler::synthetic::Synthetic;
use accllm_device::MemoryKind;
use accllm_device::progress::Silent;
use accllm_device::timing::{Phase, steps};
use accllm_hw::config::{Config, find, random};
use accllm_hw::sizes::Sizes;
use accllm_llm::model::LambdaShape;
use std::error::Error;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn list<T: std::str::FromStr>(name: &str) -> Vec<T> {
    let text = std::env::var(name).unwrap_or_default();
    text.split(',').filter_map(|t| t.parse().ok()).collect()
}

/// A small model, on the configuration that is built soonest.
#[test]
fn steps_take_the_cycles_of_the_rtl() -> Outcome {
    let model = Synthetic { lambda: LambdaShape { n_sink: 4, n_window: 60 }, ..Synthetic::default() };
    let settings = Settings { lambda: model.lambda, block: None, sequences: 1 };
    let phases = [
        Phase::Decode { context: 0 },
        Phase::Decode { context: 100 },
        Phase::Batch { sequences: 2, context: 30 },
        Phase::Prefill { prompt: 11 },
    ];
    for s in steps(&model.spec(), find("tiny")?, &settings, MemoryKind::Ideal, &phases, &Silent)? {
        assert!(s.cycles.error.abs() < 0.01, "{:?}: {:?}", s.phase, s.cycles);
    }
    Ok(())
}

#[test]
#[ignore = "a measurement, not a check"]
fn measure() -> Outcome {
    let variable = |name: &str, default: &str| std::env::var(name).unwrap_or(default.into());
    let name = variable("TIMING_CONFIG", "tiny");
    let config: Config = match name.strip_prefix("small") {
        Some(seed) => random::small(seed.parse()?),
        None => *find(&name)?,
    };
    let kind = if variable("TIMING_MEMORY", "hbm2") == "hbm2" { MemoryKind::HBM2 } else { MemoryKind::Ideal };
    let layers = list("TIMING_LAYERS").first().copied().unwrap_or(2);
    let normal = |hidden, ff, heads, kv_heads, head_dim, vocab| Synthetic {
        sizes: Sizes { hidden, ff, layers, heads, kv_heads, head_dim, vocab, ..Synthetic::SIZES },
        lambda: LambdaShape { n_sink: 4, n_window: list("TIMING_WINDOW").first().copied().unwrap_or(2044) },
        ..Synthetic::default()
    };
    let model = match variable("TIMING_SHAPE", "smollm2").as_str() {
        "llama2-7b" => normal(4096, 11008, 32, 32, 128, 32000),
        "llama3-8b" => normal(4096, 14336, 32, 8, 128, 128256),
        "small" => normal(96, 256, 4, 2, 32, 300),
        _ => normal(576, 1536, 9, 3, 64, list("TIMING_VOCAB").first().copied().unwrap_or(49152)),
    };
    let decode = list("TIMING_CONTEXT").into_iter().map(|context| Phase::Decode { context });
    let batch = list("TIMING_BATCH").into_iter().map(|sequences| Phase::Batch { sequences, context: 128 });
    let prefill = list("TIMING_PROMPT").into_iter().map(|prompt| Phase::Prefill { prompt });
    let phases: Vec<_> = decode.chain(batch).chain(prefill).collect();
    let settings = Settings { lambda: model.lambda, block: None, sequences: 1 };
    for s in steps(&model.spec(), &config, &settings, kind, &phases, &Silent)? {
        let c = s.cycles;
        println!(
            "{name} {:?}: rtl {} model {} {:+.3}% in {:.1} s, {:.2} ms",
            s.phase,
            c.rtl,
            c.model,
            100.0 * c.error,
            s.rtl_s,
            1e3 * s.model_s
        );
        for o in &s.operations {
            let c = o.cycles;
            let diff = c.model as i64 - c.rtl as i64;
            println!("   {:14} {:9} {:9} {diff:+8} {:+.2}%", o.operation, c.rtl, c.model, 100.0 * c.error);
        }
    }
    Ok(())
}
