//! Cycles of every instruction of the program, added up.

use crate::engine::{Activity, Queue};

/// Cycles of the matrix unit for an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MatrixCycles {
    /// The tiles computed.
    pub computing: u64,
    /// The tiles took parameters or scales.
    pub parameters: u64,
    /// The tiles waited for beats.
    pub stream: u64,
    /// The tiles waited for room for results.
    pub output: u64,
    /// The empty unit waited for the instruction's semaphores.
    pub semaphore: u64,
    /// The instruction was on its way to the tiles, or its results to their places, and the tiles had nothing else.
    pub ends: u64,
}

impl MatrixCycles {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.computing + self.parameters + self.stream + self.output + self.semaphore + self.ends
    }
}

/// Cycles of a unit that does one operation after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VectorCycles {
    /// The instruction ran.
    pub busy: u64,
    /// The empty unit waited for the instruction's semaphores.
    pub waiting: u64,
    /// The instruction was on its way to the unit.
    pub starting: u64,
}

/// Cycles of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpCycles {
    /// How often it was executed.
    pub executed: u64,
    /// In the matrix unit.
    pub matrix: MatrixCycles,
    /// In the vector unit.
    pub vector: VectorCycles,
    /// In the prefetcher.
    pub prefetch: VectorCycles,
}

impl std::ops::AddAssign for OpCycles {
    fn add_assign(&mut self, o: Self) {
        self.executed += o.executed;
        let (m, n) = (&mut self.matrix, o.matrix);
        m.computing += n.computing;
        m.parameters += n.parameters;
        m.stream += n.stream;
        m.output += n.output;
        m.semaphore += n.semaphore;
        m.ends += n.ends;
        for (v, w) in [(&mut self.vector, o.vector), (&mut self.prefetch, o.prefetch)] {
            v.busy += w.busy;
            v.waiting += w.waiting;
            v.starting += w.starting;
        }
    }
}

impl std::ops::AddAssign<&Self> for Summary {
    fn add_assign(&mut self, o: &Self) {
        self.cycles += o.cycles;
        self.matrix_idle += o.matrix_idle;
        self.ops.resize(self.ops.len().max(o.ops.len()), OpCycles::default());
        self.ops.iter_mut().zip(&o.ops).for_each(|(a, b)| *a += *b);
    }
}

/// The cycles of all runs, by instruction of the program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Cycles of all runs.
    pub cycles: u64,
    /// Cycles in which the matrix unit had no instruction.
    pub matrix_idle: u64,
    /// Per instruction.
    pub ops: Vec<OpCycles>,
}

impl Summary {
    pub(crate) fn new(instructions: usize) -> Self {
        Self { ops: vec![OpCycles::default(); instructions], ..Self::default() }
    }

    /// The sum of all instructions.
    pub fn total(&self) -> OpCycles {
        let mut sum = OpCycles::default();
        self.ops.iter().for_each(|o| sum += *o);
        sum
    }

    pub(super) fn executed(&mut self, pc: u32) {
        self.ops[pc as usize].executed += 1;
    }

    pub(super) fn vector(&mut self, pc: u32, queue: Queue) -> &mut VectorCycles {
        let op = &mut self.ops[pc as usize];
        if queue == Queue::Prefetch { &mut op.prefetch } else { &mut op.vector }
    }

    /// A cycle of the matrix unit that belongs to an instruction.
    pub(super) fn matrix(&mut self, pc: u32, a: &Activity, semaphore: bool) {
        let m = &mut self.ops[pc as usize].matrix;
        let counter = if a.computes() {
            &mut m.computing
        } else if a.side_beat() {
            &mut m.parameters
        } else if a.starves() {
            &mut m.stream
        } else if a.blocked() {
            &mut m.output
        } else if semaphore {
            &mut m.semaphore
        } else if a.queued(Queue::Matrix) {
            &mut m.ends
        } else {
            &mut self.matrix_idle
        };
        *counter += 1;
    }
}
