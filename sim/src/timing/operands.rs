//! An operation as its unit gets it: operands with registers added, and the semaphores to signal.

use accllm_hw::isa::{Instr, Op, REGISTERS};

/// An operation on its way to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operation {
    pub pc: u32,
    pub op: Op,
    pub signal: [u8; 2],
    pub a: u32,
    pub b: u32,
    pub c: u32,
    pub n: u32,
    pub m: u32,
    pub k: u32,
    pub sh: u32,
    pub x: u32,
    pub aux: u32,
    pub flags: u8,
}

impl Operation {
    pub fn new(pc: u32, op: Op, i: &Instr, registers: &[u32; REGISTERS]) -> Self {
        let add =
            |v: u32, r: usize| v.wrapping_add(registers.get(usize::from(i.regs[r])).copied().unwrap_or(0));
        Self {
            pc,
            op,
            signal: i.signal,
            a: add(i.a, 0),
            b: add(i.b, 1),
            c: add(i.c, 2),
            n: add(i.n.into(), 3),
            m: add(i.m.into(), 4),
            k: i.k.into(),
            sh: i.sh.into(),
            x: i.x.into(),
            aux: i.aux,
            flags: i.flags,
        }
    }
}

/// The unit constants that times depend on (docs/isa.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Constants(pub [u32; 9]);

impl Constants {
    pub fn hdp(&self) -> u64 {
        self.0[0].into()
    }

    pub fn sinks(&self) -> u64 {
        self.0[1].into()
    }

    pub fn ring(&self) -> u64 {
        self.0[3].into()
    }

    pub fn sink_pad(&self) -> u64 {
        self.0[4].into()
    }

    pub fn gqa(&self) -> u64 {
        self.0[5].into()
    }

    pub fn k_window(&self) -> u64 {
        self.0[7].into()
    }

    pub fn v_dim(&self) -> u64 {
        self.0[8].into()
    }
}
