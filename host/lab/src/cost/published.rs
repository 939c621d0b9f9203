//! Power of published systems (`hw/cost/published.toml`), and what the estimate says of them.

use super::energy::{PoweredParts, power};
use super::{Activity, Energy, Range, Resources};
use accllm_hw::card::Card;
use accllm_hw::config::BEAT_BYTES;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// A system on a U280.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub what: String,
    /// Watts of the card.
    pub watts: f64,
    /// Decoded tokens a second.
    pub tokens_per_s: Option<f64>,
    /// Tokens a joule.
    pub tokens_per_joule: Option<f64>,
    /// How the power was found.
    pub basis: String,
    /// Where the figures are from.
    pub source: String,
    /// Its size, where it is known.
    pub design: Option<Design>,
}

/// Size and load of a published system.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Design {
    /// Clock.
    pub mhz: f64,
    /// LUTs.
    pub lut: f64,
    /// Flip-flops.
    pub ff: f64,
    /// Multipliers.
    pub dsp: f64,
    /// Block RAMs of 36 Kb.
    pub bram: f64,
    /// UltraRAMs.
    pub uram: f64,
    /// Share of the memory's peak rate that it uses: also that of its cycles in which it is taken to compute.
    pub memory_share: f64,
}

#[derive(Deserialize)]
struct File {
    system: Vec<System>,
}

/// The systems.
pub static PUBLISHED: LazyLock<Vec<System>> = LazyLock::new(|| {
    // The file is part of the program; a test reads it.
    let file: File = toml::from_str(include_str!("../../../../hw/cost/published.toml"))
        .unwrap_or_else(|e| unreachable!("hw/cost/published.toml: {e}"));
    file.system
});

impl Design {
    /// Power that the estimate gives it on a card. Every block and every multiplier works in a busy cycle: nothing more
    /// is known of it.
    pub fn power(&self, card: &Card) -> Energy {
        let hz = self.mhz * 1e6;
        let busy = self.memory_share;
        let engine = PoweredParts {
            matrix: Resources { lut: self.lut, ff: self.ff, dsp: self.dsp, ..Resources::default() },
            vector: Resources::default(),
            rest: Resources::default(),
            multipliers: self.dsp,
            fifo_words: 0.0,
            tile_words: self.uram,
            vector_words: 0.0,
            bram_words: self.bram,
            hz,
        };
        let bytes = card.memory.gb_per_s * 1e9 * card.memory.channels as f64 * self.memory_share;
        let beats = bytes / BEAT_BYTES as f64;
        let activity = Activity {
            cycles: hz,
            mat_busy: busy * hz,
            vec_busy: 0.0,
            channel_beats: beats,
            beats_read: beats,
            aux_beats: 0.0,
            formats: [0.0, 1.0, 0.0],
        };
        let idle = Range { low: card.idle.low, value: card.idle.value, high: card.idle.high };
        power(&engine, &activity, idle, [card.memory.kind, card.aux.kind])
    }
}
