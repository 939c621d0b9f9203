//! What the sequencer means, and random programs that keep their promises about semaphores.

use super::bench::{MAT, PRE, Uop, VEC};
use accllm_hw::isa::{ARGS, Instr, LOOP_DEPTH, OPS, Op, REGISTERS, Unit};
use accllm_sim::memory::Rng;

/// What a run dispatches, with the semaphores of each operation.
#[derive(Debug, Default)]
pub struct Expected {
    /// Matrix and vector operations in program order.
    pub ops: Vec<(usize, Uop, Instr)>,
    /// Instructions executed.
    pub instructions: u64,
    pub constants: [u32; 9],
}

/// Interprets a program that ends.
pub fn interpret(program: &[Instr], args: [u32; ARGS]) -> Expected {
    let mut e = Expected::default();
    let mut r = [0u32; REGISTERS];
    r[1..=ARGS].copy_from_slice(&args);
    let mut loops: Vec<(usize, u32)> = Vec::new();
    let mut pc = 0;
    loop {
        let i = program[pc];
        let v = |imm: u32, n: usize| imm.wrapping_add(r[usize::from(i.regs[n])]);
        let [a, b, c, n, m] = [v(i.a, 0), v(i.b, 1), v(i.c, 2), v(i.n.into(), 3), v(i.m.into(), 4)];
        let op = Op::from_code(i.op).expect("legal");
        e.instructions += 1;
        pc += 1;
        match op {
            Op::END => return e,
            Op::FENCE => {}
            Op::ADD if i.x == 0 => {}
            Op::ADD => r[usize::from(i.x)] = a.wrapping_add(b),
            Op::SETC => e.constants[usize::from(i.x)] = a,
            Op::LOOP if n == 0 => pc = a as usize,
            Op::LOOP => loops.push((pc, n)),
            Op::ENDLOOP => {
                let top = loops.last_mut().expect("open");
                top.1 -= 1;
                if top.1 > 0 {
                    pc = top.0;
                } else {
                    loops.pop();
                }
            }
            _ => {
                let unit = if op.info().unit == Unit::Matrix { MAT } else { VEC };
                let seq = e.ops.len() as u32;
                let uop = Uop {
                    seq,
                    pc: (pc - 1) as u16,
                    op: i.op,
                    flags: i.flags,
                    operands: [a, b, c, n, m],
                    k: i.k,
                    sh: i.sh,
                    x: i.x,
                    aux: i.aux,
                };
                e.ops.push((unit, uop, i));
            }
        }
    }
}

/// Semaphores 1..5 are waited for by the matrix unit, 6..10 by the vector unit, 11..15 by the prefetcher.
fn owner(semaphore: usize) -> usize {
    [MAT, VEC, PRE][(semaphore - 1) / 5]
}

/// Makes random programs.
pub struct Writer<'a> {
    pub rng: &'a mut Rng,
    pub out: Vec<Instr>,
}

impl Writer<'_> {
    fn below(&mut self, n: u64) -> u64 {
        self.rng.range(0, n - 1)
    }

    fn word(&mut self) -> u32 {
        self.rng.range(0, u64::from(u32::MAX)) as u32
    }

    /// A body of `len` items; waits only for what the same body has signalled before.
    pub fn body(&mut self, len: u64, depth: usize) {
        let mut counts = [0u32; 16];
        for _ in 0..len {
            match self.below(10) {
                0 if depth < LOOP_DEPTH => self.repeat(depth),
                1 => {
                    let x = self.below(REGISTERS as u64) as u8;
                    let (a, b) = (self.word(), self.word());
                    // Registers 16.. count loops; only small values go there.
                    let (a, b) = if x >= 16 { (a % 3, 0) } else { (a, b) };
                    let regs = if x >= 16 { [0; 5] } else { [self.below(16) as u8, 0, 0, 0, 0] };
                    self.out.push(Instr { op: Op::ADD as u8, a, b, x, regs, ..Default::default() });
                }
                2 => {
                    let (a, x) = (self.word(), self.below(9) as u8);
                    self.out.push(Instr { op: Op::SETC as u8, a, x, ..Default::default() });
                }
                3 if self.below(3) == 0 => {
                    self.out.push(Instr { op: Op::FENCE as u8, ..Default::default() });
                }
                _ => self.operation(&mut counts),
            }
        }
    }

    fn repeat(&mut self, depth: usize) {
        let at = self.out.len();
        self.out.push(Instr::default());
        let len = 1 + self.below(3);
        self.body(len, depth + 1);
        self.out.push(Instr { op: Op::ENDLOOP as u8, ..Default::default() });
        let rn = if self.below(2) == 0 { 16 + self.below(16) as u8 } else { 0 };
        let n = self.below(3) as u16;
        self.out[at] = Instr {
            op: Op::LOOP as u8,
            a: self.out.len() as u32,
            n,
            regs: [0, 0, 0, rn, 0],
            ..Default::default()
        };
    }

    fn operation(&mut self, counts: &mut [u32; 16]) {
        let info = loop {
            let info = &OPS[self.below(OPS.len() as u64) as usize];
            if info.unit != Unit::Control {
                break info;
            }
        };
        let unit = if info.unit == Unit::Matrix { MAT } else { VEC };
        let mut i = Instr {
            op: info.op as u8,
            flags: self.word() as u8,
            a: self.word(),
            b: self.word(),
            c: self.word(),
            n: self.word() as u16,
            m: self.word() as u16,
            regs: std::array::from_fn(|_| self.below(32) as u8),
            k: self.word() as u16,
            sh: self.word() as u8,
            x: self.word() as u8,
            aux: self.word(),
            ..Default::default()
        };
        let mut take = |rng: &mut Rng, who: usize| {
            let mine: Vec<usize> = (1..16).filter(|&s| owner(s) == who && counts[s] > 0).collect();
            if mine.is_empty() || !rng.percent(70) {
                return 0;
            }
            let s = mine[rng.range(0, mine.len() as u64 - 1) as usize];
            counts[s] -= 1;
            s as u8
        };
        i.wait = [take(self.rng, unit), take(self.rng, unit)];
        if unit == MAT {
            i.prefetch_wait = take(self.rng, PRE);
        }
        for s in &mut i.signal {
            *s = if self.rng.percent(50) { self.rng.range(1, 15) as u8 } else { 0 };
            counts[usize::from(*s)] += u32::from(*s > 0);
        }
        self.out.push(i);
    }
}
