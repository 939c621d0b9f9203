//! Building instructions: operands, labels, loops over tokens, and the semaphores between the units.

use crate::error::{Error, Result};
use crate::label::{Label, LayerRef, Tensor, TokenRef};
use crate::lambda::reg;
use accllm_hw::isa::{Instr, Op};

/// Semaphores of the program. Each is signalled by one unit and waited for by one unit, both in order: a token
/// queue. The k-th wait therefore stands for everything before the k-th signal.
pub mod sem {
    /// Vector unit to matrix unit.
    pub const V2M: u8 = 1;
    /// Matrix unit to vector unit.
    pub const M2V: u8 = 2;
    /// Vector unit to prefetcher: keys of the block are in memory.
    pub const KEYS: u8 = 3;
    /// Vector unit to prefetcher: values of the block are in memory.
    pub const VALUES: u8 = 4;
}

/// An operand: immediate plus register.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opd(pub usize, pub u8);

impl From<usize> for Opd {
    fn from(v: usize) -> Self {
        Self(v, 0)
    }
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

    pub fn head(mut self, kv_head: usize, group: Option<usize>) -> Self {
        self.label.kv_head = Some(kv_head);
        self.label.group = group;
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
    /// Token of the instructions that follow.
    token: TokenRef,
    /// Tokens of a block at most: with 1 there are no loops over tokens.
    block: usize,
    /// Starts of open loops.
    open: Vec<usize>,
    error: Option<String>,
}

impl Builder {
    pub fn new(block: usize) -> Self {
        Self {
            code: Vec::new(),
            labels: Vec::new(),
            layer: None,
            token: TokenRef::All,
            block,
            open: Vec::new(),
            error: None,
        }
    }

    /// Starts an instruction.
    pub fn draft(&self, op: Op, name: &str) -> Draft {
        let label = Label { layer: self.layer, op: name.to_string(), token: self.token, ..Label::default() };
        Draft { instr: Instr { op: op as u8, ..Instr::default() }, label, wide: None }
    }

    /// Adds an instruction.
    pub fn push(&mut self, d: Draft) {
        if self.error.is_none() {
            self.error = d.wide;
        }
        self.code.push(d.instr);
        self.labels.push(d.label);
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

    /// Runs `body` for each token. `strides`: registers that advance from token to token.
    pub fn tokens(&mut self, strides: &[(u8, usize)], mut body: impl FnMut(&mut Self)) {
        if self.block == 1 {
            return body(self);
        }
        self.open(Opd(0, reg::NTOK));
        self.token = TokenRef::Loop(self.depth() - 1);
        body(self);
        self.token = TokenRef::All;
        self.advance(strides);
        self.close();
        self.reset(strides);
    }

    /// As [`Builder::tokens`]; `body` is told whether this is the last token.
    pub fn tokens_last(&mut self, strides: &[(u8, usize)], mut body: impl FnMut(&mut Self, bool)) {
        if self.block == 1 {
            return body(self, true);
        }
        self.open(Opd(0, reg::LAST));
        self.token = TokenRef::Loop(self.depth() - 1);
        body(self, false);
        self.token = TokenRef::All;
        self.advance(strides);
        self.close();
        self.token = TokenRef::Last;
        body(self, true);
        self.token = TokenRef::All;
        self.reset(strides);
    }

    fn advance(&mut self, strides: &[(u8, usize)]) {
        for &(register, step) in strides {
            self.add(register, step);
        }
    }

    fn reset(&mut self, strides: &[(u8, usize)]) {
        for &(register, _) in strides {
            let start = match register {
                reg::P => reg::POS,
                reg::R => reg::RING,
                _ => 0,
            };
            self.set(register, Opd(0, start));
        }
    }

    /// A matrix instruction that only signals, for each token but one: the vector unit's loop that follows waits
    /// once per token.
    pub fn signal_tokens(&mut self) {
        self.idle_tokens(|d| d.signal(sem::M2V));
    }

    /// A matrix instruction that only waits, for each token but one: the vector unit's loop before signalled once
    /// per token. The last wait belongs to the instruction that follows.
    pub fn wait_tokens(&mut self) {
        self.idle_tokens(|d| d.wait(sem::V2M));
    }

    fn idle_tokens(&mut self, sync: impl Fn(Draft) -> Draft) {
        if self.block > 1 {
            self.open(Opd(0, reg::LAST));
            let d = sync(self.draft(Op::MATW, "sync"));
            self.push(d);
            self.close();
        }
    }

    /// A matrix instruction that only waits once.
    pub fn wait_once(&mut self) {
        let d = self.draft(Op::MATW, "sync").wait(sem::V2M);
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
