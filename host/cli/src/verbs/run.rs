//! `accllm run`.

use super::run_report::{Counted, Report, Text};
use crate::args::Run;
use crate::out::Out;
use crate::prepare;
use crate::target::{self, Extras};
use accllm_device::Result;
use accllm_device::output;
use accllm_text::sample::Sampling;
use accllm_text::session::{Options, Session};
use std::ops::ControlFlow;
use std::time::Instant;

/// Prompt without `--prompt`, unless a session is continued.
const PROMPT: &str = "Once upon a time";

/// Writes a text.
pub fn run(args: &Run, out: &Out) -> Result<()> {
    let extras = Extras { lockstep: args.lockstep, wave: args.wave.clone(), trace: args.trace.clone() };
    target::check(&args.target, &extras)?;
    let sampling = target::sampling(&args.choice, args.seed)?;
    args.save_session.as_deref().map_or(Ok(()), output::check_file)?;
    let ready = prepare::model(&args.model, out)?;
    let opened = target::open(&args.target, &extras, &ready, out)?;
    let mut session = Session::new(&ready, opened.engine);
    if let Some(path) = &args.session {
        session.load(path)?;
    }
    let text = write(args, sampling, out, &mut session);
    // The timeline of a run that failed says why.
    session.finish()?;
    let text = text?;
    if let Some(path) = &args.save_session {
        session.save(path)?;
    }
    let engine = session.engine();
    let counted = opened.config.and_then(|config| Counted::new(engine, config, target::memory(&args.target)));
    let (simulated, measured) = if target::on_card(&args.target) { (None, counted) } else { (counted, None) };
    let report = Report {
        model: ready.name.clone(),
        device: target::name(args.target.device),
        sinks: engine.lambda().n_sink,
        window: engine.lambda().n_window,
        position: engine.position(),
        sampling: (sampling.temperature > 0.0).then_some(sampling),
        text,
        compared: engine.compared(),
        simulated,
        measured,
    };
    report.print(out)
}

/// Writes the text as it comes.
fn write(args: &Run, sampling: Sampling, out: &Out, session: &mut Session<'_>) -> Result<Text> {
    let continued = !session.tokens().is_empty();
    let prompt = args.prompt.clone().unwrap_or_else(|| if continued { "" } else { PROMPT }.into());
    let prompt_tokens = match prompt.as_str() {
        "" if continued => 0,
        prompt => session.push_text(prompt)?,
    };
    out.text(&prompt)?;
    let start = Instant::now();
    let options = Options {
        sampling,
        stop: args.stop.clone(),
        ignore_end: args.ignore_end,
        ..Options::new(args.tokens)
    };
    let written = session.generate(&options, &mut |piece| {
        out.text(piece.text)?;
        Ok(ControlFlow::Continue(()))
    });
    let seconds = start.elapsed().as_secs_f64();
    // Ends the line of the story before a message about what went wrong.
    out.line("")?;
    let written = written?;
    Ok(Text {
        prompt,
        prompt_tokens,
        text: written.text,
        tokens: written.tokens,
        stop: written.stop,
        seconds,
    })
}
