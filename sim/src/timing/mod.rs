//! Timing model of the engine: how many cycles a run of a program takes, without computing anything. docs/timing.md says
//! what is modelled, and how far it is from the RTL.
//!
//! It runs the instructions that the compiler emits. Every unit of the engine is a few numbers here, times of its last
//! events; an instruction costs a closed formula, and the beats of memory go by bursts. Some rounds of a long loop stand for
//! the others. So a token of a 7B model takes some thirty milliseconds. Neither weights nor a memory image are needed.
//!
//! ```
//! use accllm_hw::config::find;
//! use accllm_hw::isa::{Instr, Op};
//! use accllm_sim::memory::MemoryKind;
//! use accllm_sim::timing::{Memories, Timing};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = find("u280")?;
//! // A weight of 64 steps of 16 beats, one token.
//! let weight = Instr { op: Op::MATW as u8, n: 64, m: 1, k: 16, x: 1, ..Instr::default() };
//! let code = [weight, Instr { op: Op::END as u8, ..Instr::default() }];
//! let memories = Memories::of(MemoryKind::HBM2, config)?;
//! let report = Timing::new(config, &memories).run(&code, [0; 15])?;
//! assert!(report.cycles() > 64 * 16);
//! # Ok(())
//! # }
//! ```

mod append;
mod formula;
mod latency;
mod matrix;
mod memory;
mod operands;
mod port;
pub mod probe;
mod queue;
mod report;
pub mod rig;
mod rounds;
mod row;
mod sequencer;
mod stream;
mod vector;

pub use memory::{Left, Memories, MemoryError, Pace};
pub use report::{Events, Report};

use accllm_hw::config::Config;
use accllm_hw::isa::{ARGS, FLAG_VMEM, Instr, Op, Unit};
use accllm_hw::sizes::PADDED_HEADS;
use latency as lat;
use matrix::Matrix;
use operands::{Constants, Operation};
use queue::{Queue, Semaphores};
use report::Account;
use rounds::Rounds;
use sequencer::{Next, Sequencer};
use stream::Stream;
use vector::Vector;

/// What is wrong with a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such operation.
    #[error("there is no operation {0:#04x}")]
    Opcode(u8),
    /// ADD.
    #[error("there is no register {0}")]
    Register(u32),
    /// SETC.
    #[error("there is no constant {0}")]
    Constant(u32),
    /// LOOP, ENDLOOP.
    #[error("loops are too deep, or end without a beginning")]
    Loops,
    /// The program runs past its end.
    #[error("the program has {0} instructions and no END on this path")]
    NoEnd(usize),
    /// HDP, GQA or V_DIM is not what a vector unit can work with.
    #[error("unit constants that the engine does not take")]
    Constants,
    /// Nothing can go on.
    #[error("the units wait for each other: an operation waits for a semaphore that nothing signals")]
    Deadlock,
}

/// A run cannot be modelled.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TimingError {
    /// The program is at fault.
    #[error("instruction {pc}: {fault}")]
    Program {
        /// Instruction.
        pc: u32,
        /// What is wrong.
        fault: Fault,
    },
    /// The memories are.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl TimingError {
    fn at(pc: u32, fault: Fault) -> Self {
        Self::Program { pc, fault }
    }
}

/// The model of an engine and its memories.
#[derive(Debug, Clone)]
pub struct Timing<'a> {
    config: &'a Config,
    memories: &'a Memories,
    /// Beat of auxiliary memory from which the run loads its program.
    load: Option<u64>,
    /// Every round of every loop is run.
    every_round: bool,
}

impl<'a> Timing<'a> {
    /// Of this engine. Its program is there already, as in every run but the first.
    pub fn new(config: &'a Config, memories: &'a Memories) -> Self {
        Self { config, memories, load: None, every_round: false }
    }

    /// The run begins with loading the program from `beat` of auxiliary memory.
    #[must_use]
    pub fn loading(self, beat: u64) -> Self {
        Self { load: Some(beat), ..self }
    }

    /// Runs every round of every loop, where else some rounds of a long loop stand for the others (docs/timing.md).
    #[must_use]
    pub fn every_round(self) -> Self {
        Self { every_round: true, ..self }
    }

