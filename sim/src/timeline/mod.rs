//! When which instruction ran on which unit, and what the units waited for: an observer that turns the cycles of runs
//! into slices and samples for a [`Sink`], and adds them up ([`Summary`]).
//!
//! ```no_run
//! # use accllm_sim::{engine::Engine, timeline::{Timeline, Collect}};
//! # use accllm_hw::isa::Instr;
//! # fn run(engine: &mut Engine, program: &[Instr]) -> Result<(), Box<dyn std::error::Error>> {
//! let mut timeline = Timeline::new(program, engine.config().channels, Collect::default());
//! timeline.begin_run();
//! let report = engine.run([0; 15], 1_000_000, &mut timeline)?;
//! timeline.end_run();
//! assert_eq!(timeline.summary().cycles, report.cycles);
//! # Ok(())
//! # }
//! ```

mod replay;
mod sink;
mod summary;
mod unit;
mod waits;

pub use replay::Step;
pub use sink::{Cause, Collect, Nothing, Sample, Sink, Slice, Track, What};
pub use summary::{MatrixCycles, OpCycles, Summary, VectorCycles};

use crate::engine::{Activity, Observer, Queue};
use crate::lockstep::Event;
use accllm_hw::isa::{Instr, Unit};
use replay::Replay;
use std::ops::{ControlFlow, Range};
use unit::Line;
use waits::Waits;

/// Cycles between two samples of the channels.
pub const INTERVAL: u64 = 256;

/// Cycles of an instruction in the sequencer when nothing is in its way.
const STEP: u64 = 2;

/// Follows runs of one program.
pub struct Timeline<S> {
    sink: S,
    summary: Summary,
    replay: Replay,
    /// Cycles of all runs so far.
    now: u64,
    /// Where the run began.
    began: u64,
    prefetch: Line,
    matrix: Line,
    vector: Line,
    /// Operations of the matrix unit that the tiles have come to; first and last cycle but one of the newest.
    begun: usize,
    tiles: Range<u64>,
    waits: [Waits; 4],
    /// Where the sequencer came to its instruction.
    fetched: u64,
    level: Vec<u64>,
    arrived: Vec<u64>,
    others: [u64; 3],
    sampled: u64,
}

impl<S: Sink> Timeline<S> {
    /// For runs of `program` on an engine with this many channels.
    pub fn new(program: &[Instr], channels: usize, sink: S) -> Self {
        let waits = [Track::ControlWaits, Track::PrefetchWaits, Track::MatrixWaits, Track::VectorWaits];
        Self {
            sink,
            summary: Summary::new(program.len()),
            replay: Replay::new(program),
            now: 0,
            began: 0,
            prefetch: Line::default(),
            matrix: Line::default(),
            vector: Line::default(),
            begun: 0,
            tiles: 0..0,
            waits: waits.map(Waits::new),
            fetched: 0,
            level: vec![0; channels],
            arrived: vec![0; channels],
            others: [0; 3],
            sampled: 0,
        }
    }

    /// What has been added up over all runs.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The sink.
    pub fn sink_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// The sink; the timeline ends.
    pub fn into_sink(self) -> S {
        self.sink
    }

    /// A run is about to begin.
    pub fn begin_run(&mut self) {
        (self.began, self.fetched, self.sampled) = (self.now, self.now, self.now);
        self.replay.begin();
        for line in [&mut self.prefetch, &mut self.matrix, &mut self.vector] {
            line.begin(self.now);
        }
        (self.begun, self.tiles) = (0, self.now..self.now);
        self.level.fill(0);
    }

    /// The run is over, or was broken off: what is still open ends here. Returns its cycles.
    pub fn end_run(&mut self) -> Range<u64> {
        self.end_tiles();
        for (line, track) in [
            (&mut self.prefetch, Track::Prefetch),
            (&mut self.matrix, Track::Results),
            (&mut self.vector, Track::Vector),
        ] {
            while line.running() > 0 {
                line.done(self.now, track, &mut self.sink);
            }
        }
        self.waits.iter_mut().for_each(|w| w.flush(&mut self.sink));
        self.sample(self.now);
        self.began..self.now
    }

    fn wait(&mut self, queue: usize, cause: Cause, step: Option<Step>) {
        self.waits[queue].cycles(self.now..self.now + 1, cause, step, &mut self.sink);
    }

    /// What the sequencer does.
    fn control(&mut self, a: &Activity) {
        if a.flushes() || a.loads() {
            self.wait(0, if a.loads() { Cause::Load } else { Cause::Flush }, None);
            self.fetched = self.now + 2; // and the fetch of the first instruction
            return;
        }
        if !a.executed() {
            return;
        }
        let Some(step) = self.replay.executed(a.pc) else { return };
        self.summary.executed(step.pc);
        let unit = step.op.info().unit;
        match unit {
            Unit::Control => {
                let (start, end) = (self.fetched, self.now + 1);
                let what = What::Instruction;
                self.sink.slice(&Slice { track: Track::Control, start, end, what, step: Some(&step) });
            }
            Unit::Matrix => {
                self.prefetch.push(step);
                self.matrix.push(step);
            }
            Unit::Vector => self.vector.push(step),
        }
        if unit != Unit::Control {
            let free = self.fetched + STEP - 1;
            self.waits[0].cycles(free..self.now, Cause::Queue, Some(step), &mut self.sink);
        }
        self.fetched = self.now + 1;
    }

