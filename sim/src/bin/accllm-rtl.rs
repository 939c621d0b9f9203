//! Builds the RTL models of configurations (names or files) into the cache, as `accllm devices --build` does. It needs few
//! crates, so `make build` has it early and builds the RTL while the others are compiled.

// Nothing panics on input: what fails is an error value.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo, clippy::unimplemented)
)]

use accllm_hw::config::open;
use accllm_sim::engine::EngineSpec;
use std::process::ExitCode;

fn main() -> ExitCode {
    for name in std::env::args().skip(1) {
        let config = match open(&name) {
            Ok(config) => config,
            Err(e) => return failed(&e),
        };
        if let Err(e) = EngineSpec::new(&config).design() {
            return failed(&e);
        }
    }
    ExitCode::SUCCESS
}

fn failed(e: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {e}");
    ExitCode::FAILURE
}
