//! Faults of the engine in words: instruction, operation, layer.

use accllm_compiler::Program;
use accllm_hw::isa::{ARGS, Op};
use accllm_hw::regs;
use accllm_sim::engine::{Counters, waits};
use accllm_sim::golden::{Completed, locate};

/// What the engine's registers say about a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registers {
    /// STATUS.
    pub status: u32,
    /// FAULT_PC.
    pub pc: u32,
    /// FAULT_INFO.
    pub info: u32,
    /// RESULT_INDEX.
    pub index: u32,
    /// RESULT_VALUE.
    pub value: u32,
    /// The counters.
    pub counters: Counters,
}

/// The instruction at `pc` of a run that was stopped there: index, mnemonic, layer, operation.
pub fn place(program: &Program, args: &[u32; ARGS], r: &Registers) -> String {
    let pc = r.pc as usize;
    let Some(instr) = program.code.get(pc) else {
        return format!("instruction {pc}, past the end of the program");
    };
    let name = Op::from_code(instr.op).map_or("an unknown operation", |op| op.info().name);
    let mut text = format!("instruction {pc} {name}");
    if let Some(label) = program.labels.get(pc) {
        let c = &r.counters;
        let completed = Completed { instructions: c.instructions, matrix: c.mat_done, vector: c.vec_done };
        let loops = locate(&program.code, *args, r.pc, completed);
        let layer = label.layer.map(|l| match &loops {
            // Of an instruction in the loop over layers, the loop's counter tells which.
            Some(loops) => label.layer_at(loops).map_or_else(String::new, |n| format!(", layer {n}")),
            None if l.in_loop.is_some() => format!(", layer {} or a later one", l.first),
            None => format!(", layer {}", l.first),
        });
        text += &layer.unwrap_or_default();
        if !label.op.is_empty() {
            text += &format!(", {}", label.op);
        }
        if let Some(h) = label.kv_head {
            text += &format!(" of head {h}");
        }
        if let Some(s) = label.sequence {
            text += &format!(" of sequence {s}");
        }
    }
    text
}

/// The fault, if there is one.
pub fn fault(program: &Program, args: &[u32; ARGS], r: &Registers) -> Option<String> {
    if r.status == 0 {
        return None;
    }
    if r.status == u32::MAX {
        return Some("the card does not answer any more (its registers read as all ones)".into());
    }
    let text = regs::fault_text(r.status);
    let info = match r.status {
        regs::FAULT_STALL => waits(r.info),
        _ if text.contains("FAULT_INFO is the channel") => format!("channel {}", r.info),
        _ => format!("info {:#x}", r.info),
    };
    Some(format!("the engine faulted: {text} ({info}), at {}", place(program, args, r)))
}
