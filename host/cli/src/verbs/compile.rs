//! `accllm compile`.

use crate::args::Compile;
use crate::out::Out;
use crate::prepare;
use accllm_device::{Error, Result, output};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Serialize)]
struct Report {
    model: String,
    output: PathBuf,
    bytes: u64,
    config: String,
    sinks: usize,
    window: usize,
    block: usize,
    sequences: usize,
    instructions: usize,
    instruction_bytes: usize,
}

/// Compiles a model into a program file.
pub fn run(args: &Compile, out: &Out) -> Result<()> {
    prepare::check(&args.shape)?;
    output::check_file(&args.output)?;
    let ready = prepare::model(&args.model, out)?;
    let busy = out.busy("compiling");
    let program = prepare::batched(&args.shape, &ready, args.sequences)?;
    program.save(&ready.model, &args.output)?;
    let bytes = std::fs::metadata(&args.output).map_err(|e| Error::io("read", &args.output, e))?.len();
    busy.finish_and_clear();
    let (info, shape) = (program.info(), &program.layout.shape);
    let report = Report {
        model: ready.name,
        output: args.output.clone(),
        bytes,
        config: info.config.clone(),
        sinks: shape.lambda.n_sink,
        window: shape.lambda.n_window,
        block: shape.block,
        sequences: shape.sequences,
        instructions: info.instructions,
        instruction_bytes: info.instruction_bytes(),
    };
    out.line(&format!(
        "{}: {} instructions ({} bytes) for '{}', {} sinks, window {}, blocks of {}; {:.2} MB with the memory image",
        args.output.display(),
        report.instructions,
        report.instruction_bytes,
        report.config,
        report.sinks,
        report.window,
        report.block,
        bytes as f64 / 1e6
    ))?;
    out.report(&report)
}
