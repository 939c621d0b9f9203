//! Arguments of the command line.

mod ablate;
mod bench;
mod card;
mod estimate;
mod eval;
mod model;
mod quantize;
mod sweep;
mod target;
mod text;

pub use ablate::Ablate;
pub use bench::{Bench, BenchCpu, BenchDevice, BenchMemory, BenchPage, BitsArg, TimingCheck};
pub use card::{HwEmu, TroubleArg, XrtCheck, XrtDevice};
pub use estimate::Estimate;
pub use eval::{Eval, EvalLong, LongStageArg, Scored, StageArg, YesNo};
pub use model::{Compile, Devices, Disasm, Export, Info, Repack, ShapeArgs};
pub use quantize::{FormatArg, KeysArg, PresetArg, PruningArg, Quantize, TrainerArg};
pub use sweep::{ConfirmArg, Evaluate, Pareto, Sweep};
pub use target::{Card, Choice, DeviceArg, MemoryArg, Target};
pub use text::{Chat, Dialogue, EvalChoices, Run, Serve, Writer};

use clap::{Parser, Subcommand};

/// Quantize a Llama checkpoint to W2A8KV4 with 2:4 sparsity, compile it for the engine, and run it: on the
/// integer model, on the golden executor, or on the engine's SystemVerilog in Verilator, compared bit for bit.
#[derive(Debug, Parser)]
#[command(
    name = "accllm",
    version,
    propagate_version = true,
    after_help = "Examples:\n  \
        accllm run                                     a story by the bundled model, integer reference\n  \
        accllm run --device verilator --lockstep       the same story out of the RTL, every tensor compared\n  \
        accllm quantize ./my-llama ./my-llama-w2       quantize a Hugging Face folder\n  \
        accllm eval ./my-llama --text held-out.txt     perplexity after every step of the quantizer\n  \
        accllm compile ./my-llama-w2 -o prog.accllm --config u280\n  \
        accllm chat ./my-llama-w2                      talk with it; `accllm serve` does so over HTTP\n  \
        accllm bench llama2-7b                         a token of a 7B-shaped model on u280, compared\n\n\
        MODEL is a Hugging Face folder, a .gguf file, a folder written by `accllm quantize`, or `bundled` (the default)."
)]
pub struct Cli {
    /// Print one JSON object on standard output instead of text (keys: docs/cli.md).
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Quantize a checkpoint: prune 2:4, 2-bit weights, static 8-bit activations, 4-bit KV cache.
    Quantize(Quantize),
    /// Measure perplexity after every step from the float model to the integer model.
    Eval(Eval),
    /// Measure perplexity by position in one text of any length, with sinks and window, the window alone, and full attention.
    EvalLong(EvalLong),
    /// Score questions with several answers on any device, as lm-evaluation-harness does.
    EvalChoices(EvalChoices),
    /// Measure what each choice of the quantizer does to the perplexity, one at a time.
    Ablate(Ablate),
    /// Write a quantized model as a Hugging Face folder of float weights, for other programs.
    Export(Export),
    /// Convert a quantized model written before its weights were packed.
    Repack(Repack),
    /// Compile a model into a program and memory image for an engine configuration.
    Compile(Compile),
    /// Write a text, and compare executions bit for bit.
    Run(Run),
    /// Talk with a model, line by line.
    Chat(Chat),
    /// Serve a model over HTTP, the way OpenAI's clients expect.
    Serve(Serve),
    /// Measure cycles, bandwidth and stalls of decode and prefill on the RTL, compared bit for bit.
    Bench(Bench),
    /// Measure the integer reference model on this computer: tokens scored and tokens decoded in a second.
    BenchCpu(BenchCpu),
    /// Hold the timing model against the RTL: single operations, and whole steps of a model.
    TimingCheck(TimingCheck),
    /// Estimate what an engine takes of a card, and the watts and joules of a token.
    Estimate(Estimate),
    /// Run all benchmarks of docs/performance.md (ten minutes) and write that page.
    BenchPage(BenchPage),
    /// Evaluate many designs, keep a record of each, and write the front of the best ones with a page about them.
    Sweep(Sweep),
    /// Evaluate one design.
    Evaluate(Evaluate),
    /// Take the best lines of any records or tables: those that no other line beats.
    Pareto(Pareto),
    /// List the instructions of a compiled program.
    Disasm(Disasm),
    /// Show a model's layers, sizes, padding and expected cycles on a configuration.
    Info(Info),
    /// List devices and engine configurations.
    Devices(Devices),
    /// Write a folder with which XRT's hardware emulation runs the engine in Verilator as a card.
    HwEmu(HwEmu),
    /// Try a card: compare with the golden executor, load another program, open it again, measure the driver.
    XrtCheck(XrtCheck),
    /// Be the emulated card of a program that uses XRT; XRT starts this, see hw-emu.
    XrtDevice(XrtDevice),
}
