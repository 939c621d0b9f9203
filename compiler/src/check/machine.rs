//! The sequencer over intervals.

use super::{Check, violation};
use crate::abi::{MAX_POSITION, reg};
use crate::label::Span;
use crate::layout::Layout;
use crate::program::Program;
use accllm_hw::config::GROUP;
use accllm_hw::isa::{Instr, Op, REGISTERS};

/// Unsigned interval, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interval {
    /// Smallest value.
    pub lo: u64,
    /// Largest value.
    pub hi: u64,
}

impl Interval {
    fn exact(v: u64) -> Self {
        Self { lo: v, hi: v }
    }

    fn plus(self, other: Self) -> Self {
        Self { lo: self.lo + other.lo, hi: self.hi + other.hi }
    }
}

/// An instruction with its operands.
pub(super) struct Visit<'a> {
    pub pc: usize,
    pub op: Op,
    pub instr: &'a Instr,
    pub a: Interval,
    pub b: Interval,
    pub c: Interval,
    pub n: Interval,
    pub m: Interval,
}

/// Interprets the control instructions of a program for a kind of run and every position.
pub(super) struct Machine<'a> {
    program: &'a Program,
    registers: [Interval; REGISTERS],
    /// Loops with a constant count (over layers) run at most so often.
    cap: usize,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// Tokens of one sequence.
    Step { sequence: usize, tokens: usize },
    /// A token of each sequence.
    Batch,
}

fn arguments(l: &Layout, run: Run, head: bool) -> [Interval; REGISTERS] {
    let s = &l.shape;
    let mut r = [Interval::default(); REGISTERS];
    let mut set = |register: u8, lo: usize, hi: usize| {
        r[usize::from(register)] = Interval { lo: lo as u64, hi: hi as u64 };
    };
    set(reg::HEAD, head.into(), head.into());
    set(reg::KSTEPS, 1, s.ring / s.k_slots);
    set(reg::WSLOTS, GROUP, s.ring);
    set(reg::VBLOCKS, (s.sink_pad + GROUP) / GROUP, s.slots() / GROUP);
    let Run::Step { sequence, tokens } = run else {
        set(reg::BATCH, 1, 1);
        for b in reg::BATCH_OF.iter().take(s.sequences) {
            set(b.pos, 0, MAX_POSITION as usize);
            set(b.ring, 0, s.ring - 1);
        }
        return r;
    };
    for (span, g) in [(Span::First, reg::FIRST), (Span::Second, reg::SECOND)] {
        let n = span.of(tokens).len();
        set(g.tokens, n, n);
        set(g.pos, 0, MAX_POSITION as usize);
        set(g.ring, 0, s.ring - 1);
    }
    let mut exact = |register, v| set(register, v, v);
    exact(reg::DECODE, usize::from(tokens == 1));
    exact(reg::PREFILL, usize::from(tokens > 1));
    exact(reg::SEQ, sequence * l.kv.seq);
    r
}

impl<'a> Machine<'a> {
    pub fn new(program: &'a Program, run: Run, head: bool, cap: usize) -> Self {
        Self { program, registers: arguments(&program.layout, run, head), cap }
    }

    fn operand(&self, pc: usize, immediate: u64, register: u8) -> Check<Interval> {
        let value = self.registers.get(usize::from(register)).copied().unwrap_or_default();
        let sum = Interval::exact(immediate).plus(value);
        if sum.hi > u32::MAX.into() {
            return violation(pc, format!("an operand can reach {}, which wraps", sum.hi));
        }
        Ok(sum)
    }

    /// Runs to END; `visit` sees every instruction of the units.
    pub fn run(&mut self, visit: &mut dyn FnMut(&Visit<'_>) -> Check<()>) -> Check<()> {
        /// Instructions after which a program is given up.
        const LIMIT: u64 = 1 << 26;
        let code = &self.program.code;
        let mut loops: Vec<(usize, u64)> = Vec::new();
        let (mut pc, mut budget) = (0, LIMIT);
        loop {
            let Some(instr) = code.get(pc) else {
                return violation(pc, "the program runs past its end");
            };
            let Some(op) = Op::from_code(instr.op) else {
                return violation(pc, "illegal opcode");
            };
            budget -= 1;
            if budget == 0 {
                return violation(pc, format!("more than {LIMIT} instructions in a run"));
            }
            let r = instr.regs;
            let v = Visit {
                pc,
                op,
                instr,
                a: self.operand(pc, instr.a.into(), r[0])?,
                b: self.operand(pc, instr.b.into(), r[1])?,
                c: self.operand(pc, instr.c.into(), r[2])?,
                n: self.operand(pc, instr.n.into(), r[3])?,
                m: self.operand(pc, instr.m.into(), r[4])?,
            };
            pc += 1;
            match op {
                Op::END => return Ok(()),
                Op::ADD if instr.x > 0 => self.registers[usize::from(instr.x)] = v.a.plus(v.b),
                Op::LOOP => {
                    if v.n.lo != v.n.hi {
                        return violation(pc - 1, "the number of iterations depends on the position");
                    }
                    let count = if r[3] == 0 { v.n.lo.min(self.cap as u64) } else { v.n.lo };
                    if count == 0 {
                        pc = v.a.lo as usize;
                    } else {
                        loops.push((pc, count));
                    }
                }
                Op::ENDLOOP => match loops.last_mut() {
                    Some((body, left)) if *left > 1 => {
                        *left -= 1;
                        pc = *body;
                    }
                    _ => {
                        loops.pop();
                    }
                },
                _ => visit(&v)?,
            }
        }
    }
}
