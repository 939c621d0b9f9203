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
    COEFFICIENTS.get(name).map_or_else(|| unreachable!("hw/cost/energy.toml has no '{name}'"), Coefficient::range)
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

/// What an engine has that takes energy. A configuration has it by [`Engine::new`]; a published one by hand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Engine {
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

impl Engine {
    /// Of a configuration on a card.
    pub fn new(config: &Config, area: &Area, card: &Card) -> Self {
        let part = |p| area.part(p);
        let ports = (config.channels as f64 / card.memory.ports.min(32) as f64).min(1.0);
        let added = card.added.total();
        let paths = Resources { lut: added.lut, ff: added.ff, bram: added.bram, ..Resources::default() } * ports;
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
    let engine = Engine::new(config, &super::area(config), card);
    let idle = Range { low: card.idle.low, value: card.idle.value, high: card.idle.high };
    power(&engine, activity, idle, [card.memory.kind, card.aux.kind])
}

/// Power of an engine in a run, with memories of these kinds behind its channels and its auxiliary port.
pub fn power(engine: &Engine, a: &Activity, idle: Range, memories: [Dram; 2]) -> Energy {
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
    let others = (engine.matrix.dsp - engine.multipliers).max(0.0) * a.mat_busy + engine.vector.dsp * a.vec_busy;
    let all = engine.matrix + engine.vector + engine.rest;
    let uram = engine.fifo_words * a.beats_read + engine.tile_words * a.mat_busy + engine.vector_words * a.vec_busy;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::{PUBLISHED, area};
    use accllm_hw::{card, config};

    fn of(activity: Activity) -> Energy {
        energy(config::find("u280").unwrap(), &activity, card::find("u280").unwrap())
    }

    fn watts(energy: &Energy, part: &str) -> Range {
        energy.parts.iter().find(|p| p.part == part).unwrap_or_else(|| panic!("no {part}")).watts
    }

    /// A token of llama2-7b with 2048 before it, as docs/performance.md has it: 1.07 million cycles, 93% of them with a
    /// beat at each channel.
    const TOKEN: Activity = Activity {
        cycles: 1.07e6,
        mat_busy: 0.9e6,
        vec_busy: 0.3e6,
        channel_beats: 32.0 * 0.93e6,
        beats_read: 32.0 * 0.93e6,
        aux_beats: 500.0,
        formats: [0.75, 0.05, 0.2],
    };

    #[test]
    fn coefficients_are_sound() {
        for (name, c) in &*COEFFICIENTS {
            assert!(c.range().sound() && c.low > 0.0, "{name}");
            assert!(["pJ", "fJ", "pJ/bit", "share"].contains(&&c.unit[..]), "{name}: {}", c.unit);
            assert!(c.source.len() > 10, "{name} has no source");
        }
    }

    #[test]
    fn power_is_rest_and_what_happens() {
        let rest = of(Activity { cycles: 225e6, ..Activity::default() });
        let idle = &card::find("u280").unwrap().idle;
        assert!((watts(&rest, "card at rest").value - idle.value).abs() < 1e-9);
        // A second at the configuration's clock.
        assert!((rest.joules.value - rest.watts.value).abs() < 1e-9);
        // By hand: 20 fJ for each flip-flop of the engine and of the paths to memory.
        let ff = area(config::find("u280").unwrap()).total.ff + card::find("u280").unwrap().added.total().ff;
        assert!((watts(&rest, "clock").value - 20e-15 * ff * 225e6).abs() < 1e-9);
        for part in ["channel memory", "auxiliary memory", "multipliers", "UltraRAM", "block RAM"] {
            assert_eq!(watts(&rest, part), Range::default(), "{part}");
        }
        // 14.4 GB/s at each of 32 channels: 4.4 pJ a bit.
        let beats = 32.0 * 225e6;
        let full = of(Activity { cycles: 225e6, channel_beats: beats, ..Activity::default() });
        assert!((watts(&full, "channel memory").value - 460.8e9 * 8.0 * 4.4e-12).abs() < 1e-6);
    }

    #[test]
    fn a_token_is_the_sum_of_its_parts_and_grows_with_each() {
        let base = of(TOKEN);
        assert!(base.watts.sound() && base.parts.iter().all(|p| p.watts.sound()));
        let sum: Range = base.parts.iter().map(|p| p.watts).sum();
        assert!((sum.value - base.watts.value).abs() < 1e-9);
        assert!((25.0..80.0).contains(&base.watts.value), "{}", base.watts);
        for more in [
            Activity { mat_busy: 1.0e6, ..TOKEN },
            Activity { vec_busy: 0.5e6, ..TOKEN },
            Activity { channel_beats: 33.0 * 0.93e6, ..TOKEN },
            Activity { beats_read: 33.0 * 0.93e6, ..TOKEN },
            Activity { aux_beats: 1e6, ..TOKEN },
            Activity { formats: [0.7, 0.1, 0.2], ..TOKEN },
        ] {
            let more = of(more);
            assert!(more.joules.low > base.joules.low && more.joules.high > base.joules.high);
        }
    }

    #[test]
    fn runs_one_after_the_other_add_up() {
        let other = Activity { cycles: 2e6, formats: [0.2, 0.3, 0.5], ..TOKEN };
        let (a, b, both) = (of(TOKEN), of(other), of(TOKEN.and(&other)));
        assert!((a.joules.value + b.joules.value - both.joules.value).abs() < 1e-9 * both.joules.value);
        assert!((both.watts.value * 3.07e6 / 225e6 - both.joules.value).abs() < 1e-9);
    }

    /// What others measured of cards is within what the estimate says of their designs, or of a card at rest and ours.
    #[test]
    fn published_power_is_in_the_range() {
        let card = card::find("u280").unwrap();
        let mut compared = 0;
        for system in PUBLISHED.iter().filter(|s| s.basis.contains("card")) {
            if let Some(design) = &system.design {
                let watts = design.power(card).watts;
                assert!(watts.holds(system.watts), "{}: {watts}, published {}", system.name, system.watts);
                compared += 1;
            }
            assert!(system.watts > card.idle.low, "{}: less than a card at rest", system.name);
        }
        assert!(compared > 0);
    }
}
