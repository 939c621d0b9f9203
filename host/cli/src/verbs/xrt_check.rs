//! `accllm xrt-check`: tries a card with a model, and measures the driver.

use crate::args::XrtCheck;
use crate::out::{Bars, Out, own_stdout};
use crate::prepare;
use accllm_compiler::{MemoryImage, Program, Settings, Step};
use accllm_device::xrt::{Measured, emulated};
use accllm_device::{Device, GoldenDevice, Xrt};
use accllm_device::{Error, Result};
use accllm_text::model::Ready;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    card: String,
    xclbin: String,
    emulated: bool,
    config: String,
    /// Tokens compared with the golden executor, and the places where they were computed.
    tokens: usize,
    addresses: Vec<u64>,
    measured: Measured,
}

/// Opens a card, compares texts with the golden executor, measures, loads another program, opens the card again.
pub fn run(args: &XrtCheck, out: &Out) -> Result<()> {
    prepare::check(&args.shape)?;
    if args.runs == 0 || args.tokens == 0 {
        return Err(Error::Argument("--runs and --tokens must be at least 1".into()));
    }
    let options = args.card.options()?;
    let ready = prepare::model(&args.model, out)?;
    let first = compile(prepare::program(&args.shape, &ready)?, &ready)?;
    let lambda = first.0.layout.shape.lambda;
    // Another program: the smallest window, which holds another KV cache.
    let settings = Settings { block: Some(1), ..Settings::new(0, lambda.n_window.min(32)) };
    let other = Program::compile(&(&ready.model).into(), &first.0.config, &settings)?;
    let other = compile(other, &ready)?;
    let prompt = ready.prompt(&args.prompt)?;
    let bars = Bars::bytes();
    let want = [&first, &other].map(|(program, image)| {
        let mut golden = GoldenDevice::new(program, image)?;
        text(&mut golden, program, &prompt, args.tokens)
    });
    let [want_first, want_other] = want;
    let (want_first, want_other) = (want_first?, want_other?);
    own_stdout()?;

    let mut card = Xrt::open(&first.0, &first.1, &options, &bars)?;
    let same = |what: &str, is: &[u32], want: &[u32]| match is == want {
        true => out.line(&format!("{what}: {} tokens as the golden executor's", is.len())),
        false => Err(Error::Mismatch(format!("{what}: tokens {is:?}, golden executor {want:?}"))),
    };
    same("first program", &text(&mut card, &first.0, &prompt, args.tokens)?, &want_first)?;
    let measured = card.measure(&first.1, args.runs)?;
    let addresses = card.addresses();
    card.load(&other.0, &other.1, &bars)?;
    same("another program", &text(&mut card, &other.0, &prompt, args.tokens)?, &want_other)?;
    card.close()?;
    let mut card = Xrt::open(&first.0, &first.1, &options, &bars)?;
    same("opened again", &text(&mut card, &first.0, &prompt, args.tokens)?, &want_first)?;
    card.close()?;

    print(&measured, out)?;
    out.report(&Report {
        card: options.card,
        xclbin: options.xclbin.display().to_string(),
        emulated: emulated(),
        config: first.0.layout.shape.config.clone(),
        tokens: 3 * args.tokens,
        addresses,
        measured,
    })
}

fn compile(program: Program, ready: &Ready) -> Result<(Program, MemoryImage)> {
    program.check()?;
    let image = MemoryImage::new(&program, &ready.model)?;
    Ok((program, image))
}

/// The most likely tokens after a prompt.
fn text(device: &mut dyn Device, program: &Program, prompt: &[u32], tokens: usize) -> Result<Vec<u32>> {
    let layout = &program.layout;
    let mut position = 0;
    let mut step = |device: &mut dyn Device, tokens: &[u32]| -> Result<u32> {
        let args = layout.args(Step { position, tokens: tokens.len(), head: true })?;
        device.write_aux(layout.aux.ids, &layout.io_block(position, tokens)?)?;
        position += tokens.len() as u64;
        Ok(device.run(args)?.token)
    };
    let mut next = None;
    for block in prompt.chunks(layout.shape.block) {
        next = Some(step(device, block)?);
    }
    let mut written = Vec::new();
    while let Some(token) = next.filter(|_| written.len() < tokens) {
        written.push(token);
        next = Some(step(device, &[token])?);
    }
    Ok(written)
}

fn print(m: &Measured, out: &Out) -> Result<()> {
    let mb = |rate: f64| format!("{:.1} MB/s", rate / 1e6);
    let us = |seconds: f64| format!("{:.1} us", seconds * 1e6);
    out.line(&format!(
        "upload of {:.1} MB (measured): {}, read back and compared {}; the library's transfers alone {}",
        m.bytes as f64 / 1e6,
        mb(m.upload_bytes_per_second),
        mb(m.checked_bytes_per_second),
        mb(m.raw_bytes_per_second)
    ))?;
    out.line(&format!(
        "a run of no tokens (measured, {} runs): {}; the same library calls alone {}; start and wait alone {}",
        m.runs,
        us(m.run_seconds),
        us(m.raw_run_seconds),
        us(m.raw_start_seconds)
    ))
}
