//! The `accllm` command: arguments and printing, one module per verb.

// Nothing panics on input: what fails is an error value.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo, clippy::unimplemented)
)]

mod args;
mod interpose;
mod out;
mod plan;
mod prepare;
mod verbs;

use args::Cli;
use clap::Parser as _;
use std::process::ExitCode;

/// Threads of the tensor library's own pool, which waits in a loop for its others: with our own pool beside it they
/// would keep each other from the processors.
const TENSOR_THREADS: &str = "CANDLE_NUM_THREADS";

fn main() -> ExitCode {
    if std::env::var_os(TENSOR_THREADS).is_none() {
        // SAFETY: this is the first thing the program does, so that no other thread reads the environment.
        unsafe { std::env::set_var(TENSOR_THREADS, "1") };
    }
    let code = match verbs::run(Cli::parse()) {
        Ok(()) => 0,
        Err(e) if e.is_broken_pipe() => 0,
        Err(e) => {
            out::complain(&e);
            1
        }
    };
    if accllm_device::xrt::stuck() {
        accllm_device::xrt::leave(code.into());
    }
    code.into()
}
