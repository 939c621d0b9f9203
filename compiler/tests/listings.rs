//! Listings of emitted programs: each `listings/NAME.json` says what to compile, `NAME.lst` beside it what must come out.
//! `make listings` writes the listings again; `git diff` then shows what has changed.

use accllm_compiler::{ModelSpec, Program, Settings, synthetic};
use accllm_hw::config::find;
use accllm_quant::model::LambdaShape;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What to compile.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    /// One of the synthetic shapes.
    shape: String,
    /// A built-in configuration.
    config: String,
    sinks: usize,
    window: usize,
    block: Option<usize>,
    sequences: usize,
}

impl Input {
    fn listing(&self) -> String {
        let shape = synthetic::shapes().into_iter().find(|s| s.0 == self.shape).expect("a synthetic shape").1;
        let lambda = LambdaShape { n_sink: self.sinks, n_window: self.window };
        let settings = Settings { lambda, block: self.block, sequences: self.sequences };
        let config = find(&self.config).expect("a configuration");
        let program = Program::compile(&ModelSpec::from(&shape.build()), config, &settings).expect("it fits");
        program.check().expect("it is proven");
        program.disassemble()
    }
}

fn inputs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/listings");
    let mut all: Vec<_> =
        std::fs::read_dir(folder).expect("listings").map(|e| e.expect("entry").path()).collect();
    all.retain(|p| p.extension().is_some_and(|e| e == "json"));
    all.sort();
    all
}

#[test]
fn programs_are_as_listed() {
    let accept = std::env::var_os("ACCLLM_ACCEPT").is_some();
    let mut changed = Vec::new();
    for path in inputs() {
        let input: Input = serde_json::from_slice(&std::fs::read(&path).expect("input")).expect("an input");
        let (listing, listed) = (input.listing(), path.with_extension("lst"));
        let expected = std::fs::read_to_string(&listed).unwrap_or_default();
        if listing == expected {
            continue;
        }
        if accept {
            std::fs::write(&listed, listing).expect("listing");
        } else {
            let both = listing.lines().zip(expected.lines()).enumerate();
            let first = both
                .filter(|(_, (a, b))| a != b)
                .map(|(n, (a, b))| format!("line {}:\n  {a}\ninstead of\n  {b}", n + 1));
            let lines = format!("{} lines instead of {}", listing.lines().count(), expected.lines().count());
            changed.push(format!(
                "{}: {}",
                listed.display(),
                first.take(1).chain([lines]).collect::<Vec<_>>().join("\n")
            ));
        }
    }
    assert!(inputs().len() >= 4);
    assert!(changed.is_empty(), "{}\nif that is meant: make listings", changed.join("\n"));
}
