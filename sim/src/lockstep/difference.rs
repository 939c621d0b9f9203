//! A difference, and its words.

use std::fmt::Write as _;

use accllm_hw::config::{BEAT_BYTES, COLS};
use accllm_hw::isa::{LOOP_DEPTH, Op, Unit};

use crate::golden::{Executed, Space};

/// An executed instruction, without what it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Index among all matrix and vector instructions of the run.
    pub seq: u64,
    /// The unit.
    pub unit: Unit,
    /// Index among the instructions of its unit.
    pub unit_seq: u64,
    /// Index in the program.
    pub pc: u32,
    /// Opcode.
    pub op: Op,
    /// Iterations finished of each open loop, outermost first.
    pub loop_counters: [u32; LOOP_DEPTH],
}

impl From<&Executed> for Instruction {
    fn from(e: &Executed) -> Self {
        Self {
            seq: e.seq,
            unit: e.unit,
            unit_seq: e.unit_seq,
            pc: e.pc,
            op: e.op,
            loop_counters: e.loop_counters,
        }
    }
}

/// How an element differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Another value.
    Wrong {
        /// The executor's value.
        expected: i32,
        /// The hardware's.
        got: i32,
    },
    /// Never written.
    Missing {
        /// The executor's value.
        expected: i32,
    },
    /// Written a second time.
    Again {
        /// The hardware's second value.
        got: i32,
    },
    /// Written although the executor does not write it in this instruction.
    Unexpected {
        /// The hardware's value.
        got: i32,
    },
}

/// The first difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The unit that wrote.
    pub unit: Unit,
    /// Which of its instructions, counted from 0.
    pub unit_seq: u64,
    /// The instruction; `None` where the executor ran none of that number.
    pub instruction: Option<Instruction>,
    /// The memory.
    pub space: Space,
    /// The element.
    pub address: u64,
    /// What is different.
    pub kind: Kind,
}

/// Where an element belongs in the model. Parts that do not apply are left out of messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Layer.
    pub layer: Option<u32>,
    /// Operation or tensor.
    pub tensor: String,
    /// Token.
    pub token: Option<u32>,
    /// Row, head or channel.
    pub row: Option<u32>,
    /// Element in the row.
    pub element: Option<u32>,
}

/// Knows what a program's instructions compute.
pub trait Locate {
    /// The place of an element written by an instruction, if it is known.
    fn locate(&self, instruction: &Instruction, space: Space, address: u64) -> Option<Place>;
}

impl<F: Fn(&Instruction, Space, u64) -> Option<Place>> Locate for F {
    fn locate(&self, instruction: &Instruction, space: Space, address: u64) -> Option<Place> {
        self(instruction, space, address)
    }
}

/// Knows no places.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl Locate for Nowhere {
    fn locate(&self, _: &Instruction, _: Space, _: u64) -> Option<Place> {
        None
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(layer) = self.layer {
            write!(f, "layer {layer}, ")?;
        }
        f.write_str(&self.tensor)?;
        let parts = [("token", self.token), ("row", self.row), ("element", self.element)];
        parts.iter().filter_map(|(n, v)| v.map(|v| (n, v))).try_for_each(|(n, v)| write!(f, ", {n} {v}"))
    }
}

/// An element's address in the units of its memory.
fn address(space: Space, at: u64) -> String {
    match space {
        Space::Act(_) => format!("{space}[{:#x}] column {}", at / COLS as u64, at % COLS as u64),
        Space::Channel(_) | Space::Aux => {
            format!("{space}[beat {}] byte {}", at / BEAT_BYTES as u64, at % BEAT_BYTES as u64)
        }
        Space::Scalar(_) | Space::Result => format!("{space}[{at}]"),
        Space::Vmem | Space::Exponent(_) | Space::Score(_) => format!("{space}[{at:#x}]"),
    }
}

impl Difference {
    /// Order of differences: by program, then by address.
    pub(super) fn key(&self) -> (u64, u64, Space, u64) {
        let seq = self.instruction.map_or(u64::MAX, |i| i.seq);
        (seq, self.unit_seq, self.space, self.address)
    }

    /// The message: `layer 2, q, token 5, row 113: RTL 17, golden 18 (instruction 41 MATW, vmem[0x1234])`.
    pub fn message(&self, locate: &impl Locate) -> String {
        let place = self.instruction.and_then(|i| locate.locate(&i, self.space, self.address));
        let mut out = place.map_or_else(|| "element of no known tensor".into(), |p| p.to_string());
        out += &match self.kind {
            Kind::Wrong { expected, got } => format!(": RTL {got}, golden {expected}"),
            Kind::Missing { expected } => format!(": RTL never wrote it, golden {expected}"),
            Kind::Again { got } => format!(": RTL wrote it twice, the second time {got}"),
            Kind::Unexpected { got } => format!(": RTL wrote {got}, golden does not write it"),
        };
        // Writing to a string does not fail.
        let _ = match self.instruction {
            Some(i) => {
                let _ = write!(out, " (instruction {} {}", i.pc, i.op.info().name);
                if i.loop_counters != [0; LOOP_DEPTH] {
                    let _ = write!(out, ", loops {:?}", i.loop_counters);
                }
                write!(out, ", {})", address(self.space, self.address))
            }
            None => write!(
                out,
                " ({:?} unit's instruction number {}, which golden never ran, {})",
                self.unit,
                self.unit_seq,
                address(self.space, self.address)
            ),
        };
        out
    }
}