    /// Units whose operations are one piece.
    fn unit(&mut self, a: &Activity, queue: Queue) {
        let (line, track, at) = match queue {
            Queue::Prefetch => (&mut self.prefetch, Track::Prefetch, 1),
            _ => (&mut self.vector, Track::Vector, 3),
        };
        let step = line.oldest();
        if let Some(step) = step {
            let cycles = self.summary.vector(step.pc, queue);
            match (a.runs(queue), a.waits(queue)) {
                (true, _) => cycles.busy += 1,
                (_, true) => cycles.waiting += 1,
                _ if a.queued(queue) => cycles.starting += 1,
                _ => {}
            }
        }
        if a.starts(queue) {
            line.start(self.now + 1);
        }
        if a.done(queue) {
            line.done(self.now + 1, track, &mut self.sink);
        }
        if a.waits(queue) && !a.runs(queue) {
            self.wait(at, Cause::Semaphore, step);
        }
    }

    /// The matrix unit: what the tiles do is one track, the rest of the operation, until its results are there, another.
    fn tiles(&mut self, a: &Activity) {
        let working = a.computes() || a.side_beat() || a.starves() || a.blocked();
        if working {
            self.tiles.end = self.now + 1;
        }
        let semaphore = a.waits(Queue::Matrix) && !a.runs(Queue::Matrix);
        // What the tiles are at or were at last, else what will come to them first.
        let step = self.matrix.get(self.begun.saturating_sub(1));
        match step {
            Some(step) => self.summary.matrix(step.pc, a, semaphore),
            None => self.summary.matrix_idle += 1,
        }
        if a.starves() {
            self.wait(2, Cause::Stream, step);
        } else if a.blocked() {
            self.wait(2, Cause::Output, step);
        } else if semaphore {
            self.wait(2, Cause::Semaphore, step);
        }
        if a.starts(Queue::Matrix) {
            self.matrix.start(self.now + 1);
        }
        if a.begins() {
            self.end_tiles();
            self.begun += 1;
            self.tiles = self.now + 1..self.now + 2;
        }
        if a.done(Queue::Matrix) {
            if self.begun == 1 {
                self.end_tiles();
            }
            self.begun = self.begun.saturating_sub(1);
            self.matrix.done(self.now + 1, Track::Results, &mut self.sink);
        }
    }

    /// The slice of the operation that the tiles are at, or were at last.
    fn end_tiles(&mut self) {
        let Some(i) = self.begun.checked_sub(1) else { return };
        if self.tiles.is_empty() {
            return; // reported
        }
        let Some(step) = self.matrix.get(i) else { return };
        let Range { start, end } = self.tiles.clone();
        self.matrix.tiles_end(i, end);
        let what = What::Instruction;
        self.sink.slice(&Slice { track: Track::Matrix, start, end, what, step: Some(&step) });
        self.tiles = end..end;
    }

    fn channels(&mut self, a: &Activity) {
        let mut read = a.read & !(1 << self.level.len());
        while read != 0 {
            let c = read.trailing_zeros() as usize;
            self.arrived[c] += 1;
            self.level[c] += 1;
            read &= read - 1;
        }
        let aux = self.level.len();
        self.others[0] += u64::from((a.written & !(1 << aux)).count_ones());
        self.others[1] += a.read >> aux & 1;
        self.others[2] += a.written >> aux & 1;
        if a.pops() {
            self.level.iter_mut().for_each(|l| *l = l.saturating_sub(1));
        }
        if self.now + 1 - self.sampled == INTERVAL {
            self.sample(self.now + 1);
        }
    }

    /// A sample up to cycle `end`.
    fn sample(&mut self, end: u64) {
        let cycles = end - self.sampled;
        if cycles == 0 {
            return;
        }
        let [written, aux_read, aux_written] = self.others;
        self.sink.sample(&Sample {
            start: self.sampled,
            cycles,
            level: &self.level,
            read: &self.arrived,
            written,
            aux_read,
            aux_written,
        });
        self.arrived.fill(0);
        self.others = [0; 3];
        self.sampled = end;
    }
}

impl<S: Sink> Observer for Timeline<S> {
    fn wants(&self) -> bool {
        false
    }

    fn event(&mut self, _: u64, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn end(&mut self, _: u64, _: Unit, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn wants_activity(&self) -> bool {
        true
    }

    fn activity(&mut self, a: &Activity) {
        if !a.in_run() {
            return;
        }
        self.unit(a, Queue::Prefetch);
        self.unit(a, Queue::Vector);
        self.tiles(a);
        // Last: what it sends reaches the units in a later cycle.
        self.control(a);
        if !a.flushes() {
            self.channels(a);
        }
        self.summary.cycles += 1;
        self.now += 1;
    }
}
