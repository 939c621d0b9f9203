//! What several verbs begin with: a quantized model, and its program.

use super::args::ShapeArgs;
use super::out::Out;
use accllm_compiler::{MemoryImage, ModelSpec, Program, Settings};
use accllm_device::{Error, Result};
use accllm_hw::config::{self, Config};
use accllm_llm::model::LambdaShape;
use accllm_llm::model::check_lambda;
use accllm_text::calibration::Calibration;
use accllm_text::model::{Ready, Source};
use std::path::Path;

/// The configuration: a built-in one, or a file.
pub fn config(shape: &ShapeArgs) -> Result<Config> {
    Ok(config::open(&shape.config)?)
}

/// Refuses a shape that no model could have, before any work.
pub fn check(shape: &ShapeArgs) -> Result<()> {
    let config = config(shape)?;
    let (n_sink, n_window) = (shape.sinks.unwrap_or(0), shape.window.unwrap_or(1));
    check_lambda(LambdaShape { n_sink, n_window }, Path::new("command line"))?;
    match shape.block {
        Some(b) if b == 0 || b > config.block => Err(Error::Argument(format!(
            "--block is {b}; configuration '{}' takes 1 to {} tokens",
            config.name, config.block
        ))),
        _ => Ok(()),
    }
}

/// Reads the model, quantizing a checkpoint.
pub fn model(name: &str, out: &Out) -> Result<Ready> {
    open(&Source::find(name)?, out)
}

/// [`model`] of a source.
pub fn open(source: &Source, out: &Out) -> Result<Ready> {
    let busy = out.busy("preparing the model");
    let ready = Ready::open(source, &Calibration::open(None)?);
    busy.finish_and_clear();
    ready
}

/// The attention shape: the command line's, else the model's own.
pub fn lambda(shape: &ShapeArgs, default: LambdaShape) -> LambdaShape {
    LambdaShape {
        n_sink: shape.sinks.unwrap_or(default.n_sink),
        n_window: shape.window.unwrap_or(default.n_window),
    }
}

/// Compiles the model, and proves that the program stays within its memory map.
pub fn program(shape: &ShapeArgs, ready: &Ready) -> Result<Program> {
    batched(shape, ready, 1)
}

/// The same for several sequences.
pub fn batched(shape: &ShapeArgs, ready: &Ready, sequences: usize) -> Result<Program> {
    of_spec(shape, &ModelSpec::from(&ready.model), lambda(shape, ready.model.lambda), sequences)
}

/// The same of a model without its weights.
pub fn of_spec(
    shape: &ShapeArgs,
    spec: &ModelSpec,
    lambda: LambdaShape,
    sequences: usize,
) -> Result<Program> {
    let settings = Settings { lambda, block: shape.block, sequences };
    let program = Program::compile(spec, &config(shape)?, &settings)?;
    program.check()?;
    Ok(program)
}

/// Reads a compiled program, which must be one of the model.
pub fn load(file: &Path, ready: &Ready) -> Result<(Program, MemoryImage)> {
    let (program, image) = Program::load(file)?;
    if program.spec != ModelSpec::from(&ready.model) {
        return Err(Error::Argument(format!(
            "{} was compiled from another model than {}; give that model, or compile this one",
            file.display(),
            ready.name
        )));
    }
    Ok((program, image))
}
