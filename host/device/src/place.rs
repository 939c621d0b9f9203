//! Names the element of the model that an instruction writes, for messages about differences.

use accllm_compiler::abi::reg;
use accllm_compiler::image::source_row;
use accllm_compiler::label::Label;
use accllm_compiler::{Program, Step};
use accllm_hw::config::{COLS, MACS};
use accllm_hw::isa::{ARGS, Instr, Op};
use accllm_hw::sizes::Linear;
use accllm_hw::tensor::Tensor;
use accllm_sim::golden::{Executed, Space};
use accllm_sim::lockstep::{Instruction, Locate, Place};
use std::collections::BTreeMap;

/// Knows what one run of a program computes.
pub struct Places<'a> {
    program: &'a Program,
    position: u64,
    tokens: usize,
    /// Positions of the sequences in a step of all.
    sequences: Vec<u64>,
    /// Lowest address that an operation of the run writes in a memory, by its number.
    first: BTreeMap<(u64, Space), u64>,
}

impl<'a> Places<'a> {
    /// For a run with these arguments.
    pub fn new(program: &'a Program, args: &[u32; ARGS]) -> Self {
        let Step { position, tokens, .. } = Step::of_args(args);
        let arg = |register: u8| args[usize::from(register) - 1];
        let sequences = if arg(reg::BATCH) == 0 { 0 } else { program.layout.shape.sequences };
        let sequences = reg::BATCH_OF.iter().take(sequences).map(|b| arg(b.pos).into()).collect();
        Self { program, position, tokens, sequences, first: BTreeMap::new() }
    }

    /// Learns where an operation writes.
    pub fn learn(&mut self, record: &Executed) {
        let mut last = None;
        for w in &record.writes {
            // Writes of an operation come in runs of one memory.
            if last != Some(w.space) || self.first.get(&(record.seq, w.space)).is_some_and(|a| w.address < *a)
            {
                let first = self.first.entry((record.seq, w.space)).or_insert(w.address);
                *first = w.address.min(*first);
                last = Some(w.space);
            }
        }
    }

    fn element(&self, i: &Instruction, op: &Op, label: &Label, space: Space, address: u64) -> Where {
        let first = self.first.get(&(i.seq, space)).copied().unwrap_or(address);
        let offset = address.saturating_sub(first) as usize;
        let s = &self.program.layout.shape;
        let instr = self.program.code.get(i.pc as usize).copied().unwrap_or_default();
        let first = label.span.of(self.tokens).start;
        let sets = self.program.layout.sets(label.span);
        let number = label.kv_head.map(|h| label.sequence.unwrap_or(0) * s.sizes.kv_heads + h);
        let row = |row: usize| Where {
            token: Some(first + row / s.group.max(1)),
            head: label.kv_head.map(|h| h * s.group + row % s.group.max(1)),
            element: None,
        };
        match (op, space) {
            (Op::MATW, Space::Vmem) => {
                matrix(&instr, label, first, offset, |linear, o| source_row(s, linear, o))
            }
            (Op::MATV, Space::Vmem) => {
                let stride = (instr.aux as usize).max(1);
                Where { element: Some(offset % stride), ..row(offset / stride) }
            }
            (Op::MATK, Space::Score(lane)) => {
                let score = &self.program.layout.score;
                let set = number.map_or(0, |n| sets.of(n)) * sets.steps;
                let (step, at) = (address as usize / score.row.max(1), address as usize % score.row.max(1));
                Where { element: Some(at), ..row(step.saturating_sub(set) * s.lanes + usize::from(lane)) }
            }
            (Op::SILU, Space::Act(_) | Space::Exponent(_)) => {
                let token = label.tokens_at(&i.loop_counters, self.tokens).next();
                Where { token, head: None, element: Some(silu_column(&instr, label, space, offset)) }
            }
            (Op::SOFTMAX, Space::Act(lane)) => {
                let (act, wide) = (&self.program.layout.act, usize::from(s.prob_wide));
                let (word, col) = (address as usize / COLS, address as usize % COLS);
                let set = number.map_or(0, |n| sets.of(n)) * sets.prob;
                let (word, x) = (word.saturating_sub(act.prob + set), act.prob_x.max(1));
                let lane_row = word % x * s.lanes + usize::from(lane);
                let slot = word / x * 64 + col / MACS * 32 + col % 32;
                Where { element: Some(slot), ..row(lane_row >> wide) }
            }
            (Op::SOFTMAX, Space::Scalar(_)) => {
                let scalars = &self.program.layout.scalars;
                let first = label.kv_head.map_or(0, |h| scalars.q_win + h * scalars.q_stride);
                row((address as usize).saturating_sub(first))
            }
            (Op::ATTQ, Space::Act(lane)) => {
                let (act, hds) = (&self.program.layout.act, s.hds.max(1));
                let (word, col) = (address as usize / COLS, address as usize % COLS);
                let (word, x) = (word.saturating_sub(act.attn), act.attn_x.max(1));
                let col = word / x * COLS + col;
                let token = Some(first + word % x * s.lanes + usize::from(lane));
                Where { token, head: Some(col / hds), element: Some(col % hds) }
            }
            _ => {
                let mut tokens = label.tokens_at(&i.loop_counters, self.tokens);
                let token = if tokens.len() == 1 { tokens.next() } else { None };
                Where { token, head: label.kv_head, element: Some(offset) }
            }
        }
    }
}

