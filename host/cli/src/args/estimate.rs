//! Arguments of `accllm estimate`.

use clap::Args;
use std::path::PathBuf;

/// `accllm estimate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm estimate                                resources of u280 by unit, against the card\n  \
    accllm estimate --config my.toml --card v80    does it fit?\n  \
    accllm estimate llama2-7b                      and the watts and joules of a token\n  \
    accllm estimate llama2-7b --batch 4 --json\n\n\
    Everything is estimated: area by fits over open synthesis, cycles by the timing model, power by energies an event with a \
    low and a high value. docs/cost.md has the forms, the errors and the sources."
)]
pub struct Estimate {
    /// Model whose decode or prefill takes power: a shape of `accllm bench`. Without it only area is estimated.
    pub shape: Option<String>,
    /// Engine configuration: tiny, edge, u280, or a file (docs/configurations.md).
    #[arg(long, default_value = "u280", value_name = "NAME|FILE")]
    pub config: String,
    /// Card: a name or a file (docs/cards.md).
    #[arg(long, default_value = "u280", value_name = "NAME|FILE")]
    pub card: String,
    /// Decode with N tokens before it [default: the full window].
    #[arg(long, value_name = "N", requires = "shape")]
    pub context: Option<u64>,
    /// Decode S independent sequences at once.
    #[arg(long, value_name = "S", requires = "shape", conflicts_with = "prompt")]
    pub batch: Option<usize>,
    /// Prefill a prompt of N tokens instead.
    #[arg(long, value_name = "N", requires = "shape", conflicts_with = "context")]
    pub prompt: Option<usize>,
    /// Write the tables of docs/cost.md into that page.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shape", "config", "card"])]
    pub page: Option<PathBuf>,
}
