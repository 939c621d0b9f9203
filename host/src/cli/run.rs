//! `accllm run`.

use super::args::{DeviceArg, MemoryArg, Run};
use super::out::Out;
use super::prepare;
use super::run_report::{Report, Simulated, Text};
use accllm::device::{Device, GoldenDevice, LockstepDevice, MemoryKind, Verilator, VerilatorOptions};
use accllm::engine::{Engine, Reference, Session};
use accllm::generate::{Request, generate};
use accllm::model::Ready;
use accllm::timeline::Record;
use accllm::{Error, Result};
use accllm_compiler::{MemoryImage, Program};
use std::time::Instant;

/// Writes a text.
pub fn run(args: &Run, out: &Out) -> Result<()> {
    check(args)?;
    let ready = prepare::model(&args.model, out)?;
    if args.device == DeviceArg::Integer {
        let lambda = prepare::lambda(&args.shape, &ready);
        let mut report = Report::new(&ready.name, lambda);
        let mut engine = Reference::new(&ready.model, lambda)?;
        report.text = write(args, out, &ready, &mut engine)?;
        return report.print(out);
    }
    let (program, image) = match &args.program {
        Some(file) => prepare::load(file, &ready)?,
        None => {
            let program = prepare::program(&args.shape, &ready)?;
            let image = MemoryImage::new(&program, &ready.model)?;
            (program, image)
        }
    };
    let mut report = Report::new(&ready.name, program.layout.shape.lambda);
    let mut engine = Session::new(&program, device(args, out, &program, &image, &ready)?);
    report.device = name(args.device);
    let text = write(args, out, &ready, &mut engine);
    // The timeline of a run that failed says why.
    engine.device_mut().finish()?;
    report.text = text?;
    report.compared = engine.device().compared();
    report.simulated = Simulated::new(&engine, program.config()?, memory(args.memory));
    report.print(out)
}

fn name(device: DeviceArg) -> &'static str {
    match device {
        DeviceArg::Integer => "integer",
        DeviceArg::Golden => "golden",
        DeviceArg::Verilator => "verilator",
    }
}

fn memory(memory: MemoryArg) -> &'static str {
    match memory {
        MemoryArg::Ideal => "ideal",
        MemoryArg::Stalling => "stalling",
        MemoryArg::Hbm2 => "hbm2",
    }
}

/// Refuses what has no meaning, before any work.
fn check(args: &Run) -> Result<()> {
    prepare::check(&args.shape)?;
    let only =
        |option: &str, devices: &str| Err(Error::Argument(format!("{option} needs --device {devices}")));
    if args.program.is_some() && args.device == DeviceArg::Integer {
        return only("--program", "golden or verilator");
    }
    if args.lockstep && args.device == DeviceArg::Integer {
        return only("--lockstep", "golden or verilator");
    }
    if args.device != DeviceArg::Verilator {
        if args.wave.is_some() {
            return only("--wave", "verilator");
        }
        if args.trace.is_some() {
            return only("--trace", "verilator");
        }
        if args.memory != MemoryArg::Ideal {
            return only("--memory", "verilator");
        }
    }
    [&args.wave, &args.trace].into_iter().flatten().try_for_each(|path| accllm::output::check_file(path))
}

/// The device with the model's program and image.
fn device<'m>(
    args: &Run,
    out: &Out,
    program: &Program,
    image: &MemoryImage,
    ready: &'m Ready,
) -> Result<Box<dyn Device + 'm>> {
    let golden = || GoldenDevice::new(program, image);
    let rtl = match args.device {
        DeviceArg::Verilator => {
            let _busy = out.busy("loading the RTL (builds it at its first use)");
            let memory = match args.memory {
                MemoryArg::Ideal => MemoryKind::Ideal,
                MemoryArg::Stalling => MemoryKind::Stalling(args.seed),
                MemoryArg::Hbm2 => MemoryKind::Hbm2,
            };
            let options = VerilatorOptions {
                memory,
                trace: args.lockstep,
                timeline: args.trace.clone().map_or(Record::Off, Record::File),
                wave: args.wave.clone(),
                rtl: None,
            };
            Some(Verilator::new(program, image, &options)?)
        }
        _ => None,
    };
    Ok(match rtl {
        rtl if args.lockstep => Box::new(LockstepDevice::new(program, &ready.model, golden()?, rtl)?),
        Some(rtl) => Box::new(rtl),
        None => Box::new(golden()?),
    })
}

/// Writes the text as it comes.
fn write(args: &Run, out: &Out, ready: &Ready, engine: &mut dyn Engine) -> Result<Text> {
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
    let written = generate(engine, &request, &mut |id| {
        let new = stream.push(id)?;
        text.push_str(&new);
        out.text(&new)
    });
    let seconds = start.elapsed().as_secs_f64();
    let rest = stream.finish()?;
    // Ends the line of the story before a message about what went wrong.
    out.line(&rest)?;
    text.push_str(&rest);
    let written = written?;
    Ok(Text {
        prompt: args.prompt.clone(),
        prompt_tokens: prompt.len(),
        text,
        tokens: written.tokens,
        stop: written.stop,
        seconds,
    })
}
