//! The memory map that a run must keep to: the limit registers, plus a bound on work.

/// Limits of a run; the fields but `work` are the registers of the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Beats of every channel that may be read.
    pub channel_limit: u32,
    /// First beat of every channel that may be written.
    pub write_low: u32,
    /// One past the last beat that may be written.
    pub write_high: u32,
    /// Beats of auxiliary memory that may be read.
    pub aux_limit: u32,
    /// First beat of auxiliary memory that may be written.
    pub aux_write_low: u32,
    /// One past the last.
    pub aux_write_high: u32,
    /// Work after which a run is given up, about one unit a cycle of an ideal engine.
    pub work: u64,
}

impl Limits {
    /// Everything below `channel` and `aux` beats may be read and written; work is not bounded.
    pub fn open(channel: u32, aux: u32) -> Self {
        Self {
            channel_limit: channel,
            write_low: 0,
            write_high: channel,
            aux_limit: aux,
            aux_write_low: 0,
            aux_write_high: aux,
            work: u64::MAX,
        }
    }
}
