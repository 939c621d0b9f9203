//! The `accllm` command: arguments and printing, one module per verb.

mod ablate;
mod args;
mod bench;
mod bench_cpu;
mod chat;
mod compile;
mod devices;
mod disasm;
mod eval;
mod info;
mod interpose;
mod long;
mod out;
mod prepare;
mod quantize;
mod run;
mod run_report;
mod serve;
mod target;
mod xrt;
mod xrt_check;

use accllm_device::Result;
use args::{Cli, Verb};
use clap::Parser as _;
use out::Out;
use std::process::ExitCode;

/// Threads of the tensor library's own pool, which waits in a loop for its others: with our own pool beside it they
/// would keep each other from the processors.
const TENSOR_THREADS: &str = "CANDLE_NUM_THREADS";

fn main() -> ExitCode {
    if std::env::var_os(TENSOR_THREADS).is_none() {
        // SAFETY: this is the first thing the program does, so that no other thread reads the environment.
        unsafe { std::env::set_var(TENSOR_THREADS, "1") };
    }
    let code = match run(Cli::parse()) {
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

/// Does what the arguments say.
fn run(cli: Cli) -> Result<()> {
    let out = Out::new(cli.json);
    match cli.verb {
        Verb::Devices(args) => devices::run(&args, &out),
        Verb::Quantize(args) => quantize::run(&args, &out),
        Verb::Ablate(args) => ablate::run(&args, &out),
        Verb::Eval(args) => eval::run(&args, &out),
        Verb::Run(args) => run::run(&args, &out),
        Verb::Bench(args) => bench::run(&args, &out),
        Verb::Chat(args) => chat::run(&args, &out),
        Verb::Serve(args) => serve::run(&args, &out),
        Verb::Compile(args) => compile::run(&args, &out),
        Verb::Disasm(args) => disasm::run(&args, &out),
        Verb::Info(args) => info::run(&args, &out),
        Verb::HwEmu(args) => xrt::hw_emu(&args, &out),
        Verb::XrtCheck(args) => xrt_check::run(&args, &out),
        Verb::XrtDevice(args) => xrt::device(&args),
    }
}
