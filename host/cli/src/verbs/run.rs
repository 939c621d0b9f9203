//! `accllm run`.

use super::run_report::{Counted, Report, Text};
use crate::args::Run;
use crate::out::Out;
use crate::plan::{Extras, Plan};
use crate::prepare;
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
    let plan = Plan::new(&args.writer, args.own.seed, &extras)?;
    args.save_session.as_deref().map_or(Ok(()), output::check_file)?;
    let ready = prepare::model(&args.writer.model, out)?;
    let opened = plan.open(&ready, out)?;
    let mut session = Session::new(&ready, opened.runner);
    if let Some(path) = &args.own.session {
        session.load(path)?;
    }
    let text = write(args, plan.sampling, out, &mut session);
    // The timeline of a run that failed says why.
    session.finish()?;
    let text = text?;
    if let Some(path) = &args.save_session {
        session.save(path)?;
    }
    let runner = session.runner();
    let counted = opened.hardware.as_ref().and_then(|hardware| Counted::new(runner, hardware));
    let card = opened.hardware.is_some_and(|h| h.card);
    let (simulated, measured) = if card { (None, counted) } else { (counted, None) };
    let sampling = plan.sampling;
    let report = Report {
        model: ready.name.clone(),
        device: plan.device(),
        sinks: runner.lambda().n_sink,
        window: runner.lambda().n_window,
        position: runner.position(),
        sampling: (!sampling.is_greedy()).then_some(sampling),
        text,
        compared: runner.compared(),
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
        stop: args.own.stop.clone(),
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
