//! Building instructions: operands, labels, loops over tokens, and the semaphores between the units.

use crate::abi::reg;
use crate::error::{Error, Result};
use crate::label::{Label, LayerRef, Span};
use accllm_hw::isa::{Instr, Op};
use accllm_hw::tensor::Tensor;

/// Semaphores of the program. Each is signalled by one unit and waited for by one unit, both in order: a token
/// queue. The k-th wait therefore stands for everything before the k-th signal. Attention (and the head) and MLP have
/// their own, since in prefill one group of tokens is in attention while the other is in the MLP.
pub mod sem {
    /// Attention, vector unit to matrix unit.
    pub const V2M: u8 = 1;
    /// Attention, matrix unit to vector unit.
    pub const M2V: u8 = 2;
    /// Vector unit to prefetcher: keys of the group are in memory.
    pub const KEYS: u8 = 3;
    /// Vector unit to prefetcher: values of the group are in memory.
    pub const VALUES: u8 = 4;
    /// Vector unit to matrix unit: codes of a part of the queries.
    pub const QUERIES: u8 = 7;
    /// MLP, vector unit to matrix unit.
    pub const MLP_V2M: u8 = 5;
    /// MLP, matrix unit to vector unit.
    pub const MLP_M2V: u8 = 6;
}

/// An operand: immediate plus register.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opd(pub usize, pub u8);

impl From<usize> for Opd {
    fn from(v: usize) -> Self {
        Self(v, 0)
    }
}

/// Where in the model and on which tokens instructions work.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    /// The group of tokens; [`Span::Step`] is decode, [`Span::Batch`] decode of all sequences.
    pub span: Span,
    pub layer: LayerRef,
}

/// What a loop over tokens waits for before its first instruction, and signals after its last one; 0 is nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sync {
    pub wait: u8,
    pub signal: u8,
}

/// An instruction under construction.
pub(super) struct Draft {
    instr: Instr,
    label: Label,
    wide: Option<String>,
}

impl Draft {
    fn fit<T: TryFrom<usize> + Default>(&mut self, field: &str, value: usize) -> T {
        T::try_from(value).unwrap_or_else(|_| {
            self.wide = Some(format!("{field} = {value} in {}", self.label));
            T::default()
        })
    }

    pub fn a(mut self, v: impl Into<Opd>) -> Self {
        let v = v.into();
        self.instr.a = self.fit("a", v.0);
        self.instr.regs[0] = v.1;
        self
    }

    pub fn b(mut self, v: impl Into<Opd>) -> Self {
        let v = v.into();
        self.instr.b = self.fit("b", v.0);
        self.instr.regs[1] = v.1;
        self
    }

    pub fn c(mut self, v: impl Into<Opd>) -> Self {
        let v = v.into();
        self.instr.c = self.fit("c", v.0);
        self.instr.regs[2] = v.1;
        self
    }

    pub fn n(mut self, v: impl Into<Opd>) -> Self {
        let v = v.into();
        self.instr.n = self.fit("n", v.0);
        self.instr.regs[3] = v.1;
        self
    }

    pub fn m(mut self, v: impl Into<Opd>) -> Self {
        let v = v.into();
        self.instr.m = self.fit("m", v.0);
        self.instr.regs[4] = v.1;
        self
    }

    pub fn k(mut self, v: usize) -> Self {
        self.instr.k = self.fit("k", v);
        self
    }

    pub fn sh(mut self, v: u8) -> Self {
        self.instr.sh = v;
        self
    }

    pub fn x(mut self, v: usize) -> Self {
        self.instr.x = self.fit("x", v);
        self
    }

    pub fn aux(mut self, v: usize) -> Self {
        self.instr.aux = self.fit("aux", v);
        self
    }

    pub fn flag(mut self, mask: u8, on: bool) -> Self {
        if on {
            self.instr.flags |= mask;
        }
        self
    }

    /// Waits for a semaphore before the unit starts.
    pub fn wait(mut self, s: u8) -> Self {
        let slot = usize::from(self.instr.wait[0] != 0);
        self.instr.wait[slot] = s;
        self
    }

    pub fn wait_if(self, on: bool, s: u8) -> Self {
        if on { self.wait(s) } else { self }
    }

