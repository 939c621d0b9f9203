//! The `accllm` command.

mod cli;
mod interpose;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let code = match cli::run(cli::Cli::parse()) {
        Ok(()) => 0,
        Err(e) if e.is_broken_pipe() => 0,
        Err(e) => {
            eprintln!("error: {e}");
            1
        }
    };
    if accllm::device::xrt::stuck() {
        accllm::device::xrt::leave(code.into());
    }
    code.into()
}
