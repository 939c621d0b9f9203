//! `accllm disasm`.

use crate::args::Disasm;
use crate::out::Out;
use accllm_compiler::Program;
use accllm_compiler::asm::disassemble;
use accllm_device::Result;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Serialize)]
struct Report {
    file: PathBuf,
    config: String,
    instructions: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    index: usize,
    text: String,
    /// What it computes.
    label: String,
}

/// Lists a program's instructions.
pub fn run(args: &Disasm, out: &Out) -> Result<()> {
    let (program, _) = Program::load(&args.file)?;
    out.text(&program.disassemble())?;
    let lines = program.code.iter().zip(&program.labels).enumerate();
    let instructions =
        lines.map(|(index, (i, label))| Line { index, text: disassemble(i), label: label.to_string() });
    out.report(&Report {
        file: args.file.clone(),
        config: program.layout.shape.config.clone(),
        instructions: instructions.collect(),
    })
}
