//! What an instruction wrote, for comparison with the hardware.

use std::fmt;

use accllm_hw::isa::{LOOP_DEPTH, Op, Unit};

/// Fields of a scalar file entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Step of K or Q.
    Scale,
    /// Base of K.
    Base,
    /// Mantissa of a reciprocal or reciprocal root.
    R,
    /// Its exponent.
    K,
    /// Sum of a query's codes.
    QSum,
    /// Mantissa of the reciprocal of the softmax sum.
    SumR,
    /// Its exponent.
    SumK,
}

/// A memory that elements are written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Vector memory; address = element.
    Vmem,
    /// Activation buffer of a lane; address = word * 256 + column.
    Act(u8),
    /// Exponents of the activation buffer of a lane; address = word.
    Exponent(u8),
    /// Score buffer of a lane; address = element.
    Score(u8),
    /// A field of the scalar file; address = entry.
    Scalar(Field),
    /// Result registers; address 0 = index, 1 = value.
    Result,
    /// A channel's memory; address = byte from its base (beat * 64 + byte).
    Channel(u8),
    /// Auxiliary memory; address = byte from its base.
    Aux,
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vmem => f.write_str("vmem"),
            Self::Act(l) => write!(f, "act.lane{l}"),
            Self::Exponent(l) => write!(f, "exponent.lane{l}"),
            Self::Score(l) => write!(f, "score.lane{l}"),
            Self::Scalar(field) => write!(f, "scalar.{}", format!("{field:?}").to_lowercase()),
            Self::Result => f.write_str("result"),
            Self::Channel(c) => write!(f, "channel{c}"),
            Self::Aux => f.write_str("aux"),
        }
    }
}

/// One element written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Write {
    /// Where.
    pub space: Space,
    /// Element address in that space.
    pub address: u64,
    /// Value; bytes of channels and auxiliary memory are 0..255, RESULT index is its bit pattern.
    pub value: i32,
}

/// An executed matrix or vector instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// Index among all matrix and vector instructions of the run, in program order.
    pub seq: u64,
    /// The unit.
    pub unit: Unit,
    /// Index among the instructions of its unit in the run.
    pub unit_seq: u64,
    /// Index of the instruction in the program.
    pub pc: u32,
    /// Opcode.
    pub op: Op,
    /// Iterations finished of each open loop, outermost first; 0 where none is open.
    pub loop_counters: [u32; LOOP_DEPTH],
    /// Everything it wrote, each element once unless the program lets outputs overlap.
    pub writes: Vec<Write>,
}

/// Receives the records of a run.
pub trait Observer {
    /// Whether writes are to be recorded; asked once at the start of a run.
    fn wants(&self) -> bool {
        true
    }

    /// An instruction has been executed. Called only when [`Observer::wants`].
    fn executed(&mut self, record: Executed);
}

/// The observer that looks at nothing: the fast path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn wants(&self) -> bool {
        false
    }

    fn executed(&mut self, _: Executed) {}
}

/// Collects all records.
impl Observer for Vec<Executed> {
    fn executed(&mut self, record: Executed) {
        self.push(record);
    }
}

impl<F: FnMut(Executed)> Observer for F {
    fn executed(&mut self, record: Executed) {
        self(record);
    }
}