    /// Runs `code` with these arguments (registers 1..=15), on memories in their first cycle.
    ///
    /// # Errors
    /// The program would fault or hang in a way that the model sees: it does not check what the units check.
    pub fn run(&self, code: &[Instr], args: [u32; ARGS]) -> Result<Report, TimingError> {
        self.run_on(&mut self.memories.fresh()?, 0, code, args)
    }

    /// The same on memories as earlier runs left them, `age` cycles after their first one.
    ///
    /// # Errors
    /// As [`Timing::run`].
    pub fn run_on(
        &self,
        left: &mut Left,
        age: u64,
        code: &[Instr],
        args: [u32; ARGS],
    ) -> Result<Report, TimingError> {
        Run::new(self, left, age, code, args)?.whole(left)
    }
}

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Sequencer,
    Prefetcher,
    Segment,
    Request,
    Matrix,
    Vector,
    Written,
    Write,
    Memory,
}

/// A run in progress.
struct Run {
    constants: Constants,
    sequencer: Sequencer,
    semaphores: Semaphores,
    queues: [Queue; 3],
    stream: Stream,
    matrix: Matrix,
    vector: Vector,
    account: Account,
    config: Config,
    /// Operations of the prefetcher that have not pushed all their segments.
    prefetching: Option<queue::Started>,
    /// An operation whose results go to vector memory, until it is known that the matrix unit did not hold them up.
    writing: Option<Writing>,
    /// An operation that the vector unit has taken while it is not known when the one before ends.
    held: Option<queue::Started>,
    end: u64,
    /// Unless every round is to be run.
    rounds: Option<Rounds>,
}

/// An operation of the vector unit on its way to vector memory.
struct Writing {
    started: queue::Started,
    ran: vector::Ran,
    /// Its first write.
    from: u64,
    /// Cycles by which it is late already.
    late: u64,
}

const PRE: usize = 0;
const MAT: usize = 1;
const VEC: usize = 2;

impl Run {
    fn new(
        t: &Timing<'_>,
        left: &Left,
        age: u64,
        code: &[Instr],
        args: [u32; ARGS],
    ) -> Result<Self, TimingError> {
        let mut vector = Vector::new(t.config, left, age);
        let mut account = Account::new(t.config, code.len());
        let at = match t.load {
            None => lat::START,
            Some(beat) => {
                account.report.counters.aux_beats_read += (code.len() as u64).div_ceil(2);
                vector.load_program(lat::LOADER[0] - 4, beat, code.len() as u64) + lat::START_AFTER_LOAD
            }
        };
        Ok(Self {
            constants: Constants::default(),
            sequencer: Sequencer::new(code, args, at)?,
            semaphores: Semaphores::default(),
            queues: [t.config.mat_queue, t.config.mat_queue, t.config.vec_queue].map(Queue::new),
            stream: Stream::new(t.config, left, age),
            matrix: Matrix::new(t.config),
            vector,
            account,
            config: *t.config,
            prefetching: None,
            writing: None,
            held: None,
            end: 0,
            rounds: (!t.every_round).then(Rounds::default),
        })
    }

    fn whole(mut self, left: &mut Left) -> Result<Report, TimingError> {
        loop {
            match self.next()? {
                Some((event, at)) => {
                    if self.step(event, at)? {
                        break;
                    }
                }
                None => return Err(TimingError::at(self.sequencer.pc(), Fault::Deadlock)),
            }
        }
        left.keep(self.stream.ports(), self.vector.port());
        let rest = self.account.over(self.end);
        let (mut report, passed) = match self.rounds {
            Some(rounds) => rounds.all(&rest),
            None => (rest, 0),
        };
        report.counters.cycles = self.end + passed;
        report.counters.instructions = self.sequencer.executed;
        report.summary.cycles = report.counters.cycles;
        Ok(report)
    }

    /// The earliest of all that can happen.
    fn next(&mut self) -> Result<Option<(Event, u64)>, TimingError> {
        let mut best: Option<(Event, u64)> = None;
        let mut offer = |event, at: Option<u64>| {
            if let Some(at) = at
                && best.is_none_or(|b| at < b.1)
            {
                best = Some((event, at));
            }
        };
        offer(Event::Request, self.stream.request_at());
        offer(Event::Segment, self.stream.push_at());
        offer(Event::Sequencer, self.sequencer_at()?);
        if !self.stream.prefetching() {
            offer(Event::Prefetcher, self.queues[PRE].start(&self.semaphores, self.stream.free));
        }
        offer(Event::Matrix, self.queues[MAT].start(&self.semaphores, 0));
        offer(Event::Written, self.writing.as_ref().map(|w| w.ran.done));
        offer(Event::Write, self.vector.next_write().map(|w| w.at));
        offer(Event::Memory, self.stream.memory_at(self.vector.appending()));
        if self.held.is_none() {
            offer(Event::Vector, self.queues[VEC].start(&self.semaphores, self.vector.free()));
        }
        Ok(best)
    }

