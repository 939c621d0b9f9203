//! Arguments of `accllm eval` and `accllm eval-long`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

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

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum YesNo {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// The model that `accllm eval-long` reads with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LongStageArg {
    /// The integer model, as the engine computes.
    Integer,
    /// Float weights, float arithmetic.
    Float,
}

/// A model, a text to score, and the attention shape.
#[derive(Debug, Args)]
pub struct Scored {
    /// Checkpoint, quantized model (integer only), or `bundled`.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Text to score, as one stream [default: held-out built-in stories].
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// The text is one stream, also the built-in one.
    #[arg(long, conflicts_with = "stories")]
    pub plain: bool,
    /// The text is stories separated by blank lines: each between the model's begin and end token.
    #[arg(long)]
    pub stories: bool,
    /// Sinks [default: the model's].
    #[arg(long, value_name = "N")]
    pub attention_sinks: Option<usize>,
    /// Attention window [default: the model's].
    #[arg(long, value_name = "N")]
    pub attention_window: Option<usize>,
    /// Calibration text [default: built-in stories].
    #[arg(long, value_name = "FILE")]
    pub calib: Option<PathBuf>,
}

/// `accllm eval`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm eval\n  accllm eval ./my-llama --text wiki.txt --window 2048 --windows 32 --stage float\n  \
    accllm eval ./my-llama --text wiki.txt --window 2048 --stride 512 --bos yes\n  \
    accllm eval ./my-llama-w2 --stage integer --json\n\n\
    The attention shape is that of the last two rows."
)]
pub struct Eval {
    /// What is scored.
    #[command(flatten)]
    pub scored: Scored,
    /// Tokens per window.
    #[arg(long, default_value_t = 320, value_name = "N")]
    pub window: usize,
    /// Tokens from window to window; only the last N of each but the first are scored [default: no overlap].
    #[arg(long, value_name = "N")]
    pub stride: Option<usize>,
    /// Windows to score, from the start; 0 for all.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub windows: usize,
    /// Each window begins with the model's begin-of-text token, one of its tokens.
    #[arg(long, value_enum, default_value_t = YesNo::No)]
    pub bos: YesNo,
    /// Rows to measure.
    #[arg(long, value_enum, default_values_t = [StageArg::All], value_delimiter = ',', value_name = "ROW,...")]
    pub stage: Vec<StageArg>,
}

/// `accllm eval-long`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm eval-long ./my-llama-w2 --text book.txt --tokens 65536 --svg long.svg\n  \
    accllm eval-long ./my-llama --text book.txt --stage float --full 0"
)]
pub struct EvalLong {
    /// What is scored.
    #[command(flatten)]
    pub scored: Scored,
    /// The model that reads the text.
    #[arg(long, value_enum, default_value_t = LongStageArg::Integer)]
    pub stage: LongStageArg,
    /// Tokens of the text to score; 0 for all.
    #[arg(long, default_value_t = 16384, value_name = "N")]
    pub tokens: usize,
    /// Tokens of a bucket of positions.
    #[arg(long, default_value_t = 2048, value_name = "N")]
    pub bucket: usize,
    /// Tokens up to which full attention is measured; 0 for none [default: the trained positions and a bucket].
    #[arg(long, value_name = "N")]
    pub full: Option<usize>,
    /// Write a plot.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}
