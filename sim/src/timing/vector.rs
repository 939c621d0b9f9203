//! The vector unit: one operation after the other, the next one prepared meanwhile.

use super::append::{Append, Write, Writers};
use super::formula::{Pass, Waits, pass};
use super::latency as lat;
use super::memory::Left;
use super::operands::{Constants, Operation};
use super::port::Port;
use super::queue::Started;
use accllm_hw::config::{BEAT_BYTES, Config};
use accllm_hw::isa::Op;
use std::collections::VecDeque;

/// Beats of a page of memory.
const PAGE: u64 = 64;
/// Outstanding writes of the auxiliary port.
const AUX_WRITES: u64 = 32;

/// An operation's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ran {
    /// From when on it runs, its last step, its `done`.
    pub init: u64,
    pub last: u64,
    pub done: u64,
}

/// What an operation leaves for those after it.
#[derive(Debug, Clone, Copy)]
struct Before {
    op: Op,
    last: u64,
    done: u64,
    /// First of the scalars that a SOFTMAX writes, and how many.
    scalars: (u64, u64),
}

/// The vector unit and the auxiliary port.
#[derive(Debug, Clone)]
pub(super) struct Vector {
    config: Config,
    before: Option<Before>,
    /// From when on the front takes an operation: its own time, and the end of the scan of a SOFTMAX.
    free: u64,
    scan: u64,
    aux: Port,
    writers: Writers,
    append: Option<Append>,
}

impl Vector {
    pub fn new(config: &Config, left: &Left, age: u64) -> Self {
        Self {
            config: *config,
            before: None,
            free: 0,
            scan: 0,
            aux: Port::new(&left.aux, age),
            writers: Writers::new(config),
            append: None,
        }
    }

    /// The auxiliary port, at the end of the run.
    pub fn port(self) -> Port {
        self.aux
    }

    /// From when on the unit takes an operation: none while the scan of a SOFTMAX goes on.
    pub fn free(&self) -> u64 {
        self.free.max(self.scan)
    }

    /// Beats that the loader of `instructions` reads: from its request in cycle `at` to the cycle of `done`.
    pub fn load_program(&mut self, at: u64, beat: u64, instructions: u64) -> u64 {
        let first = self.beats(at + 4, beat, instructions.div_ceil(2)).0;
        first + lat::LOADER[1] + instructions + lat::LOADER[2] - 1
    }

    /// Cycles of the first and last of `beats` beats, the first address being offered in `at`.
    fn beats(&mut self, at: u64, beat: u64, beats: u64) -> (u64, u64) {
        let (mut from, mut left, mut offer) = (beat, beats, at);
        while left > 0 {
            let n = (PAGE - from % PAGE).min(left);
            self.aux.read(offer, from * BEAT_BYTES as u64, n);
            while self.aux.waits() {
                self.aux.advance(offer);
                offer += 1;
            }
            offer = (offer + lat::AUX_ADDRESS[1]).max(self.aux.accepted + 1);
            from += n;
            left -= n;
        }
        self.aux.settle();
        self.aux.pop_all().unwrap_or((at, at))
    }

    /// Runs an operation that the unit has taken.
    /// `None` for one that writes to the channels: [`Vector::appended`] gives its times.
    pub fn run(&mut self, s: &Started, constants: &Constants) -> Option<Ran> {
        let o = &s.operation;
        let before = self.before;
        let idle = before.map_or(0, |b| b.done);
        let Some(p) = pass(o, &self.config, constants) else {
            let init = (s.at + lat::SETUP).max(idle);
            self.free = init + 1;
            let ran = Ran { init, last: init, done: init + 1 };
            self.before = Some(Before { op: o.op, last: 0, done: ran.done, scalars: (0, 0) });
            return Some(ran);
        };
        let init = self.init(s, &p, idle);
        self.free = init + 1;
        let first = init + lat::FIRST_STEP;
        let (last, done) = match p.waits {
            Waits::Nothing => {
                let last = first + p.steps - 1;
                (last, last + p.tail)
            }
            Waits::Load { beats, .. } => {
                let beat = if o.op == Op::EMBED { u64::from(o.a) } else { o.a.into() };
                let (come, all) = self.beats(first + lat::AUX_ADDRESS[0] - 1, beat, beats);
                let last =
                    (come + lat::AUX_BEAT + p.steps - 1).max(all + lat::AUX_BEAT + p.steps / beats - 1);
                (last, last + p.tail)
            }
            Waits::Store { beats, words } => self.store(o, first, beats, words),
            Waits::Rows { rows, words } => self.softmax(s, init, rows, words, p.tail),
            Waits::Append { .. } => {
                self.append = Append::new(s.clone(), &p, init, &self.config, constants);
                return None;
            }
        };
        // An operation ends after the one before it.
        let done = done.max(idle + 1);
        let scalars = match o.op {
            Op::SOFTMAX => (u64::from(o.aux & 0xffff) + u64::from(o.m), constants.gqa()),
            _ => (0, 0),
        };
        self.before = Some(Before { op: o.op, last, done, scalars });
        Some(Ran { init, last, done })
    }

