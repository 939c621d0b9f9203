//! Arguments of the command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

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
        accllm bench llama2-7b                         a token of a 7B-shaped model on u280, compared\n\n\
        MODEL is a Hugging Face folder, a folder written by `accllm quantize`, or `bundled` (the default)."
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
    /// Compile a model into a program and memory image for an engine configuration.
    Compile(Compile),
    /// Write a text, and compare executions bit for bit.
    Run(Run),
    /// Measure cycles, bandwidth and stalls of decode and prefill on the RTL, compared bit for bit.
    Bench(Bench),
    /// List the instructions of a compiled program.
    Disasm(Disasm),
    /// Show a model's layers, sizes, padding and expected cycles on a configuration.
    Info(Info),
    /// List devices and engine configurations.
    Devices(Devices),
}

/// `accllm quantize`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  accllm quantize ./my-llama ./my-llama-w2 --calib text-like-its-training.txt"
)]
pub struct Quantize {
    /// Hugging Face folder (config.json, *.safetensors, tokenizer.json), or `bundled`.
    pub model: String,
    /// Folder to create. It must not exist yet.
    pub out: PathBuf,
    /// Text for calibration, blank lines between documents [default: built-in stories].
    #[arg(long, value_name = "FILE")]
    pub calib: Option<PathBuf>,
    /// Most tokens of calibration text to use, in windows of 320.
    #[arg(long, default_value_t = accllm::model::Calibration::TOKENS, value_name = "N")]
    pub calib_tokens: usize,
}

/// A row of the table that `accllm eval` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StageArg {
    /// Every row.
    All,
    /// Float weights, float arithmetic.
    Float,
    /// Weights pruned 2:4 and rounded to 2 bits, head to 4.
    W2,
    /// Static 8-bit inputs of the linear layers on top.
    A8,
    /// 4-bit KV cache on top.
    Kv4,
    /// Sinks and window instead of full attention on top.
    Lambda,
    /// The integer model, as the engine computes.
    Integer,
}

/// `accllm eval`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm eval\n  accllm eval ./my-llama --text wiki.txt --window 1024 --windows 5\n  \
    accllm eval ./my-llama-w2 --stage integer --json"
)]
pub struct Eval {
    /// Checkpoint, quantized model (integer row only), or `bundled`.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Text to score, blank lines between documents [default: held-out built-in stories].
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Tokens per window.
    #[arg(long, default_value_t = 320, value_name = "N")]
    pub window: usize,
    /// Windows to score; 0 for all.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub windows: usize,
    /// Rows to measure.
    #[arg(long, value_enum, default_values_t = [StageArg::All], value_delimiter = ',', value_name = "ROW,...")]
    pub stage: Vec<StageArg>,
    /// Sinks of the last two rows [default: the model's].
    #[arg(long, value_name = "N")]
    pub attention_sinks: Option<usize>,
    /// Attention window of the last two rows [default: the model's].
    #[arg(long, value_name = "N")]
    pub attention_window: Option<usize>,
    /// Calibration text [default: built-in stories].
    #[arg(long, value_name = "FILE")]
    pub calib: Option<PathBuf>,
}

/// Shape of a compiled program.
#[derive(Debug, Clone, Args)]
pub struct Shape {
    /// Engine configuration: tiny, edge, u280.
    #[arg(long, default_value = "tiny", value_name = "NAME")]
    pub config: String,
    /// First tokens that stay visible for ever [default: the model's].
    #[arg(long, value_name = "N")]
    pub sinks: Option<usize>,
    /// Last tokens that are visible, the current one included [default: the model's].
    #[arg(long = "window", value_name = "N")]
    pub window: Option<usize>,
    /// Most tokens of a prefill step [default: the configuration's].
    #[arg(long, value_name = "N")]
    pub block: Option<usize>,
}

/// `accllm compile`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  accllm compile bundled -o tinytales.accllm --config edge --sinks 4 --window 60"
)]
pub struct Compile {
    /// Model.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Program file to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Independent sequences, each with a KV cache of its own, that one step can decode.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub sequences: usize,
    /// Shape.
    #[command(flatten)]
    pub shape: Shape,
}

/// Where a text is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceArg {
    /// The integer reference model, on all cores.
    Integer,
    /// The golden executor: the compiled program, instruction by instruction.
    Golden,
    /// The engine's SystemVerilog, cycle by cycle, in Verilator.
    Verilator,
}

/// Memory behind the simulated engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MemoryArg {
    /// Answers at once, every cycle.
    Ideal,
    /// Latency, random stalls and back-pressure.
    Stalling,
    /// Timing of the U280's HBM2 and, at the auxiliary port, DDR4.
    Hbm2,
}

/// `accllm run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  accllm run\n  accllm run --prompt \"The dragon\" --tokens 120\n  \
    accllm run --device verilator --lockstep --tokens 64\n  \
    accllm run --device verilator --memory stalling --seed 7 --sinks 4 --window 60\n  \
    accllm run --device verilator --memory hbm2 --tokens 2 --trace run.json
  \
    accllm run --device verilator --tokens 2 --wave run.fst")]
