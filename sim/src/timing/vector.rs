//! The vector unit: one operation after the other, the next one prepared meanwhile.

use super::formula::{Pass, Waits, pass};
use super::latency as lat;
use super::memory::{Memories, MemoryError};
use super::operands::{Constants, Operation};
use super::port::{Arrival, Port};
use super::queue::Started;
use super::stream::Stream;
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
    arrival: Arrival,
    /// Answers to writes of the channel that gets keys, and of all; the writers have room again from `ready` on.
    answers: VecDeque<u64>,
    ready: u64,
}

impl Vector {
    pub fn new(config: &Config, memories: &Memories) -> Result<Self, MemoryError> {
        Ok(Self {
            config: *config,
            before: None,
            free: 0,
            scan: 0,
            aux: Port::new(&memories.aux, memories.age)?,
            arrival: Arrival::default(),
            answers: VecDeque::new(),
            ready: 0,
        })
    }

    /// From when on the unit takes an operation: none while the scan of a SOFTMAX goes on.
    pub fn free(&self) -> u64 {
        self.free.max(self.scan)
    }

    /// When what an operation that starts in `at` does to the channels' memories is best computed: after the reads that
    /// come before its last write.
    pub fn touches(&self, o: &Operation, at: u64, constants: &Constants) -> u64 {
        let idle = self.before.map_or(0, |b| b.done);
        match pass(o, &self.config, constants) {
            Some(p) if matches!(p.waits, Waits::Append { .. }) => {
                at.max(idle) + p.setup + p.steps + p.tail + lat::MEMORY_PATH
            }
            _ => at,
        }
    }

    /// Beats that the loader of `instructions` reads: from its request in cycle `at` to the cycle of `done`.
    pub fn load_program(&mut self, at: u64, beat: u64, instructions: u64) -> u64 {
        let first = self.beats(at + 4, beat, instructions.div_ceil(2)).0;
        first + lat::LOADER[1] + instructions + lat::LOADER[2] - 1
    }

    /// Cycles of the first and last of `beats` beats, the first address being offered in `at`.
    fn beats(&mut self, at: u64, beat: u64, beats: u64) -> (u64, u64) {
        let (mut from, mut left, mut offer) = (beat, beats, at);
        let (mut first, mut last) = (u64::MAX, at);
        while left > 0 {
            let n = (PAGE - from % PAGE).min(left);
            let taken = self.aux.read(offer, from * BEAT_BYTES as u64, n, &mut self.arrival);
            first = first.min(self.arrival.knots.first().map_or(taken, |k| k.1));
            last = self.arrival.last;
            offer = (offer + lat::AUX_ADDRESS[1]).max(taken + 1);
            from += n;
            left -= n;
        }
        (first, last)
    }

