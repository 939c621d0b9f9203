//! Arguments of the verbs about cards.

use super::{Card, MemoryArg, ShapeArgs};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// `accllm hw-emu`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  accllm hw-emu build/hw_emu && . build/hw_emu/env.sh && accllm run --device xrt\n\n\
    Needs XRT's libraries (Debian: libxrt1). The programs that run in this environment need not be accllm."
)]
pub struct HwEmu {
    /// Folder to write.
    pub folder: PathBuf,
    /// The emulated card.
    #[command(flatten)]
    pub device: XrtDevice,
}

/// `accllm xrt-check`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  accllm xrt-check --config u280 --xclbin build/accllm_u280.xclbin")]
pub struct XrtCheck {
    /// Model.
    #[arg(default_value = "bundled")]
    pub model: String,
    /// The card.
    #[command(flatten)]
    pub card: Card,
    /// Beginning of the text.
    #[arg(long, default_value = "Once upon a time")]
    pub prompt: String,
    /// Tokens to compare, three times.
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub tokens: usize,
    /// Runs to time, three ways.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub runs: u32,
    /// Shape.
    #[command(flatten)]
    pub shape: ShapeArgs,
}

/// `accllm xrt-device`.
#[derive(Debug, Args)]
pub struct XrtDevice {
    /// Engine configuration: tiny, edge, u280, or a file (docs/configurations.md).
    #[arg(long, default_value = "tiny", value_name = "NAME|FILE")]
    pub config: String,
    /// Memory behind the engine.
    #[arg(long, value_enum, default_value_t = MemoryArg::Ideal)]
    pub memory: MemoryArg,
    /// Seed of the stalling memory.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub memory_seed: u64,
    /// Deliberate trouble, to try what a host does about it.
    #[arg(long, value_enum)]
    pub trouble: Option<TroubleArg>,
    /// Beat of the memory where the trouble is (corrupt: channel 0).
    #[arg(long, default_value_t = 0, value_name = "BEAT")]
    pub at: u64,
    /// Memory port where the trouble is; the last is the auxiliary one.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub port: usize,
}

/// Deliberate trouble of an emulated card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TroubleArg {
    /// The process is killed in its first run.
    Die,
    /// Runs never end.
    Hang,
    /// Buffers are refused.
    Refuse,
    /// A bit of the upload is flipped.
    Corrupt,
    /// A beat answers with a bus error.
    ReadError,
    /// A memory port never answers.
    Stall,
}

impl XrtDevice {
    /// These arguments, as words of a command line, with the configuration from another file.
    pub fn words(&self, config: &Path) -> Vec<String> {
        let value =
            |v: Option<clap::builder::PossibleValue>| v.map(|v| v.get_name().to_owned()).unwrap_or_default();
        let mut words = vec![
            "--config".to_owned(),
            config.display().to_string(),
            "--memory".to_owned(),
            value(self.memory.to_possible_value()),
            "--memory-seed".to_owned(),
            self.memory_seed.to_string(),
        ];
        if let Some(trouble) = &self.trouble {
            words.extend(["--trouble".to_owned(), value(trouble.to_possible_value())]);
            words.extend([
                "--at".to_owned(),
                self.at.to_string(),
                "--port".to_owned(),
                self.port.to_string(),
            ]);
        }
        words
    }
}
