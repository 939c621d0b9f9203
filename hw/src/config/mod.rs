//! Engine configurations: what a person chooses about the hardware. See `docs/configurations.md`.
//!
//! A configuration is a value. Three are built in ([`CONFIGS`], from `hw/configs`), four more for other cards ([`TUNED`]), others are files of the same kind
//! ([`open`]). Their fields stand once, in the table below: the struct, the file, the RTL's parameters, its check at
//! elaboration, the registers that tell them and the reference page are all made from it.

mod file;
pub mod random;
mod rule;

pub use file::{CONFIGS, ConfigError, NAMES, TUNED, card_of, find, open, parse};
pub use rule::{RELATIONS, Relation, Rule, Violation};

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};

/// Bits of a memory beat; every channel delivers at most one per cycle.
pub const BEAT_BITS: usize = 512;
/// Bytes of a beat.
pub const BEAT_BYTES: usize = BEAT_BITS / 8;
/// Multipliers per tile and lane: kept weights of a W2 2:4 beat, values of a 4-bit beat.
pub const MACS: usize = 128;
/// Columns of a W2 beat, and of one activation word.
pub const COLS: usize = 256;
/// Columns that share a weight scale.
pub const GROUP: usize = 32;
/// Results (weight rows, K tokens) per parameter beat.
pub const PARAMS: usize = 16;
/// Longest name of a configuration; it becomes part of the names of modules, kernels and files.
pub const NAME_BYTES: usize = 32;

/// A configuration's name.
pub type Name = ArrayString<NAME_BYTES>;

/// A field of [`Config`].
#[derive(Debug)]
pub struct Field {
    /// Name in the file.
    pub name: &'static str,
    /// Parameter of `accllm_core`; `None` where only compiler and reports use it.
    pub param: Option<&'static str>,
    /// Values that it may have on its own.
    pub rule: Rule,
    /// Meaning.
    pub doc: &'static str,
}

macro_rules! fields {
    ($($name:ident: $param:expr, $rule:expr, $doc:literal;)+) => {
        /// One engine.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Config {
            /// Name: of its file without `.toml`.
            pub name: Name,
            $(#[doc = $doc] pub $name: usize,)+
        }

        /// The fields, in the order of files and registers.
        pub const FIELDS: &[Field] =
            &[$(Field { name: stringify!($name), param: $param, rule: $rule, doc: $doc },)+];

        /// What a file holds: every field, perhaps a card, nothing else.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Values {
            card: Option<Name>,
            $($name: usize,)+
        }

        impl Values {
            fn named(self, name: Name) -> Config {
                Config { name, $($name: self.$name,)+ }
            }
        }

        impl Config {
            /// Values, in the order of [`FIELDS`].
            pub fn values(&self) -> [usize; FIELDS.len()] {
                [$(self.$name,)+]
            }

            /// The same configuration with other values, in the order of [`FIELDS`].
            #[must_use]
            pub fn with_values(&self, values: [usize; FIELDS.len()]) -> Self {
                let [$($name,)+] = values;
                Self { name: self.name, $($name,)+ }
            }
        }
    };
}

fields! {
    channels: Some("CHANNELS"), Rule::power(2, 32), "Memory channels, each with a tile of its own (C).";
    lanes: Some("LANES"), Rule::power(2, 16), "Token lanes of a tile: rows of activations that one weight beat is multiplied with at once. At least 2, because the halves of a 16-bit probability use two.";
    vec: Some("VEC"), Rule::power(8, 32), "Elements that the vector unit takes in a cycle (V).";
    fifo: Some("FIFO"), Rule::power(16, 16384), "Depth of a channel's prefetch FIFO, beats.";
    burst: Some("BURST"), Rule::power(4, 64), "Longest read burst of a channel, beats; 64 are the 4 KB that AXI allows.";
    writes: Some("WRITES"), Rule::power(2, 64), "Writes of a channel that may be without an answer.";
    vmem: Some("VMEM"), Rule::power(1 << 12, 1 << 24), "Vector memory, 32-bit elements.";
    act: Some("ACT"), Rule::power(1 << 6, 1 << 16), "Activation buffer, words of 256 int8 columns in each lane.";
    sbuf: Some("SBUF"), Rule::power(1 << 9, 1 << 20), "Score buffer, elements in each lane.";
    scalars: Some("SCALARS"), Rule::power(32, 1 << 16), "Entries of the scalar file.";
    imem: Some("IMEM"), Rule::power(64, 1 << 15), "Instruction memory, instructions.";
    lane_rows: Some("LANE_ROWS"), Rule::power(4, 128), "Accumulator rows of a tile: tokens of a group x query heads of a KV head, x 2 with 16-bit probabilities, at most.";
    link: Some("LINK"), Rule::range(0, 8), "Register stages on the way to the tiles and back, so that tiles can stand on other dies than the memories' ports.";
    mat_queue: Some("MAT_QUEUE"), Rule::power(2, 1024), "Depth of the issue queues of prefetcher and matrix unit, operations.";
    vec_queue: Some("VEC_QUEUE"), Rule::power(2, 1024), "Depth of the vector unit's issue queue, operations.";
    block: None, Rule::range(1, 256), "Most tokens of a prefill step.";
    mhz: None, Rule::range(1, 1000), "Clock of the target, MHz; turns cycles into seconds in reports.";
}

impl Config {
    /// Banks of the score buffer, elements in a row: `max(2C, V)`.
    pub fn score_banks(&self) -> usize {
        (2 * self.channels).max(self.vec)
    }

    /// Keys that share a beat, of a padded head dimension.
    pub fn tokens_per_beat(&self, hdp: usize) -> usize {
        MACS.div_ceil(hdp)
    }

    /// Slots are allotted in multiples of this: a V block, and a full step of K over the channels.
    pub fn slot_block(&self, hdp: usize) -> usize {
        GROUP.max(self.channels * self.tokens_per_beat(hdp))
    }

    /// Lane-row steps for `rows` lane rows.
    pub fn lane_steps(&self, rows: usize) -> usize {
        rows.div_ceil(self.lanes)
    }

    /// V's padded head dimension: whole steps of 4 dims a channel, and whole vector words.
    pub fn v_dim(&self, hd: usize) -> usize {
        hd.next_multiple_of((4 * self.channels).max(self.vec))
    }

    /// Fields that are parameters of `accllm_core`, in the order of [`FIELDS`]: `(field, parameter, value)`.
    pub fn params(&self) -> impl Iterator<Item = (&'static str, &'static str, usize)> {
        let fields = FIELDS.iter().zip(self.values());
        fields.filter_map(|(f, value)| Some((f.name, f.param?, value)))
    }

    /// The file.
    pub fn to_toml(&self) -> String {
        let lines = FIELDS.iter().zip(self.values()).map(|(f, v)| format!("# {}\n{} = {v}\n", f.doc, f.name));
        lines.collect()
    }
}
