//! Keys and values on their way to the channels (`vec/vec_kv`): one write after the other, as the writers take them.

use super::formula::Waits;
use super::latency as lat;
use super::operands::{Constants, Operation};
use super::queue::Started;
use super::vector::Ran;
use accllm_hw::beat::KeyBeats;
use accllm_hw::config::Config;
use accllm_hw::isa::Op;
use std::collections::VecDeque;

/// A write that goes to one channel, or with `None` to all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Write {
    pub channel: Option<usize>,
    /// Cycle in which the memory has its data.
    pub at: u64,
    pub beat: u64,
}

/// The channels' writers: they have room for the next write from `ready` on, and take so many without an answer.
#[derive(Debug, Clone)]
pub(super) struct Writers {
    limit: usize,
    ready: u64,
    answers: VecDeque<u64>,
    unanswered: usize,
    answered: u64,
}

impl Writers {
    pub fn new(config: &Config) -> Self {
        Self { limit: config.writes, ready: 0, answers: VecDeque::new(), unanswered: 0, answered: 0 }
    }

    /// When a piece that is offered in `at` is taken; `None` while that depends on an answer.
    fn takes(&self, at: u64) -> Option<u64> {
        let at = at.max(self.ready);
        if self.answers.len() + self.unanswered < self.limit {
            return Some(at);
        }
        self.answers.front().map(|oldest| at.max(oldest + 2))
    }

    fn taken(&mut self, until: u64) {
        if self.answers.len() + self.unanswered >= self.limit {
            self.answers.pop_front();
        }
        self.unanswered += 1;
        self.ready = until + lat::WRITER;
    }

    /// The oldest write without an answer got one.
    pub fn answered(&mut self, cycle: u64) {
        self.unanswered -= 1;
        self.answered = cycle;
        self.answers.push_back(cycle);
    }
}

/// A QK or QV that runs.
#[derive(Debug, Clone)]
pub(super) struct Append {
    pub started: Started,
    init: u64,
    first: u64,
    steps: u64,
    tail: u64,
    words: u64,
    requests: u64,
    per_head: u64,
    place: Place,
    /// The request, and whether the parameters of its head have been sent with it, when.
    request: u64,
    parameters: Option<u64>,
    /// From when on the request can be handed over; when its last word was there.
    hand: u64,
    full: u64,
}

impl Append {
    pub fn new(
        started: Started,
        pass: &super::formula::Pass,
        init: u64,
        config: &Config,
        constants: &Constants,
    ) -> Option<Self> {
        let Waits::Append { requests, words } = pass.waits else { return None };
        let first = init + lat::FIRST_STEP;
        let mut append = Self {
            place: Place::new(&started.operation, constants, config),
            per_head: (requests / u64::from(started.operation.n).max(1)).max(1),
            steps: pass.steps,
            tail: pass.tail,
            hand: first + lat::SLOT - 1,
            full: 0,
            request: 0,
            parameters: None,
            started,
            init,
            first,
            words,
            requests,
        };
        append.fill();
        Some(append)
    }

    /// The last word of the request is in the queue, and the request before has been handed over.
    fn fill(&mut self) {
        let before = if self.request > 0 { self.hand.min(self.full + self.words) } else { 0 };
        self.full = (self.first + (self.request + 1) * self.words - 1 + self.tail).max(before) + 1;
    }

    /// The next write, if there is one and it is known when the writers take it.
    pub fn next(&self, writers: &Writers) -> Option<Write> {
        if self.request == self.requests {
            return None;
        }
        let o = &self.started.operation;
        let head = self.request / self.per_head;
        let part = self.request % self.per_head;
        let beat = u64::from(o.c) + head * u64::from(o.k);
        let at = self.hand.max(self.full) + lat::PIECE;
        let (channel, taken, beat) = match (o.op, self.parameters) {
            (Op::QK, None) if part == 0 => {
                (Some(self.place.channel), writers.takes(at)?, beat + self.place.parameter)
            }
            (Op::QK, parameters) => {
                let codes = parameters.map_or(at + lat::SECOND_BEAT, |at| at + lat::WRITER);
                let codes = writers.takes(codes)?;
                (Some(self.place.channel), codes + lat::CODES, beat + self.place.code + part)
            }
            _ => (None, writers.takes(at)?, beat + part * u64::from(o.aux) + self.place.code),
        };
        Some(Write { channel, at: taken + lat::WRITE, beat })
    }

    /// The writers have taken [`Append::next`].
    pub fn sent(&mut self, write: &Write, writers: &mut Writers) {
        let taken = write.at - lat::WRITE;
        writers.taken(taken);
        match (self.started.operation.op, self.parameters) {
            (Op::QK, None) if self.request.is_multiple_of(self.per_head) => self.parameters = Some(taken),
            (op, _) => {
                self.parameters = None;
                self.hand = taken + if op == Op::QK { lat::NEXT_HEAD } else { lat::NEXT_VALUES };
                self.request += 1;
                self.fill();
            }
        }
    }

    /// Its times, once all writes are answered.
    pub fn ran(&self, writers: &Writers) -> Option<Ran> {
        (self.request == self.requests && writers.unanswered == 0).then(|| Ran {
            init: self.init,
            last: self.first + self.steps - 1,
            done: writers.answered + lat::SYNC,
        })
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
        let keys = KeyBeats::of(constants.hdp() as usize);
        let together = slot as usize / keys.keys;
        let region = if sink { 0 } else { constants.k_window() };
        let (parameter, code) = keys.at(together / config.channels);
        Self {
            channel: together % config.channels,
            parameter: region + parameter as u64,
            code: region + code as u64,
        }
    }
}