pub struct Run {
    /// Model.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = DeviceArg::Integer)]
    pub device: DeviceArg,
    /// Beginning of the text.
    #[arg(long, default_value = "Once upon a time")]
    pub prompt: String,
    /// Tokens to write.
    #[arg(long, default_value_t = 64, value_name = "N", allow_negative_numbers = true)]
    pub tokens: usize,
    /// Go on when the model ends its text.
    #[arg(long)]
    pub ignore_end: bool,
    /// Run a reference beside the device and compare every tensor.
    #[arg(long)]
    pub lockstep: bool,
    /// Write an FST wave file (verilator; slow, so few tokens).
    #[arg(long, value_name = "FILE")]
    pub wave: Option<PathBuf>,
    /// Write an instruction timeline for ui.perfetto.dev or chrome://tracing (verilator).
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Memory behind the engine (verilator).
    #[arg(long, value_enum, default_value_t = MemoryArg::Ideal)]
    pub memory: MemoryArg,
    /// Program written by `accllm compile` from MODEL, instead of compiling it now.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "sinks", "window", "block"])]
    pub program: Option<PathBuf>,
    /// Seed of the stalling memory.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Shape.
    #[command(flatten)]
    pub shape: Shape,
}

/// Memory behind the engine of `accllm bench`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchMemory {
    /// Answers at once, every cycle.
    Ideal,
    /// Timing of the U280's HBM2 and, at the auxiliary port, DDR4.
    Hbm2,
}

/// Width of what is 8 or 16 bits wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BitsArg {
    /// One int8.
    #[value(name = "8")]
    Eight,
    /// Two int8 halves on two token lanes.
    #[value(name = "16")]
    Sixteen,
}

/// `accllm bench`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm bench llama2-7b\n  accllm bench llama2-7b --context 128 --memory ideal --json\n  \
    accllm bench llama2-7b --prompt 512 --layers 2\n  accllm bench llama2-7b --batch 4 --context 128 --layers 2\n  accllm bench tinytales --config tiny --context 64"
)]
pub struct Bench {
    /// llama2-7b, llama3-8b, smollm2-135m (random weights of the right formats), or tinytales (the bundled model).
    #[arg(required_unless_present = "page")]
    pub shape: Option<String>,
    /// Engine configuration: tiny, edge, u280.
    #[arg(long, default_value = "u280", value_name = "NAME")]
    pub config: String,
    /// Decode with N tokens before it [default: the full window, unless --prompt is given].
    #[arg(long, value_name = "N")]
    pub context: Option<u64>,
    /// Decode S independent sequences at once, one token of each in a run of the program.
    #[arg(long, value_name = "S", conflicts_with = "prompt")]
    pub batch: Option<usize>,
    /// Prefill a prompt of N tokens from an empty cache.
    #[arg(long, value_name = "N")]
    pub prompt: Option<usize>,
    /// Tokens to decode, of each sequence.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub tokens: usize,
    /// Memory behind the engine.
    #[arg(long, value_enum, default_value_t = BenchMemory::Hbm2)]
    pub memory: BenchMemory,
    /// Run this many of the model's layers (and the head); figures are those of the shorter model.
    #[arg(long, value_name = "N")]
    pub layers: Option<usize>,
    /// First tokens that stay visible for ever [default: 4, or the bundled model's].
    #[arg(long, value_name = "N")]
    pub sinks: Option<usize>,
    /// Last tokens that are visible, the current one included [default: 2044, or the bundled model's].
    #[arg(long = "window", value_name = "N")]
    pub window: Option<usize>,
    /// Most tokens of a prefill step [default: the configuration's].
    #[arg(long, value_name = "N")]
    pub block: Option<usize>,
    /// Write an instruction timeline of the phase for ui.perfetto.dev or chrome://tracing.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Bits of softmax probabilities [default: 16].
    #[arg(long, value_enum, value_name = "BITS")]
    pub prob_bits: Option<BitsArg>,
    /// Seed of weights, cache and tokens.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Run the RTL alone, without the comparison with the golden executor and without cycles by operation.
    #[arg(long)]
    pub no_compare: bool,
    /// Run all cases of docs/performance.md (a quarter of an hour) and write that page.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shape", "config", "context", "batch", "prompt", "tokens", "memory",
        "layers", "sinks", "window", "block", "prob_bits", "seed", "no_compare"])]
    pub page: Option<PathBuf>,
}

/// `accllm disasm`.
#[derive(Debug, Args)]
pub struct Disasm {
    /// Program written by `accllm compile`.
    pub file: PathBuf,
}

/// `accllm info`.
#[derive(Debug, Args)]
pub struct Info {
    /// Model.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Shape.
    #[command(flatten)]
    pub shape: Shape,
}

/// `accllm devices`.
#[derive(Debug, Args)]
pub struct Devices {
    /// Build the RTL model of a configuration now instead of at its first use.
    #[arg(long, value_name = "CONFIG")]
    pub build: Vec<String>,
}
