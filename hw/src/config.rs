//! Named engine configurations. What is promised (lint, bit-exactness, cycles) is promised per name.

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

/// Parameters of one engine. All counts are powers of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Name on the command line.
    pub name: &'static str,
    /// Memory channels = tiles (C).
    pub channels: usize,
    /// Token lanes per tile (at least 2: the halves of a 16-bit probability use two).
    pub lanes: usize,
    /// Elements per cycle of the vector unit (V). `channels ≤ V ≤ 32`, `V ≥ 8`.
    pub vec: usize,
    /// Depth of a channel's prefetch FIFO, beats.
    pub fifo: usize,
    /// Vector memory, 32-bit elements.
    pub vmem: usize,
    /// Activation buffer, words of `COLS` int8 per lane.
    pub act: usize,
    /// Score buffer, elements per lane.
    pub sbuf: usize,
    /// Scalar file entries.
    pub scalars: usize,
    /// Instruction memory, instructions.
    pub imem: usize,
    /// Largest token block of a prefill step; lane rows (tokens x GQA group, x 2 where wide) are at most `lane_rows`.
    pub block: usize,
    /// Accumulator rows per tile.
    pub lane_rows: usize,
    /// Clock of the target, MHz.
    pub mhz: usize,
}

impl Config {
    /// Banks of the score buffer, elements in a row: `max(2C, V)`.
    pub fn score_banks(&self) -> usize {
        (2 * self.channels).max(self.vec)
    }

    /// Tokens of a K beat for a padded head dimension of 64 or 128.
    pub fn tokens_per_beat(&self, hdp: usize) -> usize {
        MACS / hdp
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
}

/// All named configurations.
pub const CONFIGS: [Config; 3] = [
    Config {
        name: "tiny",
        channels: 2,
        lanes: 2,
        vec: 8,
        fifo: 64,
        vmem: 1 << 16,
        act: 1 << 9,
        sbuf: 1 << 12,
        scalars: 256,
        imem: 1024,
        block: 8,
        lane_rows: 32,
        mhz: 225,
    },
    Config {
        name: "edge",
        channels: 4,
        lanes: 4,
        vec: 16,
        fifo: 128,
        vmem: 1 << 17,
        act: 1 << 10,
        sbuf: 1 << 13,
        scalars: 512,
        imem: 1024,
        block: 16,
        lane_rows: 64,
        mhz: 225,
    },
    Config {
        name: "u280",
        channels: 32,
        lanes: 2,
        vec: 32,
        fifo: 4096,
        vmem: 1 << 20,
        act: 1 << 12,
        sbuf: 1 << 16,
        scalars: 2048,
        imem: 8192,
        block: 16,
        lane_rows: 64,
        mhz: 225,
    },
];

/// The configuration of that name, or the list of names.
///
/// # Errors
/// The name is not one of [`CONFIGS`].
pub fn find(name: &str) -> Result<&'static Config, String> {
    CONFIGS.iter().find(|c| c.name == name).ok_or_else(|| {
        let names: Vec<_> = CONFIGS.iter().map(|c| c.name).collect();
        format!("no configuration named '{name}'; there are: {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_keep_the_rules_of_the_rtl() {
        for c in &CONFIGS {
            for n in
                [c.channels, c.lanes, c.vec, c.fifo, c.vmem, c.act, c.sbuf, c.scalars, c.imem, c.lane_rows]
            {
                assert!(n.is_power_of_two(), "{}", c.name);
            }
            assert!(c.lanes >= 2 && c.channels <= c.vec && (8..=32).contains(&c.vec), "{}", c.name);
            assert!(c.score_banks() <= 2 * c.channels.max(c.vec));
        }
    }
}
