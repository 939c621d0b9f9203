//! Arguments of `accllm eval`.

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

/// `accllm eval`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm eval\n  accllm eval ./my-llama --text wiki.txt --window 2048 --windows 32 --stage float\n  \
    accllm eval ./my-llama --text wiki.txt --window 2048 --stride 512 --bos yes\n  \
    accllm eval ./my-llama-w2 --stage integer --json\n  \
    accllm eval ./my-llama-w2 --text book.txt --long --tokens 65536 --svg long.svg"
)]
pub struct Eval {
    /// Checkpoint, quantized model (integer row only), or `bundled`.
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
    /// Sinks of the last two rows, and of --long [default: the model's].
    #[arg(long, value_name = "N")]
    pub attention_sinks: Option<usize>,
    /// Attention window of the last two rows, and of --long [default: the model's].
    #[arg(long, value_name = "N")]
    pub attention_window: Option<usize>,
    /// Calibration text [default: built-in stories].
    #[arg(long, value_name = "FILE")]
    pub calib: Option<PathBuf>,
    /// One text of any length instead of windows: perplexity by position with sinks and window, beside the window
    /// alone and full attention; of the integer model, or with --stage float of the checkpoint.
    #[arg(long, conflicts_with_all = ["stride", "windows", "window"])]
    pub long: bool,
    /// Tokens of the text to score; 0 for all (--long).
    #[arg(long, default_value_t = 16384, value_name = "N", requires = "long")]
    pub tokens: usize,
    /// Tokens of a bucket of positions (--long).
    #[arg(long, default_value_t = 2048, value_name = "N", requires = "long")]
    pub bucket: usize,
    /// Tokens up to which full attention is measured; 0 for none [default: the trained positions and a bucket] (--long).
    #[arg(long, value_name = "N", requires = "long")]
    pub full: Option<usize>,
    /// Write a plot (--long).
    #[arg(long, value_name = "FILE", requires = "long")]
    pub svg: Option<PathBuf>,
}
