//! Cards: what an engine is put on. See `docs/cards.md`.
//!
//! A card is a file, `hw/cards/NAME.toml`: its memories, its logic by die, what the shell takes, clock, idle power and
//! price, each group of numbers with its source. Six are built in; [`open`] takes a name or a file.

mod file;
mod fit;

pub use file::{CARDS, CardError, NAMES, find, open, parse};
pub use fit::{Misfit, Need};

use serde::{Deserialize, Serialize};

/// A number for each kind of resource: counts, shares, or a list by die. Block RAM in units of 36 Kb.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources<T> {
    /// Look-up tables with six inputs, those used as memory included.
    pub lut: T,
    /// Flip-flops.
    pub ff: T,
    /// Multipliers.
    pub dsp: T,
    /// Block RAMs of 36 Kb.
    pub bram: T,
    /// UltraRAMs of 288 Kb.
    pub uram: T,
}

impl<T> Resources<T> {
    /// Names of the resources, in the order of [`Resources::each`].
    pub const NAMES: [&str; 5] = ["lut", "ff", "dsp", "bram", "uram"];

    /// The numbers, in the order of [`Resources::NAMES`].
    pub fn each(&self) -> [&T; 5] {
        [&self.lut, &self.ff, &self.dsp, &self.bram, &self.uram]
    }
}

/// Resources with their source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sourced<T> {
    /// See [`Resources`].
    pub lut: T,
    /// See [`Resources`].
    pub ff: T,
    /// See [`Resources`].
    pub dsp: T,
    /// See [`Resources`].
    pub bram: T,
    /// See [`Resources`].
    pub uram: T,
    /// Where they are from.
    pub source: String,
}

impl<T: Clone> Sourced<T> {
    /// The numbers alone.
    pub fn resources(&self) -> Resources<T> {
        let Self { lut, ff, dsp, bram, uram, .. } = self.clone();
        Resources { lut, ff, dsp, bram, uram }
    }
}

impl Sourced<Vec<f64>> {
    /// Sums over the dies.
    pub fn total(&self) -> Resources<f64> {
        let sum = |v: &Vec<f64>| v.iter().sum();
        let Self { lut, ff, dsp, bram, uram, .. } = self;
        Resources { lut: sum(lut), ff: sum(ff), dsp: sum(dsp), bram: sum(bram), uram: sum(uram) }
    }
}

/// A kind of memory: which parameters its timing model takes (`accllm_sim::memory::hbm2`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dram {
    /// HBM2: pseudo-channels of 64 bits at 1800 Mb/s a pin.
    Hbm2,
    /// HBM2e: the same at 3200 Mb/s a pin.
    Hbm2e,
    /// DDR4: channels of 64 bits at 2400 MT/s.
    Ddr4,
}

impl Dram {
    /// Name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hbm2 => "hbm2",
            Self::Hbm2e => "hbm2e",
            Self::Ddr4 => "ddr4",
        }
    }
}

/// A memory of a card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Parameters of its timing model.
    pub kind: Dram,
    /// Channels, each with a bus of its own.
    pub channels: usize,
    /// Ports through which logic reaches all channels together.
    pub ports: usize,
    /// Bytes of a channel.
    pub bytes: u64,
    /// Peak rate of a channel, GB/s.
    pub gb_per_s: f64,
    /// Peak rate of a port where it is less than the channel's, GB/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_gb_per_s: Option<f64>,
    /// Duration of a refresh where it is not the timing model's, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_ns: Option<u32>,
    /// It is a part of the card's other memory, and takes its bytes there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// Where the numbers are from.
    pub source: String,
}

impl Memory {
    /// How many of `ports` ports one channel serves.
    pub fn sharers(&self, ports: usize) -> usize {
        ports.div_ceil(self.channels).max(1)
    }

    /// Peak rate of each of `ports` ports, GB/s: their part of a channel, at most what a port carries.
    pub fn rate(&self, ports: usize) -> f64 {
        let part = self.gb_per_s / self.sharers(ports) as f64;
        part.min(self.port_gb_per_s.unwrap_or(f64::INFINITY))
    }

    /// Bytes behind each of `ports` ports.
    pub fn bytes(&self, ports: usize) -> u64 {
        self.bytes / self.sharers(ports) as u64
    }
}

/// Clock of the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Fastest that the platform gives, MHz.
    pub mhz: f64,
    /// Where it is from.
    pub source: String,
}

/// Power of the card while nothing runs, watts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idle {
    /// Lower end.
    pub low: f64,
    /// Likely value.
    pub value: f64,
    /// Upper end.
    pub high: f64,
    /// Where they are from.
    pub source: String,
}

/// What it costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Class of product.
    pub class: String,
    /// About so many US dollars.
    pub usd: f64,
    /// Where it is from.
    pub source: String,
}

/// A card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Name: of its file without `.toml`.
    #[serde(skip)]
    pub name: String,
    /// Name of the product.
    #[serde(rename = "name")]
    pub title: String,
    /// Order code of the device.
    pub part: String,
    /// Shell around the engine.
    pub platform: String,
    /// Names of the dies.
    pub dies: Vec<String>,
    /// Most percent of each resource, shell included.
    #[serde(default = "ceiling")]
    pub limit: Resources<f64>,
    /// The same on one die.
    #[serde(default = "ceiling")]
    pub die_limit: Resources<f64>,
    /// Behind the engine's channels.
    pub memory: Memory,
    /// Behind the auxiliary port.
    pub aux: Memory,
    /// What the device has.
    pub device: Sourced<f64>,
    /// What the shell leaves, by die.
    pub free: Sourced<Vec<f64>>,
    /// What the paths to memory take of that, by die, with all ports in use.
    pub added: Sourced<Vec<f64>>,
    /// Clock of the engine.
    pub clock: Clock,
    /// Power while nothing runs.
    pub idle: Idle,
    /// What it costs.
    pub price: Price,
}

fn ceiling() -> Resources<f64> {
    Resources { lut: 80.0, ff: 80.0, dsp: 80.0, bram: 80.0, uram: 80.0 }
}
