//! Integer reference against golden executor, tensor by tensor: every tensor of `docs/numerics.md`, whatever
//! buffer, layout and packing the program keeps it in. This is what proves the compiler.

mod act;
mod cache;
mod scalar;
mod score;
mod vmem;

use crate::{Error, Result};
use accllm_compiler::label::Label;
use accllm_compiler::{Layout, Program};
use accllm_hw::isa::Instr;
use accllm_hw::tables;
use accllm_hw::tensor::Tensor;
use accllm_llm::int::{At, IntTap};
use accllm_sim::golden::Executed;
use std::collections::BTreeMap;

/// A tensor of one token, and of one head where it has heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    tensor: Tensor,
    layer: Option<usize>,
    token: u64,
    head: Option<usize>,
}

struct Expected {
    values: Vec<i32>,
    seen: Vec<bool>,
}

/// The first element that differs.
struct Difference {
    key: Key,
    element: usize,
    reference: Option<i32>,
    golden: i32,
    at: String,
}

/// One run of a program, compared.
pub struct Tensors<'a> {
    program: &'a Program,
    position: u64,
    tokens: usize,
    head: bool,
    expected: BTreeMap<Key, Expected>,
    difference: Option<Difference>,
}

/// Takes the reference's tensors; to be handed to its session.
pub struct Recorder<'t, 'a>(&'t mut Tensors<'a>);

impl IntTap for Recorder<'_, '_> {
    fn tensor(&mut self, at: At, data: &[i32]) {
        let key = Key { tensor: at.tensor, layer: at.layer, token: at.token, head: at.head };
        let values = match (at.tensor, data) {
            // The engine keeps the sum's reciprocal only.
            (Tensor::ProbSum, [sum]) => {
                let tables::Recip { r, k } = tables::recip(sum.cast_unsigned());
                vec![r.into(), k.cast_signed()]
            }
            _ => data.to_vec(),
        };
        let tensor = Expected { seen: vec![false; values.len()], values };
        self.0.expected.insert(key, tensor);
    }
}

/// An instruction that was executed, with all that is known about it.
struct Context<'r> {
    layout: &'r Layout,
    label: &'r Label,
    instr: Instr,
    record: &'r Executed,
    /// Of the first token of the block.
    position: u64,
    /// Tokens of the block that the instruction works on.
    tokens: std::ops::Range<usize>,
    /// First token of their group: rows of buffers that hold one group count from it.
    first: usize,
    block: usize,
}

/// An element as found: which tensor, whose token in the block, head, index, value.
struct Found {
    tensor: Tensor,
    token: usize,
    head: Option<usize>,
    element: usize,
    value: i32,
}

impl<'a> Tensors<'a> {
    /// For the run of `tokens` tokens from `position` on; `head`: it makes logits.
    pub fn new(program: &'a Program, position: u64, tokens: usize, head: bool) -> Self {
        Self { program, position, tokens, head, expected: BTreeMap::new(), difference: None }
    }

    /// A tap for the reference's session.
    pub fn recorder(&mut self) -> Recorder<'_, 'a> {
        Recorder(self)
    }

    /// Compares what an instruction of the golden executor wrote.
    pub fn check(&mut self, record: &Executed) {
        let program = self.program;
        let pc = record.pc as usize;
        let (Some(label), Some(instr)) = (program.labels.get(pc), program.code.get(pc)) else { return };
        let context = Context {
            layout: &program.layout,
            label,
            instr: *instr,
            record,
            position: self.position,
            tokens: label.tokens_at(&record.loop_counters, self.tokens),
            first: label.span.of(self.tokens).start,
            block: self.tokens,
        };
        let mut found = Vec::new();
        vmem::elements(&context, &mut found);
        act::elements(&context, &mut found);
        scalar::elements(&context, &mut found);
        score::elements(&context, &mut found);
        cache::elements(&context, &mut found);
        let layer = label.layer_at(&record.loop_counters);
        for f in found {
            let key = Key { tensor: f.tensor, layer, token: self.position + f.token as u64, head: f.head };
            self.compare(key, &f, record);
        }
    }

    fn compare(&mut self, key: Key, f: &Found, record: &Executed) {
        let tensor = self.expected.get_mut(&key);
        let want = tensor.as_ref().and_then(|t| t.values.get(f.element).copied());
        if let Some(seen) = tensor.and_then(|t| t.seen.get_mut(f.element)) {
            *seen = true;
        }
        if want != Some(f.value) && self.difference.is_none() {
            let at = format!("instruction {} {}", record.pc, record.op.info().name);
            self.difference =
                Some(Difference { key, element: f.element, reference: want, golden: f.value, at });
        }
    }

    /// Tensors and elements compared.
    ///
    /// # Errors
    /// The first difference, or a tensor of the reference that the program never made.
    pub fn finish(self) -> Result<(u64, u64)> {
        let name = |k: &Key| {
            let layer = k.layer.map(|l| format!("layer {l}, ")).unwrap_or_default();
            let head = k.head.map(|h| format!(", head {h}")).unwrap_or_default();
            format!("{layer}{}, token {}{head}", k.tensor.name(), k.token)
        };
        if let Some(d) = &self.difference {
            let reference = d.reference.map_or("no such element".to_string(), |v| v.to_string());
            return Err(Error::Mismatch(format!(
                "golden executor and integer reference differ: {}, element {}: golden {}, reference {reference} ({})",
                name(&d.key),
                d.element,
                d.golden,
                d.at
            )));
        }
        let sinks = self.program.layout.shape.lambda.n_sink > 0;
        let (mut tensors, mut elements) = (0, 0);
        for (key, tensor) in &self.expected {
            let made = match key.tensor {
                Tensor::HeadIn | Tensor::Logits => self.head,
                Tensor::QSink | Tensor::Q8Sink | Tensor::QScaleSink | Tensor::QSumSink => sinks,
                _ => true,
            };
            if let (true, Some(i)) = (made, tensor.seen.iter().position(|s| !s)) {
                return Err(Error::Mismatch(format!(
                    "the program never makes {}, element {i}; the integer reference does",
                    name(key)
                )));
            }
            if made {
                tensors += 1;
                elements += tensor.values.len() as u64;
            }
        }
        Ok((tensors, elements))
    }
}
