//! What a timeline consists of, and who takes it.

use super::replay::Step;

/// A row of the timeline. Slices of a row follow each other and do not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Track {
    /// Control instructions in the sequencer.
    Control,
    /// What the sequencer waits for.
    ControlWaits,
    /// Matrix operations in the prefetcher.
    Prefetch,
    /// What the prefetcher waits for.
    PrefetchWaits,
    /// Matrix operations in the tiles.
    Matrix,
    /// What the tiles wait for.
    MatrixWaits,
    /// Matrix operations that the tiles are through with and whose results are not all written.
    Results,
    /// Vector operations.
    Vector,
    /// What the vector unit waits for.
    VectorWaits,
}

impl Track {
    /// All, from top to bottom.
    pub const ALL: [Self; 9] = [
        Self::Control,
        Self::ControlWaits,
        Self::Prefetch,
        Self::PrefetchWaits,
        Self::Matrix,
        Self::MatrixWaits,
        Self::Results,
        Self::Vector,
        Self::VectorWaits,
    ];

    /// Name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::ControlWaits => "control waits",
            Self::Prefetch => "prefetch",
            Self::PrefetchWaits => "prefetch waits",
            Self::Matrix => "matrix",
            Self::MatrixWaits => "matrix waits",
            Self::Results => "matrix results",
            Self::Vector => "vector",
            Self::VectorWaits => "vector waits",
        }
    }
}

/// Why a unit waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Its next operation, the unit being empty, waits for a semaphore, that is for another unit.
    Semaphore,
    /// The tiles wait for beats.
    Stream,
    /// The tiles wait for room for results.
    Output,
    /// The sequencer waits for room in the unit's queue.
    Queue,
    /// The program is being loaded.
    Load,
    /// Traffic of an earlier run is awaited.
    Flush,
}

/// What a slice shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// An instruction; every executed one is one such slice (matrix operations one in the prefetcher, one in the tiles).
    Instruction,
    /// The way of a matrix operation's results.
    Results,
    /// Waiting. Short interruptions are covered: it waited for this many cycles.
    Wait(Cause, u64),
}

/// A piece of a track.
#[derive(Debug, Clone, Copy)]
pub struct Slice<'a> {
    /// Where.
    pub track: Track,
    /// First cycle, counted over all runs.
    pub start: u64,
    /// The cycle after the last.
    pub end: u64,
    /// What it shows.
    pub what: What,
    /// The instruction that runs or waits.
    pub step: Option<&'a Step>,
}

/// Beats at the memory ports in a short time.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// First cycle.
    pub start: u64,
    /// Cycles.
    pub cycles: u64,
    /// Beats in the prefetch FIFO of each channel at the end.
    pub level: &'a [u64],
    /// Beats that came from each channel.
    pub read: &'a [u64],
    /// Beats written to channels.
    pub written: u64,
    /// Beats read from auxiliary memory.
    pub aux_read: u64,
    /// Beats written to auxiliary memory.
    pub aux_written: u64,
}

/// Takes the timeline as it comes. Slices come in the order of their track, not over all tracks.
pub trait Sink {
    /// A slice has ended.
    fn slice(&mut self, slice: &Slice<'_>);
    /// [`super::INTERVAL`] cycles have passed, or a run has ended.
    fn sample(&mut self, sample: &Sample<'_>);
}

/// Takes nothing: for the summary alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Sink for Nothing {
    fn slice(&mut self, _: &Slice<'_>) {}
    fn sample(&mut self, _: &Sample<'_>) {}
}

/// Keeps the slices, for tests.
#[derive(Debug, Clone, Default)]
pub struct Collect {
    /// Track, first cycle, cycle after the last, what, instruction.
    pub slices: Vec<(Track, u64, u64, What, Option<Step>)>,
    /// Beats read from channels, and cycles, of all samples.
    pub sampled: (u64, u64),
}

impl Sink for Collect {
    fn slice(&mut self, s: &Slice<'_>) {
        self.slices.push((s.track, s.start, s.end, s.what, s.step.copied()));
    }

    fn sample(&mut self, s: &Sample<'_>) {
        self.sampled.0 += s.read.iter().sum::<u64>();
        self.sampled.1 += s.cycles;
    }
}
