//! Arguments of the explorer.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Which points run on the RTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfirmArg {
    /// Those that no other point beats.
    Front,
    /// All with metrics.
    All,
    /// None.
    None,
}

/// `accllm sweep`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm sweep lanes.toml -o lanes            a sweep (docs/sweeps.md says what the file holds)\n  \
    accllm sweep lanes.toml -o lanes            again: it goes on where it was interrupted\n  \
    accllm sweep lanes.toml -o lanes --shard 3/8\n  accllm sweep lanes --status\n  \
    accllm sweep lanes.toml -o lanes --slurm --tasks 16 --dry-run"
)]
pub struct Sweep {
    /// A spec (a TOML file), or the folder of a sweep that is there.
    pub spec: PathBuf,
    /// Folder of the results; created, or continued where it holds the same sweep.
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Say how far the folder is, and compute nothing.
    #[arg(long, conflicts_with_all = ["out", "shard", "jobs", "slurm"])]
    pub status: bool,
    /// Points at once [default: all processors].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Part of the points, for work on several machines that share the folder.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<accllm_lab::explore::Shard>,
    /// Points that run on the RTL once all are evaluated, every tensor compared with the golden executor.
    #[arg(long, value_enum, default_value_t = ConfirmArg::Front, value_name = "WHICH")]
    pub confirm: ConfirmArg,
    /// Write an array job for Slurm, one task a shard, and submit it.
    #[arg(long, requires = "out", conflicts_with = "shard")]
    pub slurm: bool,
    /// Slurm's partition [default: the cluster's].
    #[arg(long, requires = "slurm", value_name = "P")]
    pub partition: Option<String>,
    /// Tasks of the array.
    #[arg(long, requires = "slurm", default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub tasks: u16,
    /// Print the job, and submit nothing.
    #[arg(long, requires = "slurm")]
    pub dry_run: bool,
}

/// `accllm evaluate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  accllm evaluate lanes.toml --set lanes=4 --set fifo=1024\n  \
    accllm evaluate lanes.toml --set lanes=4 --set fifo=1024 --json    for an optimizer of your own (docs/sweeps.md)")]
pub struct Evaluate {
    /// A spec: its base, card and works, and the axes that can be set.
    pub spec: PathBuf,
    /// A value of an axis, which need not be one of the spec's; axes that are not set take their first value.
    #[arg(long = "set", value_name = "AXIS=VALUE")]
    pub set: Vec<String>,
}

/// `accllm pareto`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm pareto lanes/points/*.jsonl --max decode.tokens_per_s --min channel_mib\n  \
    accllm pareto others.csv --max throughput --min area -o front.csv"
)]
pub struct Pareto {
    /// Records of sweeps (.jsonl), JSON lines of others, or tables (.csv) with a line of headings.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// A column whose largest values are best.
    #[arg(long, value_name = "COLUMN")]
    pub max: Vec<String>,
    /// A column whose smallest values are best.
    #[arg(long, value_name = "COLUMN")]
    pub min: Vec<String>,
    /// Write the front as a table.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
