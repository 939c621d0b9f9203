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
    /// The card's data and the compiler's memory map.
    Card,
    /// The engine in Verilator, compared bit for bit.
    Rtl,
}

impl Rung {
    /// The word that a number of this rung carries.
    pub fn label(self) -> &'static str {
        match self {
            Self::Bound | Self::Card => "estimated",
            Self::Rtl => "simulated",
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

/// A metric that there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Name, without that of its work.
    pub name: &'static str,
    /// Unit.
    pub unit: &'static str,
    /// What made it.
    pub rung: Rung,
    /// Whether there is one for each work; otherwise one for the point.
    pub of_work: bool,
    /// Needs a card.
    pub of_card: bool,
    /// Meaning.
    pub doc: &'static str,
}

impl Known {
    /// It, with a value.
    pub fn metric(&self, value: f64) -> Metric {
        let label = Cow::Borrowed(self.rung.label());
        Metric { value, unit: Cow::Borrowed(self.unit), rung: self.rung, label }
    }
}

/// The metric of that name in a list.
pub fn known<'a>(list: &'a [Known], name: &str) -> Option<&'a Known> {
    list.iter().find(|k| k.name == name)
}

const fn of(name: &'static str, unit: &'static str, rung: Rung, of_work: bool, doc: &'static str) -> Known {
    Known { name, unit, rung, of_work, of_card: false, doc }
}

/// All metrics.
pub const KNOWN: &[Known] = &[
    of(
        "tokens_per_s",
        "tokens/s",
        Rung::Bound,
        true,
        "tokens that go in or come out, all sequences together",
    ),
    of("ms", "ms", Rung::Bound, true, "a token of each sequence, or the whole prompt"),
    of("cycles", "cycles", Rung::Bound, true, "the same"),
    of("memory_cycles", "cycles", Rung::Bound, true, "of these, what the memory's beats take alone"),
    of("matrix_cycles", "cycles", Rung::Bound, true, "of these, what the multiplications take alone"),
    of("beats", "beats", Rung::Bound, true, "64-byte beats that a channel reads for it"),
    of("weight_beats", "beats", Rung::Bound, true, "of these, weights"),
    of("kv_beats", "beats", Rung::Bound, true, "of these, keys and values"),
    of(
        "multiplications",
        "multiplications",
        Rung::Bound,
        true,
        "of kept weights and visible keys and values",
    ),
    of("mac_utilisation", "share", Rung::Bound, true, "these over all multipliers and cycles"),
    of("bits_per_weight", "bits", Rung::Bound, true, "of the decoder layers' linear layers, scales included"),
    of("instructions", "instructions", Rung::Bound, true, "of the program"),
    of("channel_mib", "MiB", Rung::Card, false, "behind a channel, the largest of the works"),
    of("aux_mib", "MiB", Rung::Card, false, "behind the auxiliary port, the largest of the works"),
    of("peak_gb_per_s", "GB/s", Rung::Card, false, "64 bytes a cycle and channel"),
    Known {
        of_card: true,
        ..of("fits", "yes or no", Rung::Card, false, "1 where the card has ports, bytes and clock for it")
    },
    Known { of_card: true, ..of("price_usd", "US dollars", Rung::Card, false, "of the card") },
];
