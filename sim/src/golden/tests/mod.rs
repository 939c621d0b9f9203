mod control;

use super::*;
use accllm_hw::config::{CONFIGS, Config};
use accllm_hw::isa::{Instr, Op};

fn tiny() -> &'static Config {
    &CONFIGS[0]
}

fn instr(op: Op) -> Instr {
    Instr { op: op as u8, ..Default::default() }
}

fn end() -> Instr {
    instr(Op::END)
}
