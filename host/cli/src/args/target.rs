//! What runs a model, and how its tokens are chosen.

use super::ShapeArgs;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Where a text is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceArg {
    /// The integer reference model, on all cores.
    Integer,
    /// The golden executor: the compiled program, instruction by instruction.
    Golden,
    /// The engine's SystemVerilog, cycle by cycle, in Verilator.
    Verilator,
    /// A card through XRT, or XRT's hardware emulation (see hw-emu).
    Xrt,
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

/// What computes a text.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = DeviceArg::Integer)]
    pub device: DeviceArg,
    /// Memory behind the engine (verilator).
    #[arg(long, value_enum, default_value_t = MemoryArg::Ideal)]
    pub memory: MemoryArg,
    /// Seed of the stalling memory.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub memory_seed: u64,
    /// Program written by `accllm compile` from MODEL, instead of compiling it now.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "sinks", "window", "block"])]
    pub program: Option<PathBuf>,
    /// The card.
    #[command(flatten)]
    pub card: Card,
    /// Shape.
    #[command(flatten)]
    pub shape: ShapeArgs,
}

/// How tokens are chosen.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Choice of tokens")]
pub struct Choice {
    /// 0: always the most likely token; 1: as likely as the model says; above: flatter.
    #[arg(long, default_value_t = 0.0, value_name = "T", allow_negative_numbers = true)]
    pub temperature: f64,
    /// Choose among the K most likely tokens; 0 for all.
    #[arg(long, default_value_t = 0, value_name = "K")]
    pub top_k: usize,
    /// Choose among the fewest most likely tokens that have probability P together.
    #[arg(long, default_value_t = 1.0, value_name = "P", allow_negative_numbers = true)]
    pub top_p: f64,
    /// Choose among the tokens that are at least P times as likely as the most likely one.
    #[arg(long, default_value_t = 0.0, value_name = "P", allow_negative_numbers = true)]
    pub min_p: f64,
    /// Above 1: tokens that are in the text already become less likely; below: more.
    #[arg(long, default_value_t = 1.0, value_name = "R", allow_negative_numbers = true)]
    pub repetition_penalty: f64,
}

impl Choice {
    /// Always the most likely token.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 }
    }
}

/// Which card, with what.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Card (xrt)")]
pub struct Card {
    /// Index of the card, or its PCIe address.
    #[arg(long, default_value = "0", value_name = "INDEX|BDF")]
    pub card: String,
    /// The xclbin for the card.
    #[arg(long, env = "ACCLLM_XCLBIN", value_name = "FILE")]
    pub xclbin: Option<PathBuf>,
    /// How long one run of the program may take [default: 10 on a card, 3600 in emulation].
    #[arg(long, value_name = "SECONDS")]
    pub limit: Option<u64>,
    /// Do not read back what was uploaded.
    #[arg(long)]
    pub no_verify: bool,
}
