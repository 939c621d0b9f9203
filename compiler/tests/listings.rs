//! Listings of emitted programs: `data/listings/NAME.json` is what is compiled, `NAME.asm` beside it what comes out.
//! `make listings` accepts a change: it writes the listings anew, and the difference is what there is to review.

use super::common;

use accllm_compiler::asm::assemble;
use accllm_compiler::synthetic::Synthetic;
use accllm_compiler::{ModelSpec, Program, Settings};
use accllm_hw::sizes::Sizes;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A program's input. Weights are in the formats of [`Synthetic::default`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    /// What the listing shows.
    #[serde(rename = "shows")]
    _shows: String,
    config: String,
    sizes: Sizes,
    sinks: usize,
    window: usize,
    /// Most tokens of a prefill step; 1: decode alone.
    block: usize,
    sequences: usize,
    /// Each KV head has a leading RoPE pair of its own.
    led: bool,
}

impl Input {
    fn compile(&self) -> Program {
        let model = Synthetic { sizes: self.sizes, led: self.led, ..Synthetic::default() };
        let settings = Settings::new(self.sinks, self.window).with_block(self.block);
        common::compile(
            &ModelSpec::from(&model.build()),
            &self.config,
            &settings.with_sequences(self.sequences),
        )
    }
}

fn inputs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/listings");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|f| f.extension().is_some_and(|e| e == "json")).collect()
}

#[test]
fn programs_are_as_listed() {
    let accept = std::env::var_os("ACCLLM_ACCEPT").is_some();
    let inputs = inputs();
    assert!(inputs.len() >= 4, "{inputs:?}");
    for path in inputs {
        let input: Input = serde_json::from_slice(&std::fs::read(&path).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let program = input.compile();
        let (file, listing) = (path.with_extension("asm"), program.disassemble());
        assert_eq!(assemble(&listing).unwrap(), program.code, "{}", path.display());
        if accept {
            std::fs::write(&file, &listing).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        let changed = listing.lines().zip(expected.lines()).find(|(now, before)| now != before);
        assert!(
            listing == expected,
            "{} is of another program (`make listings` accepts the change); the first line that differs, now and there: \
             {changed:?}",
            file.display()
        );
    }
}