    /// Signals a semaphore when done.
    pub fn signal(mut self, s: u8) -> Self {
        let slot = usize::from(self.instr.signal[0] != 0);
        self.instr.signal[slot] = s;
        self
    }

    pub fn signal_if(self, on: bool, s: u8) -> Self {
        if on { self.signal(s) } else { self }
    }

    /// The prefetcher waits for a semaphore before it reads.
    pub fn prefetch_wait_if(mut self, on: bool, s: u8) -> Self {
        if on {
            self.instr.prefetch_wait = s;
        }
        self
    }

    /// Tensors complete after this instruction.
    pub fn makes(mut self, tensors: &[Tensor]) -> Self {
        self.label.tensors = tensors.to_vec();
        self
    }

    pub fn head(mut self, kv_head: usize) -> Self {
        self.label.kv_head = Some(kv_head);
        self
    }

    pub fn part(mut self, first: usize, count: usize) -> Self {
        self.label.part = Some((first, count));
        self
    }
}

/// Collects instructions and labels.
pub(super) struct Builder {
    pub code: Vec<Instr>,
    pub labels: Vec<Label>,
    /// Layer of the instructions that follow.
    pub layer: Option<LayerRef>,
    /// Tokens of the instructions that follow: with [`Span::Step`] there are no loops over tokens.
    pub span: Span,
    /// Sequences of a batch.
    sequences: usize,
    /// The one that the instructions that follow are for; `None`: all.
    pub sequence: Option<usize>,
    /// What the token loop registers would hold for that sequence.
    offsets: [usize; reg::T.len()],
    token_loop: Option<u8>,
    /// Starts of open loops.
    open: Vec<usize>,
    error: Option<String>,
}

impl Builder {
    pub fn new(sequences: usize) -> Self {
        Self {
            code: Vec::new(),
            labels: Vec::new(),
            layer: None,
            span: Span::Step,
            sequences,
            sequence: None,
            offsets: Default::default(),
            token_loop: None,
            open: Vec::new(),
            error: None,
        }
    }

    /// Arguments of the current group of tokens.
    fn group(&self) -> reg::Group {
        if self.span == Span::Second { reg::SECOND } else { reg::FIRST }
    }

    /// Tokens of the group.
    pub fn count(&self) -> Opd {
        match self.span {
            Span::Step => Opd(1, 0),
            Span::Batch => Opd(self.sequences, 0),
            _ => Opd(0, self.group().tokens),
        }
    }

    /// Query rows of a KV head, of one sequence.
    pub fn rows(&self, gqa: usize) -> Opd {
        match self.span {
            Span::Step | Span::Batch => Opd(gqa, 0),
            _ if gqa == 1 => self.count(),
            _ => Opd(0, self.group().rows),
        }
    }

    /// Position of the token, in a loop that has [`reg::P`] among its strides.
    pub fn position(&self) -> Opd {
        Opd(0, self.argument(reg::FIRST.pos, |b| b.pos, reg::P))
    }

    /// Ring pointer of the token, in a loop that has [`reg::R`] among its strides.
    pub fn ring(&self) -> Opd {
        Opd(0, self.argument(reg::FIRST.ring, |b| b.ring, reg::R))
    }

    /// A token's register in decode, in a batch, and in loops.
    fn argument(&self, decode: u8, batch: impl Fn(&reg::Batch) -> u8, looped: u8) -> u8 {
        match self.span {
            Span::Step => decode,
            Span::Batch => reg::BATCH_OF.get(self.the_sequence()).map_or(0, batch),
            _ => looped,
        }
    }

    /// The sequence that the instructions that follow are for; 0 where it is in a register.
    pub fn the_sequence(&self) -> usize {
        self.sequence.unwrap_or(0)
    }

    /// Starts an instruction.
    pub fn draft(&self, op: Op, name: &str) -> Draft {
        let label = Label {
            layer: self.layer,
            op: name.to_string(),
            span: self.span,
            token_loop: self.token_loop,
            sequence: self.sequence,
            ..Label::default()
        };
        Draft { instr: Instr { op: op as u8, ..Instr::default() }, label, wide: None }
    }

    /// Adds an instruction.
    pub fn push(&mut self, mut d: Draft) {
        if self.span == Span::Batch {
            d = self.unrolled(d);
        }
        if self.error.is_none() {
            self.error = d.wide;
        }
        self.code.push(d.instr);
        self.labels.push(d.label);
    }

