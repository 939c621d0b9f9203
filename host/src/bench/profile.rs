//! Where a run's cycles went, operation by operation.

use super::Progress;
use crate::device::pair::Watch;
use accllm_compiler::Program;
use accllm_hw::config::Config;
use accllm_hw::isa::{Op, Unit};
use accllm_sim::golden::Executed;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// Cycles of one operation of the program, over all layers, heads and tokens. *Simulated*.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Operation {
    /// `matrix` or `vector`.
    pub unit: &'static str,
    /// Its label, as in `accllm disasm`.
    pub operation: String,
    /// Times it ran.
    pub count: u64,
    /// Cycles from the end of the unit's operation before it to its own end, waiting included.
    pub cycles: u64,
    /// Share of all cycles.
    pub share: f64,
}

/// What is known of an operation before it ends.
struct Begun {
    pc: usize,
    /// A weight stream longer than the prefetch FIFO.
    long: bool,
    layer: Option<usize>,
}

/// One unit.
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
    tracks: [Track; 2],
    operations: BTreeMap<(bool, usize), (u64, u64)>,
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
            tracks: Default::default(),
            operations: BTreeMap::new(),
            layers: BTreeMap::new(),
            streaming: Streamed::default(),
            beats: 0,
        }
    }

    /// The next run begins.
    pub fn begin(&mut self) {
        self.tracks = Default::default();
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

    /// All operations, those of the matrix unit first, in the order of the program.
    pub fn operations(&self, cycles: u64) -> Vec<Operation> {
        let mut out: Vec<Operation> = Vec::new();
        for (&(vector, pc), &(count, own)) in &self.operations {
            let unit = if vector { "vector" } else { "matrix" };
            let name = self.program.labels.get(pc).map_or("?", |l| &l.op);
            match out.iter_mut().find(|o| (o.unit, o.operation.as_str()) == (unit, name)) {
                Some(o) => (o.count, o.cycles) = (o.count + count, o.cycles + own),
                None => {
                    out.push(Operation { unit, operation: name.into(), count, cycles: own, share: 0.0 });
                }
            }
        }
        out.iter_mut().for_each(|o| o.share = o.cycles as f64 / cycles.max(1) as f64);
        out
    }
}

impl Watch for Profile<'_> {
    fn record(&mut self, r: &Executed) {
        let pc = r.pc as usize;
        let layer = self.program.labels.get(pc).and_then(|l| l.layer_at(&r.loop_counters));
        // A MATW has n steps of k value beats in every channel; nothing in a program changes these.
        let beats = self.program.code.get(pc).map_or(0, |i| usize::from(i.n) * usize::from(i.k));
        let long = r.op == Op::MATW && beats >= self.fifo;
        let track = &mut self.tracks[usize::from(r.unit == Unit::Vector)];
        track.begun.push_back(Begun { pc, long, layer });
    }

    fn beats(&mut self, delivered: u64) {
        self.progress.advance(delivered.saturating_sub(self.beats));
        self.beats = delivered;
    }

    fn end(&mut self, cycle: u64, unit: Unit, _: u64) {
        let vector = unit == Unit::Vector;
        let track = &mut self.tracks[usize::from(vector)];
        let Some(begun) = track.begun.pop_front() else { return };
        let cycles = cycle - track.end;
        let sum = self.operations.entry((vector, begun.pc)).or_default();
        *sum = (sum.0 + 1, sum.1 + cycles);
        if let (Unit::Matrix, Some(layer)) = (unit, begun.layer) {
            *self.layers.entry(layer).or_default() += cycles;
        }
        if begun.long && track.long {
            self.streaming.beats += self.beats - track.beats;
            self.streaming.cycles += cycles;
        }
        (track.end, track.long, track.beats) = (cycle, begun.long, self.beats);
    }
}
