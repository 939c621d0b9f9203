//! What an engine does in a stretch of time: the events that take energy.

use accllm_sim::engine::Counters;
use accllm_sim::timing::{Events, Report};
use serde::Serialize;

/// Formats of what the tiles multiply, in the order of [`Activity::formats`].
pub const FORMATS: [&str; 3] = ["w2", "w4", "kv"];

/// Events of a run, out of the counter registers: of the RTL, of a model of its timing, or of a card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Activity {
    /// Cycles of the run.
    pub cycles: f64,
    /// Cycles in which the tiles multiply.
    pub mat_busy: f64,
    /// Cycles in which the vector unit runs an operation.
    pub vec_busy: f64,
    /// Beats of 64 bytes at all channels, read and written.
    pub channel_beats: f64,
    /// Those of them that were read: they pass the prefetch FIFOs.
    pub beats_read: f64,
    /// Beats at the auxiliary port.
    pub aux_beats: f64,
    /// Shares of the tiles' work by format: two-bit weights, four-bit weights, keys and values. They sum up to 1.
    pub formats: [f64; 3],
}

impl Activity {
    /// From a run of the timing model.
    pub fn of(report: &Report) -> Self {
        Self::new(&report.counters, formats(&report.events))
    }

    /// From the counters of a run, with the shares of the formats (as [`Activity::of`] finds them).
    pub fn new(c: &Counters, formats: [f64; 3]) -> Self {
        Self {
            cycles: c.cycles as f64,
            mat_busy: c.mat_busy as f64,
            vec_busy: c.vec_busy as f64,
            channel_beats: (c.beats_read + c.beats_written) as f64,
            beats_read: c.beats_read as f64,
            aux_beats: (c.aux_beats_read + c.aux_beats_written) as f64,
            formats,
        }
    }

    /// Both, one after the other.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let work = self.mat_busy + other.mat_busy;
        let share = |i: usize| match work {
            0.0 => self.formats[i],
            _ => (self.formats[i] * self.mat_busy + other.formats[i] * other.mat_busy) / work,
        };
        Self {
            cycles: self.cycles + other.cycles,
            mat_busy: work,
            vec_busy: self.vec_busy + other.vec_busy,
            channel_beats: self.channel_beats + other.channel_beats,
            beats_read: self.beats_read + other.beats_read,
            aux_beats: self.aux_beats + other.aux_beats,
            formats: std::array::from_fn(share),
        }
    }
}

/// Shares of the multiplications by format.
fn formats(events: &Events) -> [f64; 3] {
    let macs = [events.macs_w2, events.macs_w4, events.macs_kv].map(|n| n as f64);
    let all: f64 = macs.iter().sum();
    macs.map(|n| if all > 0.0 { n / all } else { 0.0 })
}
