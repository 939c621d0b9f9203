//! Arguments of `accllm ablate`.

use clap::Args;
use std::path::PathBuf;

/// `accllm ablate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm ablate ./my-llama --text wiki.txt --calib book.txt --window 2048 --windows 4\n  \
    accllm ablate ./my-llama --only KV4\n  accllm ablate --list\n\n\
    Activations and cache are rounded in simulation on float weights; weights are fitted in closed form, without \
    training."
)]
pub struct Ablate {
    /// Checkpoint, or `bundled`.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// Text to score, as one stream [default: held-out built-in stories].
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Text for calibration, as one stream [default: built-in stories].
    #[arg(long, value_name = "FILE")]
    pub calib: Option<PathBuf>,
    /// Tokens per window, in both texts.
    #[arg(long, default_value_t = 320, value_name = "N")]
    pub window: usize,
    /// Windows to score, from the start; 0 for all.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub windows: usize,
    /// Calibration windows.
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub calib_windows: usize,
    /// Only lines whose part or name contains this; may be given several times.
    #[arg(long, value_name = "TEXT")]
    pub only: Vec<String>,
    /// List the lines and stop.
    #[arg(long)]
    pub list: bool,
    /// Replace the table of this model in a page (between `<!-- ablation NAME -->` and `<!-- end -->`; NAME is the
    /// last part of MODEL without its extension).
    #[arg(long, value_name = "FILE", conflicts_with = "only")]
    pub page: Option<PathBuf>,
}
