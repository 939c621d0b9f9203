//! The operations of a unit, from its queue to their end.

use super::replay::Step;
use super::sink::{Sink, Slice, Track, What};
use std::collections::VecDeque;

struct Open {
    step: Step,
    /// First cycle in the unit, or after the tiles were through.
    start: u64,
}

/// A unit's queue and what runs in it, oldest first.
#[derive(Default)]
pub struct Line {
    ops: VecDeque<Open>,
    running: usize,
    /// Where the last slice ended.
    end: u64,
}

impl Line {
    /// A run begins.
    pub fn begin(&mut self, now: u64) {
        self.ops.clear();
        (self.running, self.end) = (0, now);
    }

    /// The sequencer sent an operation.
    pub fn push(&mut self, step: Step) {
        self.ops.push_back(Open { step, start: 0 });
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// The oldest operation.
    pub fn oldest(&self) -> Option<Step> {
        self.get(0)
    }

    /// An operation, counted from the oldest.
    pub fn get(&self, i: usize) -> Option<Step> {
        self.ops.get(i).map(|o| o.step)
    }

    /// The next operation starts.
    pub fn start(&mut self, at: u64) {
        if let Some(open) = self.ops.get_mut(self.running) {
            open.start = at;
            self.running += 1;
        }
    }

    /// The tiles are through with an operation.
    pub fn tiles_end(&mut self, i: usize, end: u64) {
        if let Some(open) = self.ops.get_mut(i) {
            open.start = end;
        }
    }

    /// The oldest operation is done at `end`.
    pub fn done(&mut self, end: u64, track: Track, sink: &mut impl Sink) {
        let Some(Open { step, start }) = self.ops.pop_front() else { return };
        self.running = self.running.saturating_sub(1);
        let start = start.max(self.end).min(end);
        self.end = end;
        let what = if track == Track::Results { What::Results } else { What::Instruction };
        sink.slice(&Slice { track, start, end, what, step: Some(&step) });
    }
}
