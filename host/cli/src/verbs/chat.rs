//! `accllm chat`.

use crate::args::{Chat, Dialogue};
use crate::out::{Out, complain};
use crate::plan::{Extras, Plan};
use crate::prepare;
use accllm_device::{Error, Result};
use accllm_text::calibration;
use accllm_text::chat::{Clock, Conversation, Template, cut_short};
use accllm_text::generate::Stop;
use accllm_text::model::Source;
use accllm_text::runner::Cancel;
use accllm_text::session::{Options, Session};
use serde::Serialize;
use signal_hook::consts::SIGINT;
use std::io::{BufRead as _, IsTerminal as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct Report {
    model: String,
    device: &'static str,
    turns: Vec<Turn>,
}

#[derive(Serialize)]
struct Turn {
    question: String,
    answer: String,
    tokens: Vec<u32>,
    stop: Stop,
}

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Nothing,
    Ask(&'a str),
    Reset,
    Save(&'a str),
    Load(&'a str),
    Quit,
}

/// Exit code after Ctrl-C at the prompt, as shells have it.
const INTERRUPTED: i32 = 130;

/// Asks and answers until the end of input.
pub fn run(args: &Chat, out: &Out) -> Result<()> {
    let plan = Plan::new(&args.writer, args.own.seed, &Extras::default())?;
    let cancel = interruptible()?;
    let source = Source::find(&args.writer.model)?;
    let template = template(&args.dialogue, &source)?;
    let ready = prepare::open(&source, out)?;
    let opened = plan.open(&ready, out)?;
    let mut chat = Conversation::new(Session::new(&ready, opened.runner), template, args.system.as_deref());
    if let Some(path) = &args.own.session {
        chat.load(path)?;
    }
    let stop = args.own.stop.clone();
    let options = Options { sampling: plan.sampling, stop, cancel, ..Options::new(args.tokens) };
    let mut report = Report { model: ready.name.clone(), device: plan.device(), turns: Vec::new() };
    let interactive = std::io::stdin().is_terminal();
    loop {
        if interactive && std::io::stderr().is_terminal() {
            eprint!("> ");
        }
        let Some(line) = read_line()? else { break };
        let done = match parse(&line) {
            Ok(Line::Quit) => break,
            Ok(Line::Ask(question)) => {
                ask(&mut chat, question, &options, out).map(|turn| report.turns.push(turn))
            }
            Ok(Line::Nothing) => Ok(()),
            Ok(Line::Reset) => chat.reset(),
            Ok(Line::Save(file)) => chat.save(Path::new(file)),
            Ok(Line::Load(file)) => chat.load(Path::new(file)),
            Err(e) => Err(e),
        };
        match done {
            // Somebody is there to read it and to go on.
            Err(e @ Error::Argument(_) | e @ Error::Io { .. }) if interactive && !e.is_broken_pipe() => {
                complain(&e);
            }
            done => done?,
        }
    }
    out.report(&report)
}

/// The template that the arguments name, or the model's; known before the work of reading the model. Says so where it
/// uses the date.
pub fn template(args: &Dialogue, source: &Source) -> Result<Template> {
    let date = args.date.as_deref();
    let files = match &args.chat_template {
        Some(path) => source.chat()?.with_template(calibration::read_text(path)?, path.display().to_string()),
        None => source.chat()?,
    };
    let clock = date.map(Clock::at).transpose()?.unwrap_or_default();
    let template = Template::from_files(&files, &source.name, clock)?;
    if let (Some(today), None) = (template.date(), date) {
        eprintln!(
            "the chat template puts the date into its texts ({today}); --date {today} makes them repeatable"
        );
    }
    Ok(template)
}

/// A flag that Ctrl-C sets. While it is set, which it is outside of answers, Ctrl-C ends the program.
fn interruptible() -> Result<Cancel> {
    let cancel = Cancel::new();
    cancel.set();
    signal_hook::flag::register_conditional_shutdown(SIGINT, INTERRUPTED, cancel.flag())
        .and_then(|_| signal_hook::flag::register(SIGINT, cancel.flag()))
        .map_err(|e| Error::Argument(format!("cannot react to Ctrl-C: {e}")))?;
    Ok(cancel)
}

fn ask(chat: &mut Conversation<'_>, question: &str, options: &Options, out: &Out) -> Result<Turn> {
    options.cancel.clear();
    let answer = chat.ask(question, options, &mut |piece| {
        out.text(piece.text)?;
        Ok(ControlFlow::Continue(()))
    });
    options.cancel.set();
    out.line("")?;
    let answer = answer?;
    if let Some(why) = cut_short(answer.stop).filter(|_| std::io::stderr().is_terminal()) {
        eprintln!("({why})");
    }
    Ok(Turn { question: question.into(), answer: answer.text, tokens: answer.tokens, stop: answer.stop })
}

/// The next line, without its end.
fn read_line() -> Result<Option<String>> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    match read.map_err(|e| Error::io("read", &PathBuf::from("standard input"), e))? {
        0 => Ok(None),
        _ => Ok(Some(line.trim_end_matches(['\n', '\r']).to_string())),
    }
}

fn parse(line: &str) -> Result<Line<'_>> {
    let Some(command) = line.trim().strip_prefix('/') else {
        return Ok(if line.trim().is_empty() { Line::Nothing } else { Line::Ask(line) });
    };
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    match (name, rest.trim()) {
        ("reset", "") => Ok(Line::Reset),
        ("quit", "") => Ok(Line::Quit),
        ("save", file) if !file.is_empty() => Ok(Line::Save(file)),
        ("load", file) if !file.is_empty() => Ok(Line::Load(file)),
        _ => Err(Error::Argument(format!(
            "'{}' is no command; there are /reset, /save FILE, /load FILE, /quit",
            line.trim()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, parse};

    #[test]
    fn lines() {
        let all =
            ["", " ", " hello ", "/reset", " /save a b ", "/load x", "/quit"].map(|l| parse(l).unwrap());
        let want = [
            Line::Nothing,
            Line::Nothing,
            Line::Ask(" hello "),
            Line::Reset,
            Line::Save("a b"),
            Line::Load("x"),
            Line::Quit,
        ];
        assert_eq!(all, want);
        for bad in ["/", "/save", "/load  ", "/reset now", "/help me"] {
            assert!(parse(bad).unwrap_err().to_string().contains("/save FILE"), "{bad}");
        }
    }
}
