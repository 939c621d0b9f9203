//! Metrics of a point: values with unit, rung and label. One type for formulas, models and simulation.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A rung of the ladder of fidelity: what a number was made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    /// Formulas over the compiled program: no schedule faster than this exists.
    Bound,
    /// The program on the timing model of the engine.
    Timing,
    /// The card's data and the compiler's memory map.
    Card,
    /// Fits over open synthesis.
    Area,
    /// Counts of events times energies with sources.
    Energy,
    /// The engine in Verilator, compared bit for bit.
    Rtl,
    /// A real checkpoint, quantized and scored in integers.
    Quality,
}

impl Rung {
    /// The word that a number of this rung carries.
    pub fn label(self) -> &'static str {
        match self {
            Self::Bound | Self::Timing | Self::Card | Self::Area | Self::Energy => "estimated",
            Self::Rtl => "simulated",
            Self::Quality => "measured",
        }
    }
}

/// A number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The value, finite.
    pub value: f64,
    /// Its unit.
    pub unit: Cow<'static, str>,
    /// What it was made by.
    pub rung: Rung,
    /// `estimated`, `simulated` or `measured`.
    pub label: Cow<'static, str>,
}

/// The metrics of a point by name: `decode.tokens_per_s`, `fits`.
pub type Metrics = BTreeMap<String, Metric>;

/// What a metric needs to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// A card.
    Card,
    /// The timing model.
    Timing,
    /// A card and the timing model.
    Both,
    /// A checkpoint.
    Quality,
}

/// A metric that there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Name, without that of its work.
    pub name: &'static str,
    /// Unit.
    pub unit: &'static str,
    /// Whether there is one for each work; otherwise one for the point.
    pub of_work: bool,
    /// What it needs.
    pub needs: Needs,
    /// Meaning.
    pub doc: &'static str,
}

impl Known {
    /// It, with a value that was made by `rung`.
    pub fn metric(&self, value: f64, rung: Rung) -> Metric {
        Metric { value, unit: Cow::Borrowed(self.unit), rung, label: Cow::Borrowed(rung.label()) }
    }
}

/// The metric of that name, of a work or of the point.
pub fn known(name: &str, of_work: bool) -> Option<&'static Known> {
    KNOWN.iter().find(|k| k.name == name && k.of_work == of_work)
}

const fn of_work(name: &'static str, unit: &'static str, doc: &'static str) -> Known {
    Known { name, unit, of_work: true, needs: Needs::Nothing, doc }
}

const fn of_point(name: &'static str, unit: &'static str, needs: Needs, doc: &'static str) -> Known {
    Known { name, unit, of_work: false, needs, doc }
}

const fn powered(known: Known) -> Known {
    Known { needs: Needs::Both, ..known }
}

const fn timed(known: Known) -> Known {
    Known { needs: Needs::Timing, ..known }
}

/// All metrics.
pub const KNOWN: &[Known] = &[
    of_work("tokens_per_s", "tokens/s", "tokens that go in or come out, all sequences together"),
    of_work("ms", "ms", "a token of each sequence, or the whole prompt"),
    of_work("cycles", "cycles", "the same"),
    of_work("mac_utilisation", "share", "useful multiplications over all multipliers and cycles"),
    of_work("memory_cycles", "cycles", "what the memory's beats take at least"),
    of_work("matrix_cycles", "cycles", "what the multiplications take at least"),
    of_work("beats", "beats", "64-byte beats that a channel reads for it"),
    of_work("weight_beats", "beats", "of these, weights"),
    of_work("kv_beats", "beats", "of these, keys and values"),
    of_work("multiplications", "multiplications", "of kept weights, and of visible keys and values"),
    of_work("bits_per_weight", "bits", "of the decoder layers' linear layers, scales included"),
    of_work("instructions", "instructions", "of the program"),
    timed(of_work("matrix_share", "share", "of the cycles, in which the matrix unit computes")),
    timed(of_work("stream_share", "share", "of the cycles, in which it waits for memory")),
    timed(of_work("wait_share", "share", "of the cycles, in which it waits for other units")),
    timed(of_work("vector_share", "share", "of the cycles, in which the vector unit computes")),
    powered(of_work("watts", "W", "of the card while it runs, the likely value")),
    powered(of_work("watts_low", "W", "the same, lower end")),
    powered(of_work("watts_high", "W", "the same, upper end")),
    powered(of_work("joules_per_token", "J/token", "the likely value")),
    Known {
        needs: Needs::Quality,
        ..of_work(
            "perplexity",
            "",
            "of the checkpoint in `[quality]`, with the work's formats and attention shape",
        )
    },
    of_point("watts", "W", Needs::Both, "the largest of the works, the likely value"),
    of_point("lut", "LUTs", Needs::Nothing, "of the engine, those that are memories included"),
    of_point("ff", "flip-flops", Needs::Nothing, "of the engine"),
    of_point("dsp", "DSPs", Needs::Nothing, "of the engine"),
    of_point("bram", "BRAM36", Needs::Nothing, "of the engine"),
    of_point("uram", "URAMs", Needs::Nothing, "of the engine"),
    of_point("lut_percent", "percent", Needs::Card, "of the card's LUTs, shell and paths to memory included"),
    of_point("dsp_percent", "percent", Needs::Card, "of the card's DSPs, likewise"),
    of_point("bram_percent", "percent", Needs::Card, "of the card's block RAMs, likewise"),
    of_point("uram_percent", "percent", Needs::Card, "of the card's UltraRAMs, likewise"),
    of_point("channel_mib", "MiB", Needs::Nothing, "behind a channel, the largest of the works"),
    of_point("aux_mib", "MiB", Needs::Nothing, "behind the auxiliary port, the largest of the works"),
    of_point("peak_gb_per_s", "GB/s", Needs::Nothing, "64 bytes a cycle and channel"),
    of_point("fits", "yes or no", Needs::Card, "1 where the card has ports, bytes, clock and logic for it"),
    of_point("price_usd", "US dollars", Needs::Card, "of the card"),
];