    /// Runs an operation that the unit has taken.
    pub fn run(&mut self, s: &Started, constants: &Constants, stream: &mut Stream) -> Ran {
        let o = &s.operation;
        let before = self.before;
        let idle = before.map_or(0, |b| b.done);
        let Some(p) = pass(o, &self.config, constants) else {
            let init = (s.at + lat::SETUP).max(idle);
            self.free = init + 1;
            let ran = Ran { init, last: init, done: init + 1 };
            self.before = Some(Before { op: o.op, last: 0, done: ran.done, scalars: (0, 0) });
            return ran;
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
            Waits::Append { .. } => self.append(o, first, &p, constants, stream),
        };
        // An operation ends after the one before it.
        let done = done.max(idle + 1);
        let scalars = match o.op {
            Op::SOFTMAX => (u64::from(o.aux & 0xffff) + u64::from(o.m), constants.gqa()),
            _ => (0, 0),
        };
        self.before = Some(Before { op: o.op, last, done, scalars });
        Ran { init, last, done }
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

    /// Beats that go to auxiliary memory.
    fn store(&mut self, o: &Operation, first: u64, beats: u64, words: u64) -> (u64, u64) {
        let [every, way] = lat::AUX_WRITE;
        let offered = first + lat::EARLY + lat::QUEUE + words;
        let addr = |i: u64| (u64::from(o.c) + i) * BEAT_BYTES as u64;
        // As many as may be without an answer, then at the memory's pace; the answers of the first one say how long it takes.
        let answer = self.aux.write(offered + way, addr(0));
        let pace = every.max(words + 1).max((answer + 2 - offered - way).div_ceil(AUX_WRITES));
        let end = offered + (beats - 1) * pace;
        let answered = self.aux.write(end + way, addr(beats - 1));
        let last = first + (beats * words - 1).max(((beats * words).saturating_sub(32)) * pace / words);
        (last, answered + lat::SYNC)
    }

    /// Keys or values that go to the channels.
    fn append(
        &mut self,
        o: &Operation,
        first: u64,
        p: &Pass,
        constants: &Constants,
        stream: &mut Stream,
    ) -> (u64, u64) {
        let Waits::Append { requests, words } = p.waits else { return (first, first) };
        let place = Place::new(o, constants, &self.config);
        let per_head = (requests / u64::from(o.n).max(1)).max(1);
        let mut hand = first + lat::SLOT - 1;
        let mut full = 0;
        let mut answered = 0;
        for i in 0..requests {
            // The last word of the request is in the queue, and the request before has been handed over.
            full = (first + (i + 1) * words - 1 + p.tail).max(if i > 0 { hand.min(full + words) } else { 0 })
                + 1;
            let at = hand.max(full);
            let head = i / per_head;
            if o.op == Op::QK {
                let beat = u64::from(o.c) + head * u64::from(o.k);
                let parameters = self.writer(at + lat::PIECE);
                answered = self.answer(stream, Some(place.channel), parameters, beat + place.parameter);
                let codes = self.writer((parameters + 2).max(parameters + lat::WRITER));
                let sent = codes + lat::CODES;
                self.ready = sent + lat::WRITER;
                answered = answered.max(self.answer(stream, Some(place.channel), sent, beat + place.code));
                hand = sent + lat::NEXT_HEAD;
            } else {
                let beat =
                    u64::from(o.c) + head * u64::from(o.k) + i % per_head * u64::from(o.aux) + place.code;
                let sent = self.writer(at + lat::PIECE);
                answered = self.answer(stream, None, sent, beat);
                hand = sent + lat::NEXT_VALUES;
            }
        }
        (first + p.steps - 1, answered + lat::SYNC)
    }

    /// When a writer takes a piece that is offered in `at`.
    fn writer(&mut self, at: u64) -> u64 {
        let mut at = at.max(self.ready);
        if self.answers.len() >= self.config.writes
            && let Some(oldest) = self.answers.pop_front()
        {
            at = at.max(oldest + 2);
        }
        self.ready = at + lat::WRITER;
        at
    }

    fn answer(&mut self, stream: &mut Stream, channel: Option<usize>, at: u64, beat: u64) -> u64 {
        let answer = stream.write(channel, at + lat::WRITE, beat);
        self.answers.push_back(answer);
        answer
    }
}

/// Where a token goes in the KV cache (docs/formats.md, section 2), relative to its head.
#[derive(Debug, Clone, Copy)]
struct Place {
    channel: usize,
    parameter: u64,
    code: u64,
}

impl Place {
    fn new(o: &Operation, constants: &Constants, config: &Config) -> Self {
        let (position, ring) = (u64::from(o.m), constants.ring());
        let pointer = if u64::from(o.b) >= ring { u64::from(o.b) - ring } else { o.b.into() };
        let sink = position < constants.sinks();
        let slot = if sink { position } else { pointer };
        if o.op == Op::QV {
            let row = if sink { position } else { constants.sink_pad() + pointer };
            return Self { channel: 0, parameter: 0, code: row / 32 };
        }
        let narrow = constants.hdp() == 64;
        let pair = if narrow { slot / 2 } else { slot };
        let (step, channels) = (pair / config.channels as u64, config.channels as u64);
        let steps = if narrow { 8 } else { 16 };
        let region = if sink { 0 } else { constants.k_window() };
        let parameter = region + step / steps * (steps + 1);
        Self { channel: (pair % channels) as usize, parameter, code: parameter + step % steps + 1 }
    }
}
