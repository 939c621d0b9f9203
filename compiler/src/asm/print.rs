//! Instruction to text.

use accllm_hw::isa::{Instr, Op};
use std::fmt::Write;

fn operand(out: &mut String, name: &str, immediate: u32, register: u8) {
    // Writing to a string cannot fail.
    let _ = match (register, immediate) {
        (0, 0) => Ok(()),
        (0, v) if v < 1024 => write!(out, " {name}={v}"),
        (0, v) => write!(out, " {name}={v:#x}"),
        (r, 0) => write!(out, " {name}=R{r}"),
        (r, v) => write!(out, " {name}=R{r}+{v:#x}"),
    };
}

fn pair(out: &mut String, name: &str, [first, second]: [u8; 2]) {
    let _ = match (first, second) {
        (0, 0) => Ok(()),
        (a, 0) => write!(out, " {name}={a}"),
        (a, b) => write!(out, " {name}={a},{b}"),
    };
}

/// The text of an instruction. An illegal opcode prints as `?`.
pub fn disassemble(i: &Instr) -> String {
    let mut out = Op::from_code(i.op).map_or("?", |op| op.info().name).to_string();
    let operands = [("a", i.a), ("b", i.b), ("c", i.c), ("n", i.n.into()), ("m", i.m.into())];
    for ((name, value), register) in operands.into_iter().zip(i.regs) {
        operand(&mut out, name, value, register);
    }
    let immediates = [
        ("k", u32::from(i.k)),
        ("sh", i.sh.into()),
        ("x", i.x.into()),
        ("aux", i.aux),
        ("flags", i.flags.into()),
    ];
    for (name, value) in immediates {
        operand(&mut out, name, value, 0);
    }
    pair(&mut out, "wait", i.wait);
    pair(&mut out, "sig", i.signal);
    operand(&mut out, "pfw", i.prefetch_wait.into(), 0);
    out
}