    /// In a batch there are no loops over tokens: offsets instead of their registers.
    fn unrolled(&self, d: Draft) -> Draft {
        let [a, b, c, n, m] = d
            .instr
            .regs
            .map(|r| reg::T.iter().zip(self.offsets).find(|(t, _)| **t == r).map(|(_, offset)| offset));
        let i = d.instr;
        let d = a.into_iter().fold(d, |d, by| d.a(i.a as usize + by));
        let d = b.into_iter().fold(d, |d, by| d.b(i.b as usize + by));
        let d = c.into_iter().fold(d, |d, by| d.c(i.c as usize + by));
        let d = n.into_iter().fold(d, |d, by| d.n(usize::from(i.n) + by));
        m.into_iter().fold(d, |d, by| d.m(usize::from(i.m) + by))
    }

    /// `R[register] = v`.
    pub fn set(&mut self, register: u8, v: impl Into<Opd>) {
        let d = self.draft(Op::ADD, "control").a(v).x(register.into());
        self.push(d);
    }

    /// `R[register] += step`.
    pub fn add(&mut self, register: u8, step: usize) {
        self.set(register, Opd(step, register));
    }

    pub fn open(&mut self, count: impl Into<Opd>) {
        self.open.push(self.code.len());
        let d = self.draft(Op::LOOP, "control").n(count);
        self.push(d);
    }

    pub fn close(&mut self) {
        let d = self.draft(Op::ENDLOOP, "control");
        self.push(d);
        let end = self.code.len() as u32;
        match self.open.pop() {
            Some(at) => self.code[at].a = end,
            None => self.error = Some("ENDLOOP without LOOP".into()),
        }
    }

    /// Number of open loops.
    pub fn depth(&self) -> u8 {
        self.open.len() as u8
    }

    /// Runs `body`, instructions of the vector unit, for each token of the group. `strides`: registers that advance from
    /// token to token. In a batch, for each sequence, or for the one that is set, without strides.
    pub fn tokens(&mut self, sync: Sync, strides: &[(u8, usize)], mut body: impl FnMut(&mut Self)) {
        if matches!(self.span, Span::Step | Span::Batch) {
            let (first, one) = (self.code.len(), self.sequence);
            if self.span == Span::Step || one.is_some() {
                body(self);
            } else {
                for s in 0..self.sequences {
                    self.sequence = Some(s);
                    self.offsets = reg::T
                        .map(|t| strides.iter().find(|(r, _)| *r == t).map_or(0, |(_, stride)| s * stride));
                    body(self);
                }
                (self.sequence, self.offsets) = (None, Default::default());
            }
            if let Some(i) = self.code.get_mut(first) {
                i.wait[0] = sync.wait;
            }
            if let Some(i) = self.code.last_mut() {
                i.signal[0] = sync.signal;
            }
            return;
        }
        if sync.wait != 0 {
            self.push(self.draft(Op::RADD, "sync").wait(sync.wait));
        }
        for &(register, _) in strides {
            match register {
                reg::P => self.set(reg::P, Opd(0, self.group().pos)),
                reg::R => self.set(reg::R, Opd(0, self.group().ring)),
                _ => {}
            }
        }
        self.open(self.count());
        self.token_loop = Some(self.depth() - 1);
        body(self);
        self.token_loop = None;
        for &(register, step) in strides {
            self.add(register, step);
        }
        self.close();
        for &(register, _) in strides.iter().filter(|(r, _)| reg::T.contains(r)) {
            self.set(register, 0);
        }
        if sync.signal != 0 {
            self.push(self.draft(Op::RADD, "sync").signal(sync.signal));
        }
    }

    /// A matrix instruction that only waits once.
    pub fn wait_once(&mut self, s: u8) {
        let d = self.draft(Op::MATW, "sync").wait(s);
        self.push(d);
    }

    /// The finished program.
    pub fn finish(self) -> Result<(Vec<Instr>, Vec<Label>)> {
        match self.error {
            Some(what) => Err(Error::Internal(format!("an instruction field is too narrow: {what}"))),
            None => Ok((self.code, self.labels)),
        }
    }
}
