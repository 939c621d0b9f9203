//! Power and energy: *estimated* from activity, resources in use, and the energies of `hw/cost/energy.toml`.

use super::activity::{Activity, FORMATS};
use super::area::Area;
use super::fits::Part;
use super::range::Range;
use super::resources::Resources;
use accllm_hw::card::{Card, Dram};
use accllm_hw::config::{BEAT_BITS, Config};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// An energy, or a share, with its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficient {
    /// `pJ`, `fJ`, `pJ/bit` or `share`.
    pub unit: String,
    /// At least.
    pub low: f64,
    /// What is most plausible.
    pub value: f64,
    /// At most.
    pub high: f64,
    /// Where the figures are from.
    pub source: String,
}

impl Coefficient {
    /// In joules (a bit, an event); a share as it is.
    pub fn range(&self) -> Range {
        let unit = match &self.unit[..] {
            "pJ" | "pJ/bit" => 1e-12,
            "fJ" => 1e-15,
            _ => 1.0,
        };
        Range { low: self.low, value: self.value, high: self.high } * unit
    }
}

/// The coefficients by name: `hw/cost/energy.toml`.
pub static COEFFICIENTS: LazyLock<BTreeMap<String, Coefficient>> = LazyLock::new(|| {
    // The file is part of the program; a test reads it.
    toml::from_str(include_str!("../../../../hw/cost/energy.toml"))
        .unwrap_or_else(|e| unreachable!("hw/cost/energy.toml: {e}"))
});

fn coefficient(name: &str) -> Range {
    // Names are those of this file; a test asks for each.
    COEFFICIENTS
        .get(name)
        .map_or_else(|| unreachable!("hw/cost/energy.toml has no '{name}'"), Coefficient::range)
}

/// Power of one part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// What takes it.
    pub part: &'static str,
    /// How much.
    pub watts: Range,
}

/// Power of a run, and its energy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Energy {
    /// By part.
    pub parts: Vec<Share>,
    /// Together.
    pub watts: Range,
    /// Of the whole run.
    pub joules: Range,
}

/// What an engine has that takes energy. A configuration has it by [`PoweredParts::new`]; a published one by hand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoweredParts {
    /// Of the matrix unit, with what brings its data.
    pub matrix: Resources,
    /// Of the vector unit.
    pub vector: Resources,
    /// Of everything else of the engine, and of the paths to memory.
    pub rest: Resources,
    /// Multipliers of the tiles: operations a busy cycle.
    pub multipliers: f64,
    /// UltraRAM words for a beat that is read: written to its FIFO.
    pub fifo_words: f64,
    /// UltraRAM words a busy cycle of the tiles: beats from the FIFOs, activations.
    pub tile_words: f64,
    /// UltraRAM words a busy cycle of the vector unit.
    pub vector_words: f64,
    /// Block RAM words a cycle in which vector unit or tiles are busy, on average.
    pub bram_words: f64,
    /// Clock, Hz.
    pub hz: f64,
}

/// Bits of an UltraRAM's word.
const URAM_BITS: usize = 72;
/// Operands of a multiplication are the same in two lanes.
const LANES_A_DSP: f64 = 2.0;

impl PoweredParts {
    /// Of a configuration on a card.
    pub fn new(config: &Config, area: &Area, card: &Card) -> Self {
        let part = |p| area.part(p);
        let ports = (config.channels as f64 / card.memory.ports.min(32) as f64).min(1.0);
        let added = card.added.total();
        let paths =
            Resources { lut: added.lut, ff: added.ff, bram: added.bram, ..Resources::default() } * ports;
        let (channels, lanes, vec) = (config.channels as f64, config.lanes as f64, config.vec as f64);
        let words = |bits: usize| bits.div_ceil(URAM_BITS) as f64;
        Self {
            matrix: part(Part::Matrix),
            vector: part(Part::Vector),
            rest: part(Part::Memory) + part(Part::Buffers) + part(Part::Control) + paths,
            multipliers: channels * accllm_hw::config::MACS as f64 * lanes / LANES_A_DSP,
            fifo_words: words(BEAT_BITS),
            tile_words: channels * words(BEAT_BITS) + lanes * words(accllm_hw::config::COLS * 8),
            // Two reads, of one of the two copies each, and a write of both: two elements a word.
            vector_words: 4.0 * vec / 2.0,
            // The tables of each lane, and scores: a row of the score buffer is written while the tiles are at keys, and
            // read by the vector unit.
            bram_words: vec * 1.5,
            hz: config.mhz as f64 * 1e6,
        }
    }
}

/// Power of an engine on a card in a run.
pub fn energy(config: &Config, activity: &Activity, card: &Card) -> Energy {
    let engine = PoweredParts::new(config, &super::area(config), card);
    let idle = Range { low: card.idle.low, value: card.idle.value, high: card.idle.high };
    power(&engine, activity, idle, [card.memory.kind, card.aux.kind])
}

/// Power of an engine in a run, with memories of these kinds behind its channels and its auxiliary port.
pub fn power(engine: &PoweredParts, a: &Activity, idle: Range, memories: [Dram; 2]) -> Energy {
    let seconds = a.cycles / engine.hz;
    let c = coefficient;
    let [channels, aux] = memories.map(|kind| c(kind.name()) * BEAT_BITS as f64);
    let waiting = c("waiting");
    // Cycles of full toggling: busy ones, and a share of the others.
    let toggling = |busy: f64| Range::exact(busy) + waiting * (a.cycles - busy).max(0.0);
    let logic = |r: Resources, busy: f64| c("logic_lut") * toggling(busy) * (r.lut + r.lutram);
    let both = a.mat_busy.max(a.vec_busy);
    let tiles: Range = (0..FORMATS.len())
        .map(|i| c(["dsp_w2", "dsp_w4", "dsp_kv"][i]) * (a.mat_busy * engine.multipliers * a.formats[i]))
        .sum();
    let others =
        (engine.matrix.dsp - engine.multipliers).max(0.0) * a.mat_busy + engine.vector.dsp * a.vec_busy;
    let all = engine.matrix + engine.vector + engine.rest;
    let uram =
        engine.fifo_words * a.beats_read + engine.tile_words * a.mat_busy + engine.vector_words * a.vec_busy;
    let parts = [
        ("card at rest", idle * seconds),
        ("channel memory", channels * a.channel_beats),
        ("auxiliary memory", aux * a.aux_beats),
        ("clock", c("clock_ff") * (all.ff * a.cycles)),
        ("matrix logic", logic(engine.matrix, a.mat_busy)),
        ("vector logic", logic(engine.vector, a.vec_busy)),
        ("other logic", logic(engine.rest, both)),
        ("multipliers", tiles + c("dsp_other") * others),
        ("UltraRAM", c("uram_word") * uram),
        ("block RAM", c("bram_word") * (engine.bram_words * both)),
    ];
    let joules = parts.iter().map(|(_, joules)| *joules).sum();
    let per_second = if seconds > 0.0 { 1.0 / seconds } else { 0.0 };
    let parts = parts.map(|(part, joules)| Share { part, watts: joules * per_second });
    Energy { parts: parts.to_vec(), watts: joules * per_second, joules }
}