    fn sequencer_at(&self) -> Result<Option<u64>, TimingError> {
        let at = self.sequencer.at;
        Ok(match self.sequencer.next()? {
            Next::Control => Some(at),
            Next::Idle => {
                let settled = self.queues.iter().all(Queue::settled);
                let done = self.queues.iter().map(Queue::last_done).max().unwrap_or(0);
                settled.then(|| if done > 0 { at.max(done + lat::IDLE_UNITS) } else { at })
            }
            Next::Dispatch(Unit::Vector) => self.queues[VEC].room().map(|r| r.max(at)),
            Next::Dispatch(_) => {
                let rooms = self.queues[PRE].room().zip(self.queues[MAT].room());
                rooms.map(|(p, m)| p.max(m).max(at))
            }
            Next::Over => None,
        })
    }

    /// Does it; whether the run is over.
    fn step(&mut self, event: Event, at: u64) -> Result<bool, TimingError> {
        match event {
            Event::Sequencer => return self.sequence(at),
            Event::Prefetcher => {
                let Some(s) = self.queues[PRE].take(&mut self.semaphores, at) else { return Ok(false) };
                match self.stream.begin(&s.operation, &self.constants, at) {
                    Some(done) => self.prefetched(&s, done),
                    None => self.prefetching = Some(s),
                }
            }
            Event::Segment => {
                if let Some(done) = self.stream.push(at)
                    && let Some(s) = self.prefetching.take()
                {
                    self.prefetched(&s, done);
                }
            }
            Event::Request => {
                self.stream.request(at);
                self.moved()?;
            }
            Event::Memory => {
                self.stream.advance(at);
                self.moved()?;
            }
            Event::Write => {
                if let Some(w) = self.vector.next_write() {
                    self.vector.wrote(&w);
                    self.stream.write(w.channel, w.at, w.beat);
                }
                self.moved()?;
            }
            Event::Matrix => {
                if let Some(s) = self.queues[MAT].take(&mut self.semaphores, at) {
                    self.matrix.begin(s, &self.constants);
                    self.compute();
                }
            }
            Event::Vector => self.vector(at)?,
            Event::Written => self.written()?,
        }
        Ok(false)
    }

    fn sequence(&mut self, at: u64) -> Result<bool, TimingError> {
        match self.sequencer.next()? {
            Next::Dispatch(unit) => {
                let (operation, prefetch, waits) = self.sequencer.dispatch(at)?;
                if unit == Unit::Vector {
                    self.queues[VEC].push(operation, waits, at);
                } else {
                    self.queues[PRE].push(operation, [prefetch, 0], at);
                    self.queues[MAT].push(operation, waits, at);
                }
                Ok(false)
            }
            _ => {
                let pc = self.sequencer.pc() as usize;
                self.round(at)?;
                let over = self.sequencer.control(at, &mut self.constants)?;
                if let Some(op) = self.account.report.summary.ops.get_mut(pc) {
                    op.executed += 1;
                }
                self.end = at + lat::END;
                Ok(over)
            }
        }
    }

    /// If a round of a loop ends here, some of the rounds to come may be passed over.
    fn round(&mut self, at: u64) -> Result<(), TimingError> {
        let Some(rounds) = &mut self.rounds else { return Ok(()) };
        let Some(round) = self.sequencer.round(rounds::LEAST)? else { return Ok(()) };
        if let Some(pass) = rounds.end(at, round, self.account.take()) {
            self.sequencer.pass(&pass.from, pass.times);
        }
        Ok(())
    }

    fn prefetched(&mut self, s: &queue::Started, done: u64) {
        self.queues[PRE].done(done);
        self.account.prefetched(s, done);
    }

