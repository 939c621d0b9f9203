//! Arguments of the verbs about a model and its program.

use clap::Args;
use std::path::PathBuf;

/// Shape of a compiled program.
#[derive(Debug, Clone, Args)]
pub struct ShapeArgs {
    /// Engine configuration: tiny, edge, u280, or a file (docs/configurations.md).
    #[arg(long, default_value = "tiny", value_name = "NAME|FILE")]
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
    pub shape: ShapeArgs,
}

/// `accllm export`.
#[derive(Debug, Args)]
#[command(
    after_help = "The folder holds the real values of the integer weights in 32-bit floats, with config.json and the tokenizer's files. \
    Inputs of the linear layers, keys and values are not rounded there, and attention sees everything: its perplexity is that \
    of `accllm eval MODEL --stage w2`.\n\n\
    Example:\n  accllm export ./my-llama-w2 -o ./my-llama-w2-float\n  accllm eval ./my-llama-w2-float --stage float"
)]
pub struct Export {
    /// Quantized model, or a checkpoint, which is quantized first.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Folder to write: new or empty.
    #[arg(short, long, value_name = "FOLDER")]
    pub output: PathBuf,
}

/// `accllm repack`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  accllm repack ./my-llama-w2 -o ./my-llama-w2-small")]
pub struct Repack {
    /// Quantized model of the format's version before.
    pub folder: PathBuf,
    /// Folder to write: new or empty.
    #[arg(short, long, value_name = "FOLDER")]
    pub output: PathBuf,
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
    /// Model; or sizes without weights: a `config.json`, or the name of a shape of `accllm bench`.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Shape.
    #[command(flatten)]
    pub shape: ShapeArgs,
}

/// `accllm devices`.
#[derive(Debug, Args)]
pub struct Devices {
    /// Build the RTL model of a configuration now instead of at its first use.
    #[arg(long, value_name = "NAME|FILE")]
    pub build: Vec<String>,
}
