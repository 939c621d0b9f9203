//! What is found from the ends of operations: weight streams, and the cycles of layers.

use accllm_compiler::Program;
use accllm_device::pair::Watch;
use accllm_device::progress::Progress;
use accllm_hw::config::Config;
use accllm_hw::isa::{Op, Unit};
use accllm_sim::golden::Executed;
use std::collections::{BTreeMap, VecDeque};

/// What is known of an operation before it ends.
struct Begun {
    /// A weight stream longer than the prefetch FIFO.
    long: bool,
    layer: Option<usize>,
}

/// The matrix unit.
#[derive(Default)]
struct Track {
    begun: VecDeque<Begun>,
    /// Cycle in which the operation before ended.
    end: u64,
    /// Whether that was a long weight stream.
    long: bool,
    /// Beats delivered by then.
    beats: u64,
}

/// Beats and cycles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streamed {
    /// Beats that all channels delivered.
    pub beats: u64,
    /// In so many cycles.
    pub cycles: u64,
}

/// Collects the ends of operations.
pub struct Profile<'a> {
    program: &'a Program,
    /// Depth of the prefetch FIFO.
    fifo: usize,
    progress: &'a dyn Progress,
    track: Track,
    layers: BTreeMap<usize, u64>,
    streaming: Streamed,
    beats: u64,
}

impl<'a> Profile<'a> {
    /// Of runs of `program`; `progress` is told of beats.
    pub fn new(program: &'a Program, config: &Config, progress: &'a dyn Progress) -> Self {
        Self {
            program,
            fifo: config.fifo,
            progress,
            track: Track::default(),
            layers: BTreeMap::new(),
            streaming: Streamed::default(),
            beats: 0,
        }
    }

    /// The next run begins.
    pub fn begin(&mut self) {
        self.track = Track::default();
    }

    /// Weight streams that directly follow another one on the matrix unit, both longer than the prefetch FIFO: what is
    /// shorter may have been there before it was needed, and says nothing about memory.
    pub fn streaming(&self) -> Streamed {
        self.streaming
    }

    /// Cycles of the matrix unit in each layer, all runs together.
    pub fn layers(&self) -> &BTreeMap<usize, u64> {
        &self.layers
    }
}

impl Watch for Profile<'_> {
    fn record(&mut self, r: &Executed) {
        if r.unit != Unit::Matrix {
            return;
        }
        let pc = r.pc as usize;
        let layer = self.program.labels.get(pc).and_then(|l| l.layer_at(&r.loop_counters));
        // A MATW has n steps of k value beats in every channel; nothing in a program changes these.
        let beats = self.program.code.get(pc).map_or(0, |i| usize::from(i.n) * usize::from(i.k));
        self.track.begun.push_back(Begun { long: r.op == Op::MATW && beats >= self.fifo, layer });
    }

    fn beats(&mut self, delivered: u64) {
        self.progress.advance(delivered.saturating_sub(self.beats));
        self.beats = delivered;
    }

    fn end(&mut self, cycle: u64, unit: Unit, _: u64) {
        if unit != Unit::Matrix {
            return;
        }
        let track = &mut self.track;
        let Some(begun) = track.begun.pop_front() else { return };
        let cycles = cycle - track.end;
        if let Some(layer) = begun.layer {
            *self.layers.entry(layer).or_default() += cycles;
        }
        if begun.long && track.long {
            self.streaming.beats += self.beats - track.beats;
            self.streaming.cycles += cycles;
        }
        (track.end, track.long, track.beats) = (cycle, begun.long, self.beats);
    }
}
