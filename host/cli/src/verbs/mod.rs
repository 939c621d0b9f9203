//! What each verb does: one module per verb.

mod ablate;
mod bench;
mod bench_cpu;
mod bench_page;
mod bench_report;
mod chat;
mod compile;
mod devices;
mod disasm;
mod estimate;
mod eval;
mod eval_choices;
mod eval_long;
mod evaluate;
mod export;
mod info;
mod pareto;
mod quantize;
mod repack;
mod run;
mod run_report;
mod serve;
mod sweep;
mod timing_check;
mod xrt;
mod xrt_check;

use crate::args::{Cli, Verb};
use crate::out::Out;
use accllm_device::Result;

/// Does what the arguments say.
pub fn run(cli: Cli) -> Result<()> {
    let out = Out::new(cli.json);
    match cli.verb {
        Verb::Devices(args) => devices::run(&args, &out),
        Verb::Quantize(args) => quantize::run(&args, &out),
        Verb::Ablate(args) => ablate::run(&args, &out),
        Verb::EvalChoices(args) => eval_choices::run(&args, &out),
        Verb::Eval(args) => eval::run(&args, &out),
        Verb::EvalLong(args) => eval_long::run(&args, &out),
        Verb::Run(args) => run::run(&args, &out),
        Verb::Bench(args) => bench::run(&args, &out),
        Verb::TimingCheck(args) => timing_check::run(&args, &out),
        Verb::BenchCpu(args) => bench_cpu::run(&args, &out),
        Verb::Estimate(args) => estimate::run(&args, &out),
        Verb::BenchPage(args) => bench_page::run(&args, &out),
        Verb::Sweep(args) => sweep::run(&args, &out),
        Verb::Evaluate(args) => evaluate::run(&args, &out),
        Verb::Pareto(args) => pareto::run(&args, &out),
        Verb::Chat(args) => chat::run(&args, &out),
        Verb::Serve(args) => serve::run(&args, &out),
        Verb::Export(args) => export::run(&args, &out),
        Verb::Repack(args) => repack::run(&args, &out),
        Verb::Compile(args) => compile::run(&args, &out),
        Verb::Disasm(args) => disasm::run(&args, &out),
        Verb::Info(args) => info::run(&args, &out),
        Verb::HwEmu(args) => xrt::hw_emu(&args, &out),
        Verb::XrtCheck(args) => xrt_check::run(&args, &out),
        Verb::XrtDevice(args) => xrt::device(&args),
    }
}
