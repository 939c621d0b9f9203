//! What a benchmark reports. Cycles and all that follows from them are *simulated*; `*_s` and memory are *measured*
//! on this computer; `estimated` says so.

use accllm_device::perf::Shares;
use accllm_device::timeline::Operation;
use serde::Serialize;

/// A figure from a paper.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Published {
    /// System.
    pub system: &'static str,
    /// Decoded tokens per second.
    pub tokens_per_s: f64,
    /// How it was found.
    pub basis: &'static str,
}

/// Decode of LLaMA-2-7B on the U280 at 225 MHz.
const LLAMA2_7B: [Published; 2] = [
    Published { system: "AccLLM", tokens_per_s: 164.0, basis: "their cycle-accurate simulator" },
    Published { system: "FlightLLM", tokens_per_s: 55.0, basis: "measured on the board" },
];

/// Published figures to put beside a run of a whole model.
pub fn published(shape: &str, config: &str, phase: &str) -> &'static [Published] {
    if (shape, config, phase) == ("llama2-7b", "u280", "decode") { &LLAMA2_7B } else { &[] }
}

/// The whole model from a run with fewer layers: *estimated* from the layers' marginal cycles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Layers of the whole model.
    pub layers: usize,
    /// Cycles of a layer in one run of the program (a token, or a block of the prompt on average).
    pub cycles_per_layer: f64,
    /// Cycles per token of the whole model.
    pub cycles_per_token: f64,
    /// Tokens per second of the whole model.
    pub tokens_per_s: f64,
}

/// What was compared with the golden executor.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Agreement {
    /// Outputs of instructions compared.
    pub tensors_compared: u64,
    /// Their elements.
    pub elements_compared: u64,
    /// Elements that differ.
    pub elements_different: u64,
    /// The first difference.
    pub difference: Option<String>,
}

/// The report of one phase.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Model shape.
    pub shape: String,
    /// Configuration.
    pub config: String,
    /// Memory model.
    pub memory: &'static str,
    /// Where cycles are from: `simulated` (the RTL) or `estimated` (the timing model).
    pub basis: &'static str,
    /// `decode`, `batch` or `prefill`.
    pub phase: &'static str,
    /// Tokens before the first one.
    pub context: u64,
    /// Sequences decoded at once; null in other phases.
    pub batch: Option<usize>,
    /// Tokens of the prompt; null in decode.
    pub prompt: Option<usize>,
    /// Tokens that went in.
    pub tokens: u64,
    /// Runs of the program: tokens, or blocks of the prompt.
    pub runs: u64,
    /// Layers that ran.
    pub layers: usize,
    /// Layers of the model.
    pub model_layers: usize,
    /// Attention shape.
    pub sinks: usize,
    /// Attention shape.
    pub window: usize,
    /// Bits of probabilities.
    pub prob_bits: u8,
    /// Most tokens of a run.
    pub block: usize,
    /// Channels.
    pub channels: usize,
    /// Token lanes.
    pub lanes: usize,
    /// Clock.
    pub mhz: usize,
    /// Cycles of all runs.
    pub cycles: u64,
    /// Per token.
    pub cycles_per_token: f64,
    /// At the configuration's clock, of the layers that ran.
    pub tokens_per_s: f64,
    /// Channel bytes read and written.
    pub bytes_per_token: f64,
    /// Channel beats read and written, of each channel.
    pub beats_per_token: f64,
    /// Bandwidth over one beat per channel and cycle.
    pub hbm_fraction_of_peak: f64,
    /// Bandwidth over what the memory model delivers to sequential reads.
    pub hbm_fraction_of_model: f64,
    /// That rate of the memory model, all channels.
    pub model_bytes_per_s: f64,
    /// Bandwidth while weight streams follow each other, over the same; null without comparison.
    pub streaming_fraction_of_model: Option<f64>,
    /// Multiplications of kept weights and visible keys and values over all multipliers of all lanes and cycles.
    pub mac_utilisation: f64,
    /// Shares of the cycles.
    pub stalls: Shares,
    /// Cycles by operation.
    pub operations: Vec<Operation>,
    /// Instructions of the program.
    pub instructions: usize,
    /// Their bytes.
    pub instruction_bytes: usize,
    /// Comparison; zeros without it.
    #[serde(flatten)]
    pub agreement: Agreement,
    /// Where fewer layers ran than the model has.
    pub estimated: Option<Estimate>,
    /// Figures of others.
    pub published: &'static [Published],
    /// Simulated cycles per second of this computer, comparison included.
    pub sim_cycles_per_s: f64,
    /// Time to make weights and cache.
    pub generate_s: f64,
    /// Time of everything up to the end of this phase.
    pub wall_s: f64,
    /// Largest memory of this process so far, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// The report of the prompt, where both phases ran.
    pub prefill: Option<Box<Report>>,
}

impl Report {
    /// The first difference of any phase.
    pub fn difference(&self) -> Option<&str> {
        self.agreement.difference.as_deref().or_else(|| self.prefill.as_ref()?.difference())
    }
}

/// `VmHWM` of this process.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kb| kb * 1024)
}
