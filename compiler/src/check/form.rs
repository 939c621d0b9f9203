//! Form: encoding, loops, semaphore ownership, constants.

use super::{Check, violation};
use crate::program::Program;
use accllm_hw::config::Config;
use accllm_hw::isa::{Instr, LOOP_DEPTH, Op, REGISTERS, SEMAPHORES, Unit};

/// Units that signal or wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Actor {
    Prefetcher,
    Matrix,
    Vector,
}

pub(super) fn check(program: &Program, config: &Config) -> Check<()> {
    let code = &program.code;
    if code.len() > config.imem {
        return violation(config.imem, format!("{} instructions for {}", code.len(), config.imem));
    }
    if program.labels.len() != code.len() {
        let what = format!("{} labels for {} instructions", program.labels.len(), code.len());
        return violation(code.len().min(program.labels.len()), what);
    }
    let mut ops = Vec::with_capacity(code.len());
    for (pc, instr) in code.iter().enumerate() {
        match Instr::decode(&instr.encode()) {
            Ok((op, back)) if back == *instr => ops.push(op),
            Ok(_) => return violation(pc, "a field is wider than its place in the encoding"),
            Err(e) => return violation(pc, e.to_string()),
        }
    }
    loops(code, &ops)?;
    owners(code, &ops)?;
    constants(program, &ops)
}

fn loops(code: &[Instr], ops: &[Op]) -> Check<()> {
    let mut open: Vec<usize> = Vec::new();
    for (pc, op) in ops.iter().enumerate() {
        match op {
            Op::LOOP => {
                open.push(pc);
                if open.len() > LOOP_DEPTH {
                    return violation(pc, format!("more than {LOOP_DEPTH} loops inside each other"));
                }
            }
            Op::ENDLOOP => {
                let Some(start) = open.pop() else {
                    return violation(pc, "ENDLOOP without LOOP");
                };
                if code[start].a as usize != pc + 1 || code[start].regs[0] != 0 {
                    let what = format!("LOOP goes on at {}, its ENDLOOP is at {pc}", code[start].a);
                    return violation(start, what);
                }
            }
            Op::END if !open.is_empty() => return violation(pc, "END inside a loop"),
            Op::END if pc + 1 != code.len() => return violation(pc, "END before the end"),
            Op::ADD if usize::from(code[pc].x) >= REGISTERS => {
                return violation(pc, format!("there is no register {}", code[pc].x));
            }
            _ => {}
        }
    }
    match (open.last(), ops.last()) {
        (Some(&pc), _) => violation(pc, "LOOP without ENDLOOP"),
        (None, Some(Op::END)) => Ok(()),
        _ => violation(code.len().saturating_sub(1), "the last instruction is not END"),
    }
}

/// Each semaphore is signalled by one unit and waited for by one unit.
fn owners(code: &[Instr], ops: &[Op]) -> Check<()> {
    let mut signalled = [None; SEMAPHORES + 1];
    let mut waited = [None; SEMAPHORES + 1];
    let claim = |owners: &mut [Option<Actor>; SEMAPHORES + 1], pc: usize, s: u8, actor: Actor| {
        let Some(owner) = owners.get_mut(usize::from(s)) else {
            return violation(pc, format!("there is no semaphore {s}"));
        };
        match *owner {
            Some(other) if s > 0 && other != actor => {
                violation(pc, format!("semaphore {s} belongs to two units, {other:?} and {actor:?}"))
            }
            _ => {
                *owner = Some(actor);
                Ok(())
            }
        }
    };
    for (pc, (instr, op)) in code.iter().zip(ops).enumerate() {
        let actor = match op.info().unit {
            Unit::Control => continue,
            Unit::Matrix => Actor::Matrix,
            Unit::Vector => Actor::Vector,
        };
        for s in instr.wait {
            claim(&mut waited, pc, s, actor)?;
        }
        for s in instr.signal {
            claim(&mut signalled, pc, s, actor)?;
        }
        claim(&mut waited, pc, instr.prefetch_wait, Actor::Prefetcher)?;
        let [a, b] = instr.wait;
        if a != 0 && a == b {
            return violation(pc, format!("waits for semaphore {a} twice"));
        }
    }
    Ok(())
}

/// The constants are those of the map, set before the first unit instruction.
fn constants(program: &Program, ops: &[Op]) -> Check<()> {
    let expected = program.layout.constants();
    let mut set = [None; 9];
    for (pc, (instr, op)) in program.code.iter().zip(ops).enumerate() {
        match op {
            Op::SETC => {
                let x = usize::from(instr.x);
                let Some(&want) = expected.get(x) else {
                    return violation(pc, format!("there is no constant {x}"));
                };
                if instr.regs[0] != 0 || instr.a as usize != want {
                    return violation(pc, format!("constant {x} is {want} in the memory map"));
                }
                set[x] = Some(pc);
            }
            _ if op.info().unit != Unit::Control => {
                return match set.iter().position(Option::is_none) {
                    Some(x) => violation(pc, format!("constant {x} is not set before this instruction")),
                    None => Ok(()),
                };
            }
            _ => {}
        }
    }
    Ok(())
}