/// Token of the block, head, element.
struct Where {
    token: Option<usize>,
    head: Option<usize>,
    element: Option<usize>,
}

/// A column of SILU's output, or the block of columns that an exponent is of.
fn silu_column(instr: &Instr, label: &Label, space: Space, offset: usize) -> usize {
    let (x, first) = (usize::from(instr.x).max(1), label.part.map_or(0, |p| p.0));
    match space {
        Space::Exponent(_) => first / COLS + offset / x,
        _ => first + offset / COLS / x * COLS + offset % COLS,
    }
}

/// An output row of a linear layer, in the checkpoint's order.
fn matrix(
    instr: &Instr,
    label: &Label,
    first: usize,
    offset: usize,
    source: impl Fn(Linear, usize) -> Option<usize>,
) -> Where {
    let stride = (instr.aux as usize).max(1);
    let (token, o) = (first + offset / stride, offset % stride + label.part.map_or(0, |p| p.0));
    let linear = match label.tensors.first() {
        Some(Tensor::Q) => Some(Linear::Q),
        Some(Tensor::K) => Some(Linear::K),
        Some(Tensor::V) => Some(Linear::V),
        _ => None,
    };
    let element = linear.map_or(Some(o), |l| source(l, o));
    Where { token: Some(token), head: None, element: element.or(Some(o)) }
}

impl Locate for Places<'_> {
    fn locate(&self, i: &Instruction, space: Space, address: u64) -> Option<Place> {
        let label = self.program.labels.get(i.pc as usize)?;
        let at = self.element(i, &i.op, label, space, address);
        let tensor = match label.tensors.as_slice() {
            [one] => one.name().to_string(),
            [] => label.op.clone(),
            several => {
                let names: Vec<_> = several.iter().map(|t| t.name()).collect();
                format!("{} ({})", label.op, names.join(", "))
            }
        };
        let number = |n: usize| u32::try_from(n).ok();
        let position = |t: usize| Some(self.position + t as u64);
        let (tensor, token) = match label.sequence.or(at.token) {
            Some(s) if !self.sequences.is_empty() => {
                (format!("{tensor} of sequence {s}"), self.sequences.get(s).copied())
            }
            _ => (tensor, at.token.and_then(position)),
        };
        let token = token.and_then(|t| u32::try_from(t).ok());
        Some(Place {
            layer: label.layer_at(&i.loop_counters).and_then(number),
            tensor,
            token,
            row: at.head.and_then(number),
            element: at.element.and_then(number),
        })
    }
}
