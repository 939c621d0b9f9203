//! What the model tells of a run.

use super::matrix::Ended;
use super::operands::{Constants, Operation};
use super::queue::Started;
use super::stream::segments;
use super::vector::Ran;
use crate::engine::Counters;
use crate::timeline::{Summary, VectorCycles};
use accllm_hw::config::{Config, MACS};
use accllm_hw::isa::Op;

/// What happened in a run, for estimates of energy. Counts of the whole engine, *estimated*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events {
    /// Multiplications of 2-bit weights, kept (2:4) and all (dense).
    pub macs_w2: u64,
    /// Of 4-bit weights.
    pub macs_w4: u64,
    /// Of keys and values.
    pub macs_kv: u64,
    /// Beats read of 2-bit weights (parameters and scales included), 4-bit weights, keys and values.
    pub beats_w2: u64,
    /// See [`Events::beats_w2`].
    pub beats_w4: u64,
    /// See [`Events::beats_w2`].
    pub beats_kv: u64,
    /// Elements that went through the lanes of the vector unit.
    pub vector_elements: u64,
    /// Words of activations read, all lanes.
    pub act_words: u64,
}

impl std::ops::AddAssign for Events {
    fn add_assign(&mut self, o: Self) {
        self.macs_w2 += o.macs_w2;
        self.macs_w4 += o.macs_w4;
        self.macs_kv += o.macs_kv;
        self.beats_w2 += o.beats_w2;
        self.beats_w4 += o.beats_w4;
        self.beats_kv += o.beats_kv;
        self.vector_elements += o.vector_elements;
        self.act_words += o.act_words;
    }
}

/// A run of the program.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// The counters of the hardware, *estimated*.
    pub counters: Counters,
    /// Cycles of every instruction of the program, as a timeline of the RTL has them.
    pub summary: Summary,
    /// Events.
    pub events: Events,
}

impl Report {
    /// Cycles of the run, as CYCLES counts them.
    pub fn cycles(&self) -> u64 {
        self.counters.cycles
    }
}

impl std::ops::AddAssign<&Self> for Report {
    fn add_assign(&mut self, o: &Self) {
        self.counters += o.counters;
        self.summary += &o.summary;
        self.events += o.events;
    }
}

/// Fills a report.
#[derive(Debug, Clone)]
pub(super) struct Account {
    config: Config,
    pub report: Report,
    /// Last `done` of prefetcher, matrix and vector unit.
    idle: [u64; 3],
    /// Last decision of the matrix unit, and its last `done`.
    issued: u64,
}

impl Account {
    pub fn new(config: &Config, instructions: usize) -> Self {
        Self {
            config: *config,
            report: Report { summary: Summary::new(instructions), ..Report::default() },
            idle: [0; 3],
            issued: 0,
        }
    }

    /// The report of a run of so many cycles.
    pub fn over(mut self, cycles: u64) -> Report {
        let idle = cycles.saturating_sub(self.idle[1] + 1);
        self.report.counters.mat_idle += idle;
        self.report.summary.matrix_idle += idle;
        self.report
    }

    /// What has been counted since the last time.
    pub fn take(&mut self) -> Report {
        let summary = Summary::new(self.report.summary.ops.len());
        std::mem::replace(&mut self.report, Report { summary, ..Report::default() })
    }

    /// Cycles of a unit between operations: waiting for a semaphore, on the way to the unit.
    fn gap(s: &Started, idle: u64) -> (u64, u64) {
        let from = s.head.max(idle + 1).min(s.at);
        let waiting = if s.waits == [0, 0] { 0 } else { s.at - from };
        (waiting, s.at.saturating_sub(s.dispatched.max(idle)).saturating_sub(waiting))
    }

    pub fn prefetched(&mut self, s: &Started, done: u64) {
        let (waiting, starting) = Self::gap(s, self.idle[0]);
        self.report.counters.prefetch_wait += waiting;
        let op = &mut self.report.summary.ops[s.operation.pc as usize].prefetch;
        Self::unit(op, waiting, starting, done.saturating_sub(s.at.max(self.idle[0])));
        self.idle[0] = self.idle[0].max(done);
    }

    fn unit(op: &mut VectorCycles, waiting: u64, starting: u64, busy: u64) {
        op.waiting += waiting;
        op.starting += starting;
        op.busy += busy;
    }

    pub fn vector(&mut self, s: &Started, ran: &Ran, steps: u64) {
        let (waiting, starting) = Self::gap(s, self.idle[2]);
        let busy = ran.done.saturating_sub(s.at.max(self.idle[2]));
        let c = &mut self.report.counters;
        c.vec_wait += waiting;
        c.vec_busy += busy;
        c.vec_done += 1;
        let op = &mut self.report.summary.ops[s.operation.pc as usize];
        op.executed += 1;
        Self::unit(&mut op.vector, waiting, starting, busy);
        self.idle[2] = self.idle[2].max(ran.done);
        self.report.events.vector_elements += steps * self.config.vec as u64;
    }

    pub fn matrix(&mut self, e: &Ended, constants: &Constants) {
        let (waiting, _) = Self::gap(&e.started, self.idle[1]);
        let c = &mut self.report.counters;
        c.mat_busy += e.computing;
        c.mat_stall_stream += e.stream;
        c.mat_stall_out += e.output;
        c.mat_stall_wait += waiting;
        c.mat_idle += e.started.dispatched.saturating_sub(self.idle[1]);
        c.mat_done += 1;
        let op = &mut self.report.summary.ops[e.started.operation.pc as usize];
        op.executed += 1;
        let m = &mut op.matrix;
        m.computing += e.computing;
        m.parameters += e.parameters;
        m.stream += e.stream;
        m.output += e.output;
        m.semaphore += waiting;
        let gap = e.first.saturating_sub(self.issued + 1);
        let idle = e.started.dispatched.saturating_sub(self.idle[1]);
        m.ends += gap.saturating_sub(waiting + idle);
        self.report.summary.matrix_idle += idle;
        self.issued = e.last;
        self.idle[1] = self.idle[1].max(e.done);
        self.events(&e.started.operation, e.computing, constants);
    }

    fn events(&mut self, o: &Operation, computing: u64, constants: &Constants) {
        let s = segments(o, constants);
        let channels = self.config.channels as u64;
        let beats = s.beats * s.count * channels;
        let macs = computing * channels * (MACS * self.config.lanes) as u64;
        self.report.counters.beats_read += beats;
        let e = &mut self.report.events;
        e.act_words += computing;
        let (to, of) = match (o.op, o.flags & 3) {
            (Op::MATW, 2) => (&mut e.macs_w4, &mut e.beats_w4),
            (Op::MATW, _) => (&mut e.macs_w2, &mut e.beats_w2),
            _ => (&mut e.macs_kv, &mut e.beats_kv),
        };
        *to += macs;
        *of += beats;
    }
}
