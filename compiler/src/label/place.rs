//! From an executed instruction to tensors, and from an address back to the name of its element.

use super::cell::Cell;
use super::cells::RowRef;
use super::space::Space;
use super::{Label, Tensor};
use crate::program::Program;
use std::fmt;

/// An instruction in execution.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// Index of the instruction.
    pub pc: usize,
    /// Iterations finished of each open loop, outermost first.
    pub loops: &'a [u32],
    /// Position of the block's first token.
    pub position: u64,
    /// Tokens of the block.
    pub tokens: usize,
}

/// A row of a tensor that an instruction has completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Which row.
    pub row: RowRef,
    /// Index of the first element.
    pub first: usize,
    /// Its elements.
    pub cells: Vec<Cell>,
}

/// The name of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Layer.
    pub layer: Option<usize>,
    /// Operation.
    pub op: String,
    /// Tensor and element, where the address holds one when the instruction is done.
    pub element: Option<(RowRef, usize)>,
    /// Memory.
    pub space: Space,
    /// Address.
    pub address: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(l) = self.layer {
            write!(f, "layer {l}, ")?;
        }
        write!(f, "{}", self.op)?;
        if let Some((row, i)) = &self.element {
            write!(f, ", {}, token {}", row.tensor.name(), row.token)?;
            write!(f, " (position {})", row.position + row.token as u64)?;
            if let Some(h) = row.head {
                write!(f, ", head {h}")?;
            }
            write!(f, ", element {i}")?;
        }
        write!(f, " [{} {:#x}]", self.space, self.address)
    }
}

impl Program {
    /// Rows of tensors that are complete when the instruction is done.
    pub fn outputs(&self, at: Moment<'_>) -> Vec<Output> {
        let Some(label) = self.labels.get(at.pc) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for &tensor in &label.tensors {
            for token in label.tokens_at(at.loops, at.tokens) {
                if matches!(tensor, Tensor::HeadIn | Tensor::Logits | Tensor::Argmax)
                    && token + 1 != at.tokens
                {
                    continue;
                }
                for head in self.heads_of(label, tensor) {
                    let row = RowRef {
                        tensor,
                        layer: label.layer_at(at.loops),
                        token,
                        position: at.position,
                        head,
                        part: label.part,
                    };
                    let first = label.part.map_or(0, |p| p.0);
                    out.push(Output { row, first, cells: self.layout.cells(row) });
                }
            }
        }
        out
    }

    /// Heads of a tensor that an instruction works on.
    fn heads_of(&self, label: &Label, tensor: Tensor) -> Vec<Option<usize>> {
        let group = self.layout.shape.group;
        let Some(count) = tensor.heads(&self.layout) else {
            return vec![None];
        };
        match (label.kv_head, label.group) {
            (Some(h), Some(g)) => vec![Some(h * group + g)],
            (Some(h), None) => (h * group..(h + 1) * group).map(Some).collect(),
            _ => (0..count).map(Some).collect(),
        }
    }

    /// Names an address that an instruction wrote.
    pub fn locate(&self, at: Moment<'_>, space: Space, address: u64) -> Place {
        let label = self.labels.get(at.pc);
        let hit = self.outputs(at).into_iter().find_map(|o| {
            let cell = o.cells.iter().position(|c| c.addresses().any(|a| a == (space, address)))?;
            Some((o.row, o.first + cell))
        });
        Place {
            layer: label.and_then(|l| l.layer_at(at.loops)),
            op: label.map_or_else(String::new, |l| l.op.clone()),
            element: hit,
            space,
            address,
        }
    }
}