    /// The matrix unit takes what beats there are.
    fn compute(&mut self) {
        loop {
            if self.matrix.wants() {
                let Some(piece) = self.stream.pieces.pop_front() else { return };
                self.matrix.take(&piece, &mut self.stream.pops);
            } else if let Some(ended) = self.matrix.end() {
                self.queues[MAT].done(ended.done);
                self.semaphores.signal(&ended.started.operation, ended.done);
                self.account.matrix(&ended, &self.constants);
            } else {
                return;
            }
        }
    }

    /// The memories have gone on.
    fn moved(&mut self) -> Result<(), TimingError> {
        self.compute();
        let Some((s, ran)) = self.vector.appended(self.stream.answered()) else { return Ok(()) };
        self.ran(&s, &ran);
        self.release()
    }

    /// The vector unit takes an operation.
    fn vector(&mut self, at: u64) -> Result<(), TimingError> {
        let Some(s) = self.queues[VEC].take(&mut self.semaphores, at) else { return Ok(()) };
        self.held = Some(s);
        if self.writing.is_some() || self.vector.appending() { Ok(()) } else { self.release() }
    }

    /// The vector unit runs the operation that it has taken.
    fn release(&mut self) -> Result<(), TimingError> {
        let Some(s) = self.held.take() else { return Ok(()) };
        self.check(s.operation.pc, s.operation.op)?;
        let ran = self.vector.run(&s, &self.constants);
        let pass = formula::pass(&s.operation, &self.config, &self.constants);
        self.transfers(&s, pass);
        let Some(ran) = ran else { return Ok(()) };
        match pass.filter(|_| to_memory(&s.operation)) {
            Some(p) => {
                let from = ran.done - p.steps.min(ran.done);
                self.writing = Some(Writing { started: s, ran, from, late: 0 });
            }
            None => self.ran(&s, &ran),
        }
        Ok(())
    }

    /// The matrix unit's writes go first: for each of them the vector unit's are a cycle later.
    fn written(&mut self) -> Result<(), TimingError> {
        let Some(mut w) = self.writing.take() else { return Ok(()) };
        let late = self.matrix.written(w.from, w.ran.done) as u64;
        if late > w.late {
            w.ran.done += late - w.late;
            self.vector.delay(late - w.late);
            w.late = late;
            self.writing = Some(w);
            return Ok(());
        }
        self.ran(&w.started, &w.ran);
        self.release()
    }

    /// An operation of the vector unit is done.
    fn ran(&mut self, s: &queue::Started, ran: &vector::Ran) {
        self.queues[VEC].done(ran.done);
        self.semaphores.signal(&s.operation, ran.done);
        let pass = formula::pass(&s.operation, &self.config, &self.constants);
        self.account.vector(s, ran, pass.map_or(0, |p| p.steps));
    }

    /// Beats that the vector unit moves.
    fn transfers(&mut self, s: &queue::Started, pass: Option<formula::Pass>) {
        let c = &mut self.account.report.counters;
        match pass.map(|p| p.waits) {
            Some(formula::Waits::Load { beats, .. }) => c.aux_beats_read += beats,
            Some(formula::Waits::Store { beats, .. }) => c.aux_beats_written += beats,
            Some(formula::Waits::Append { requests, .. }) => {
                c.beats_written += match s.operation.op {
                    Op::QK => u64::from(s.operation.n) + requests,
                    _ => requests * self.config.channels as u64,
                }
            }
            _ => {}
        }
    }

    /// Constants that a formula divides by.
    fn check(&self, pc: u32, op: Op) -> Result<(), TimingError> {
        let c = &self.constants;
        let heads = matches!(op, Op::ROPE | Op::STATK | Op::STATQ | Op::QK | Op::QQ);
        let bad = heads && !PADDED_HEADS.contains(&(c.hdp() as usize))
            || matches!(op, Op::SOFTMAX | Op::ATTQ | Op::STATQ | Op::QQ) && !(1..=16).contains(&c.gqa())
            || op == Op::QV && !c.v_dim().is_multiple_of(4 * self.config.channels as u64);
        if bad { Err(TimingError::at(pc, Fault::Constants)) } else { Ok(()) }
    }
}

/// Whether results go to vector memory, where the matrix unit writes first.
fn to_memory(o: &Operation) -> bool {
    match o.op {
        Op::NORMQ => o.flags & FLAG_VMEM != 0,
        op => matches!(op, Op::LOAD | Op::EMBED | Op::ROPE | Op::HADW | Op::HADX | Op::RADD),
    }
}
