//! Cycles of waiting, joined to slices.

use super::replay::Step;
use super::sink::{Cause, Sink, Slice, Track, What};
use std::ops::Range;

/// Interruptions of at most this many cycles do not end a slice.
const GAP: u64 = 8;

struct Open {
    cause: Cause,
    step: Option<Step>,
    start: u64,
    end: u64,
    cycles: u64,
}

/// The waits of a unit.
pub struct Waits {
    track: Track,
    open: Option<Open>,
}

impl Waits {
    pub fn new(track: Track) -> Self {
        Self { track, open: None }
    }

    /// The unit waits in these cycles.
    #[inline]
    pub fn cycles(&mut self, now: Range<u64>, cause: Cause, step: Option<Step>, sink: &mut impl Sink) {
        if now.is_empty() {
            return;
        }
        let cycles = now.end - now.start;
        if let Some(o) = &mut self.open
            && o.cause == cause
            && o.step == step
            && now.start.saturating_sub(o.end) <= GAP
        {
            o.end = now.end;
            o.cycles += cycles;
            return;
        }
        self.flush(sink);
        self.open = Some(Open { cause, step, start: now.start, end: now.end, cycles });
    }

    /// Reports what is open.
    pub fn flush(&mut self, sink: &mut impl Sink) {
        if let Some(Open { cause, step, start, end, cycles }) = self.open.take() {
            let what = What::Wait(cause, cycles);
            sink.slice(&Slice { track: self.track, start, end, what, step: step.as_ref() });
        }
    }
}
