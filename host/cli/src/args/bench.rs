//! Arguments of `accllm bench`, `accllm bench-cpu`, `accllm bench-page` and `accllm timing-check`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Memory behind the engine of `accllm bench`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchMemory {
    /// Answers at once, every cycle.
    Ideal,
    /// Timing of the U280's HBM2 and, at the auxiliary port, DDR4.
    Hbm2,
}

/// What counts the cycles of `accllm bench`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchDevice {
    /// The RTL in Verilator: simulated, compared bit for bit.
    Rtl,
    /// The timing model: estimated, without weights and in a moment (docs/timing.md).
    Model,
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

/// A model with random weights.
#[derive(Debug, Args)]
pub struct Random {
    /// Run this many of the model's layers (and the head); figures are those of the shorter model.
    #[arg(long, value_name = "N")]
    pub layers: Option<usize>,
    /// First tokens that stay visible for ever [default: 4, or the bundled model's].
    #[arg(long, value_name = "N")]
    pub sinks: Option<usize>,
    /// Last tokens that are visible, the current one included [default: 2044, or the bundled model's].
    #[arg(long = "window", value_name = "N")]
    pub window: Option<usize>,
    /// Bits of softmax probabilities [default: 16].
    #[arg(long, value_enum, value_name = "BITS")]
    pub prob_bits: Option<BitsArg>,
    /// Seed of weights, cache and tokens.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `accllm bench`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm bench llama2-7b\n  accllm bench llama2-7b --context 128 --memory ideal --json\n  \
    accllm bench llama2-7b --prompt 512 --layers 2\n  accllm bench llama2-7b --batch 4 --context 128 --layers 2\n  accllm bench tinytales --config tiny --context 64\n  accllm bench llama2-7b --device model"
)]
pub struct Bench {
    /// llama2-7b, llama3-8b, smollm2-135m or the config.json or GGUF file of any Llama model (random weights of the right formats), or
    /// tinytales (the bundled model).
    pub shape: String,
    /// What counts the cycles.
    #[arg(long, value_enum, default_value_t = BenchDevice::Rtl)]
    pub device: BenchDevice,
    /// Engine configuration: tiny, edge, u280, or a file (docs/configurations.md).
    #[arg(long, default_value = "u280", value_name = "NAME|FILE")]
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
    /// The memory of a card: u280, u50, u55c, v80, vcu128, zcu104, or a file (docs/cards.md).
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "memory")]
    pub card: Option<String>,
    /// Layers, attention shape, seed.
    #[command(flatten)]
    pub random: Random,
    /// Most tokens of a prefill step [default: the configuration's].
    #[arg(long, value_name = "N")]
    pub block: Option<usize>,
    /// Write an instruction timeline of the phase for ui.perfetto.dev or chrome://tracing.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Run the RTL alone, without the comparison with the golden executor.
    #[arg(long)]
    pub no_compare: bool,
}

/// `accllm bench-cpu`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm bench-cpu smollm2-135m --threads 2\n  accllm bench-cpu ./my-llama-w2 --tokens 128"
)]
pub struct BenchCpu {
    /// A shape of `accllm bench` (random weights), or a model: windows of 2048 tokens are scored, then tokens decoded.
    pub shape: String,
    /// Threads [default: all].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Tokens to decode.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub tokens: usize,
    /// Layers, attention shape, seed.
    #[command(flatten)]
    pub random: Random,
}

/// `accllm bench-page`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  accllm bench-page docs/performance.md")]
pub struct BenchPage {
    /// Page to write.
    pub page: PathBuf,
}

/// `accllm timing-check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm timing-check --config tiny\n  accllm timing-check smollm2-135m --config tiny --layers 2 --context 0,128 --batch 2 --prompt 16\n  \
    accllm timing-check llama2-7b --context 0,2048 --probes 0 --json"
)]
pub struct TimingCheck {
    /// A shape of `accllm bench`, or random:N, whose steps are compared; without it single operations only.
    pub shape: Option<String>,
    /// Engine configuration: tiny, edge, u280, a file, or random:N (docs/timing.md).
    #[arg(long, default_value = "u280", value_name = "NAME|FILE")]
    pub config: String,
    /// Memory behind the engine.
    #[arg(long, value_enum, default_value_t = BenchMemory::Hbm2)]
    pub memory: BenchMemory,
    /// Decode a token with N tokens before it, for each N.
    #[arg(long, value_name = "N,..", value_delimiter = ',')]
    pub context: Vec<u64>,
    /// Decode a token of each of S sequences with 128 tokens before it, for each S.
    #[arg(long, value_name = "S,..", value_delimiter = ',')]
    pub batch: Vec<usize>,
    /// Prefill a prompt of N tokens, for each N.
    #[arg(long, value_name = "N,..", value_delimiter = ',')]
    pub prompt: Vec<usize>,
    /// Random programs of each operation.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub probes: u64,
    /// Layers, attention shape, seed.
    #[command(flatten)]
    pub random: Random,
    /// Most tokens of a prefill step [default: the configuration's].
    #[arg(long, value_name = "N")]
    pub block: Option<usize>,
}
