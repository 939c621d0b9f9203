//! `accllm run`.

use super::args::{DeviceArg, MemoryArg, Run};
use super::out::Out;
use accllm::engine::Reference;
use accllm::generate::{Request, Stop, generate};
use accllm::model::{Calibration, Ready, Source};
use accllm::{Error, Result};
use accllm_quant::model::LambdaShape;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

#[derive(Serialize)]
struct Report {
    model: String,
    device: &'static str,
    sinks: usize,
    window: usize,
    prompt: String,
    prompt_tokens: usize,
    /// The new text, without the prompt.
    text: String,
    /// Its tokens.
    tokens: Vec<u32>,
    stop: Stop,
    /// Wall time of prompt and text on this computer.
    seconds: f64,
}

/// Writes a text.
pub fn run(args: &Run, out: &Out) -> Result<()> {
    check(args)?;
    let source = Source::find(&args.model)?;
    let busy = out.busy("preparing the model");
    let ready = Ready::open(&source, &Calibration::open(None, Calibration::TOKENS)?)?;
    busy.finish_and_clear();
    let default = ready.model.lambda;
    let lambda = LambdaShape {
        n_sink: args.shape.sinks.unwrap_or(default.n_sink),
        n_window: args.shape.window.unwrap_or(default.n_window),
    };
    match args.device {
        DeviceArg::Integer => integer(args, out, &ready, lambda),
        _ => Err(Error::Argument("this device is not there yet".into())),
    }
}

/// Refuses what has no meaning, before any work.
fn check(args: &Run) -> Result<()> {
    let only =
        |option: &str, devices: &str| Err(Error::Argument(format!("{option} needs --device {devices}")));
    accllm_hw::config::find(&args.shape.config).map_err(Error::Argument)?;
    let (n_sink, n_window) = (args.shape.sinks.unwrap_or(0), args.shape.window.unwrap_or(1));
    LambdaShape { n_sink, n_window }.check(Path::new("command line"))?;
    if args.lockstep && args.device == DeviceArg::Integer {
        return only("--lockstep", "golden or verilator");
    }
    if args.device != DeviceArg::Verilator {
        if args.wave.is_some() {
            return only("--wave", "verilator");
        }
        if args.memory != MemoryArg::Ideal {
            return only("--memory", "verilator");
        }
    }
    if let Some(path) = &args.wave {
        accllm::output::check_file(path)?;
    }
    Ok(())
}

fn integer(args: &Run, out: &Out, ready: &Ready, lambda: LambdaShape) -> Result<()> {
    let mut engine = Reference::new(&ready.model, lambda)?;
    let prompt = ready.prompt(&args.prompt)?;
    let end: &[u32] = if args.ignore_end { &[] } else { &ready.model.arch.eos };
    let mut stream = ready.tokenizer.stream();
    for id in &prompt {
        stream.push(*id)?;
    }
    out.text(&args.prompt)?;
    let start = Instant::now();
    let mut text = String::new();
    let request = Request { prompt: &prompt, tokens: args.tokens, end };
    let written = generate(&mut engine, &request, &mut |id| {
        let new = stream.push(id)?;
        text.push_str(&new);
        out.text(&new)
    })?;
    let rest = stream.finish()?;
    out.line(&rest)?;
    text.push_str(&rest);
    let report = Report {
        model: ready.name.clone(),
        device: "integer",
        sinks: lambda.n_sink,
        window: lambda.n_window,
        prompt: args.prompt.clone(),
        prompt_tokens: prompt.len(),
        text,
        tokens: written.tokens,
        stop: written.stop,
        seconds: start.elapsed().as_secs_f64(),
    };
    out.report(&report)
}