    /// Whether an operation writes to the channels.
    pub fn appending(&self) -> bool {
        self.append.is_some()
    }

    /// Its next write, if it is known.
    pub fn next_write(&self) -> Option<Write> {
        self.append.as_ref().and_then(|a| a.next(&self.writers))
    }

    /// [`Vector::next_write`] has been given to the memory.
    pub fn wrote(&mut self, write: &Write) {
        if let Some(append) = &mut self.append {
            append.sent(write, &mut self.writers);
        }
    }

    /// The operation that wrote to the channels, once all answers are there.
    pub fn appended(&mut self, answers: &mut VecDeque<u64>) -> Option<(Started, Ran)> {
        answers.drain(..).for_each(|cycle| self.writers.answered(cycle));
        let mut ran = self.append.as_ref()?.ran(&self.writers)?;
        let append = self.append.take()?;
        ran.done = ran.done.max(self.before.map_or(0, |b| b.done) + 1);
        let op = append.started.operation.op;
        self.before = Some(Before { op, last: ran.last, done: ran.done, scalars: (0, 0) });
        Some((append.started, ran))
    }

    /// The last operation ends later, because the matrix unit had the vector memory for so many cycles.
    pub fn delay(&mut self, cycles: u64) {
        if let Some(before) = &mut self.before {
            before.done += cycles;
            before.last += cycles.saturating_sub(lat::QUEUE_ROOM);
        }
    }

    /// From when on an operation runs.
    fn init(&self, s: &Started, p: &Pass, idle: u64) -> u64 {
        let ready = s.at + p.setup;
        if let Waits::Load { token: true, .. } = p.waits {
            return (s.at + lat::TOKEN[0]).max(idle) + lat::TOKEN[1];
        }
        match self.before {
            // An ATTQ may begin while the reciprocals of another row's sums are made.
            Some(b) if s.operation.op == Op::ATTQ && b.op == Op::SOFTMAX => {
                let scalar = u64::from(s.operation.b);
                let apart = scalar >= b.scalars.0 + b.scalars.1 || scalar + b.scalars.1 <= b.scalars.0;
                let chain = (ready + 1).max(b.last + lat::CHAIN[0]);
                if apart && chain <= b.last + lat::CHAIN[1] { chain } else { ready.max(idle) }
            }
            _ => ready.max(idle),
        }
    }

    /// Rows of a SOFTMAX: the scan goes up to two rows ahead of the lanes.
    fn softmax(&mut self, s: &Started, init: u64, rows: u64, words: u64, tail: u64) -> (u64, u64) {
        let ready = s.at + lat::SETUP_PRODUCT;
        // The first row's factors may have been asked for while the operation before drained.
        let asked = match self.before {
            Some(b) if !matches!(b.op, Op::STATK | Op::STATQ | Op::SUMSQ | Op::QK | Op::QV | Op::STORE) => {
                ready.max(b.last + lat::DRAINED)
            }
            _ => init,
        };
        let mut known = asked.min(init) + lat::FACTORS;
        let mut peaks = [0; 2];
        let (mut scanned, mut last) = (s.at + lat::SCAN, init);
        for r in 0..rows {
            let begin = if r >= 2 { scanned.max(peaks[0] + 1) } else { scanned };
            scanned = begin + words;
            let peak = known.max(last + 1).max(scanned - 1 + lat::MAXIMUM);
            known = peak + lat::FACTORS;
            last = peak + lat::PEAK + words - 1;
            peaks = [peaks[1], peak];
        }
        self.scan = scanned;
        (last, last + tail)
    }

    /// Beats that go to auxiliary memory, so many of them without an answer.
    fn store(&mut self, o: &Operation, first: u64, beats: u64, words: u64) -> (u64, u64) {
        let [every, way] = lat::AUX_WRITE;
        let offered = first + lat::EARLY + lat::QUEUE + words + way;
        // Steps are so many beats ahead of the port at most.
        let ahead = lat::STORE_ROOM.div_ceil(words);
        let (mut last, mut at) = (first + beats * words - 1, 0);
        for i in 0..beats {
            at = if i == 0 { offered } else { at + every.max(words + 1) };
            if i >= AUX_WRITES {
                at = at.max(self.aux.answer() + 2);
            }
            self.aux.write(at, (u64::from(o.c) + i) * BEAT_BYTES as u64);
            if i + ahead == beats {
                last = last.max(first + at - offered);
            }
        }
        self.aux.settle();
        let answered = self.aux.answers.back().copied().unwrap_or(at);
        self.aux.answers.clear();
        (last, answered + lat::SYNC)
    }
}
