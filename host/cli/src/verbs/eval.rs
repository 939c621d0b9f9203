//! `accllm eval`.

use crate::args::{Eval, Scored, StageArg, YesNo};
use crate::out::{Bars, Out};
use accllm_device::progress::Progress as _;
use accllm_device::{Error, Result};
use accllm_lab::eval::{Evaluation, Stage};
use accllm_llm::model::{LambdaShape, QuantModel};
use accllm_llm::perplexity::{Protocol, Windowing, plain_stream};
use accllm_llm::tokenizer::TextTokenizer;
use accllm_text::bundled;
use accllm_text::calibration::{self, Calibration};
use accllm_text::model::{Kind, Source};
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    model: String,
    bos: bool,
    /// Attention shape; none where there is only the checkpoint.
    sinks: Option<usize>,
    attention_window: Option<usize>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    model: String,
    stage: &'static str,
    ppl: f64,
    /// Nats per token.
    nll: f64,
    tokens: usize,
    windows: usize,
    window: usize,
    stride: usize,
    seconds: f64,
    /// Tokens of all windows, those that are context included.
    tok_per_s: f64,
}

/// The models of all stages, the text's tokens and how they are cut into windows.
fn open(args: &Eval, source: &Source, out: &Out) -> Result<(Evaluation, Vec<u32>, Windowing)> {
    let calibration = Calibration::open(args.scored.calib.as_deref())?;
    let text = text(&args.scored)?;
    let busy = out.busy("reading the model");
    let opened = match source.kind {
        Kind::Quantized => {
            let model = QuantModel::load(source.folder())?;
            let tokenizer = source.tokenizer(model.arch.sizes.vocab)?;
            let how = windowing(args, model.arch.bos)?;
            let stream = stream(&args.scored, &text, &tokenizer, model.arch.bos, &model.arch.eos)?;
            how.windows(stream.len())?;
            (Evaluation::of_integers(model), stream, how)
        }
        Kind::Checkpoint => {
            let float = source.float()?;
            let tokenizer = source.tokenizer(float.config.sizes.vocab)?;
            let how = windowing(args, float.config.bos)?;
            let stream = stream(&args.scored, &text, &tokenizer, float.config.bos, &float.config.eos)?;
            // A text that is too short is refused before the quantizer's work, not after it.
            how.windows(stream.len())?;
            if args.stage == [StageArg::Float] {
                (Evaluation::of_float(float), stream, how)
            } else {
                busy.set_message("quantizing");
                (Evaluation::of_checkpoint(float, &tokenizer, &calibration)?, stream, how)
            }
        }
    };
    busy.finish_and_clear();
    Ok(opened)
}

/// Measures and prints the rows one by one.
pub fn run(args: &Eval, out: &Out) -> Result<()> {
    let source = Source::find(&args.scored.model)?;
    let (mut models, stream, how) = open(args, &source, out)?;
    let lambda = models.lambda().map(|default| lambda(&args.scored, default));
    if let Some(lambda) = lambda {
        models.set_lambda(lambda)?;
    }
    let stages = stages(args, &models)?;
    let bos = how.bos.is_some();
    let (sinks, attention_window) = (lambda.map(|l| l.n_sink), lambda.map(|l| l.n_window));
    let mut report = Report { model: source.name.clone(), bos, sinks, attention_window, rows: Vec::new() };
    let windows = how.windows(stream.len())?;
    let bars = Bars::tokens();
    for stage in stages {
        bars.begin(stage.label(), (windows * args.window) as u64);
        let start = std::time::Instant::now();
        let p = models.measure(stage, &stream, how, &mut |n| bars.advance((n * args.window) as u64));
        bars.end();
        let (p, seconds) = (p?, start.elapsed().as_secs_f64());
        if report.rows.is_empty() {
            let (n, w) = (p.windows, args.window);
            let stride = if how.step() < w { format!(", stride {}", how.step()) } else { String::new() };
            let bos = if bos { ", each with a begin token" } else { "" };
            let shape = |l: LambdaShape| format!(" (Λ: {} sinks, {} window)", l.n_sink, l.n_window);
            let shape = lambda.map(shape).unwrap_or_default();
            out.line(&format!(
                "perplexity of {}, {n} windows of {w} tokens{stride}{bos}{shape}",
                source.name
            ))?;
        }
        let tok_per_s = (p.windows * args.window) as f64 / seconds;
        out.line(&format!("{:<32} {:>10.4}   {tok_per_s:>7.0} tokens/s", stage.label(), p.perplexity))?;
        report.rows.push(Row {
            model: source.name.clone(),
            stage: stage.key(),
            ppl: p.perplexity,
            nll: p.nll,
            tokens: p.tokens,
            windows: p.windows,
            window: args.window,
            stride: how.step(),
            seconds,
            tok_per_s,
        });
    }
    out.report(&report)
}

/// The text to score.
pub(super) fn text(args: &Scored) -> Result<String> {
    match &args.text {
        Some(path) => calibration::read_text(path),
        None => Ok(bundled::VALIDATION.into()),
    }
}

/// Its tokens, as the options say.
pub(super) fn stream(
    args: &Scored,
    text: &str,
    tokenizer: &TextTokenizer,
    bos: Option<u32>,
    eos: &[u32],
) -> Result<Vec<u32>> {
    match args.plain || args.text.is_some() && !args.stories {
        true => Ok(plain_stream(text, tokenizer)?),
        false => calibration::stream(text, tokenizer, bos, eos),
    }
}

fn windowing(args: &Eval, bos: Option<u32>) -> Result<Windowing> {
    let protocol = Protocol { window: args.window, windows: (args.windows != 0).then_some(args.windows) };
    let bos = match (args.bos, bos) {
        (YesNo::No, _) => None,
        (YesNo::Yes, Some(bos)) => Some(bos),
        (YesNo::Yes, None) => {
            return Err(Error::Argument("--bos yes, and the model names no begin-of-text token".into()));
        }
    };
    Ok(Windowing { protocol, stride: args.stride, bos })
}

/// The attention shape: the options', else the model's.
pub(super) fn lambda(args: &Scored, default: LambdaShape) -> LambdaShape {
    LambdaShape {
        n_sink: args.attention_sinks.unwrap_or(default.n_sink),
        n_window: args.attention_window.unwrap_or(default.n_window),
    }
}

/// The stages asked for, in order.
fn stages(args: &Eval, models: &Evaluation) -> Result<Vec<Stage>> {
    if args.stage.contains(&StageArg::All) {
        return Ok(models.stages());
    }
    let wanted: Vec<Stage> =
        Stage::ALL.into_iter().filter(|s| args.stage.iter().any(|a| stage(*a) == Some(*s))).collect();
    match wanted.is_empty() {
        true => Err(Error::Argument("no row to measure; see `accllm eval --help`".into())),
        false => Ok(wanted),
    }
}

fn stage(arg: StageArg) -> Option<Stage> {
    match arg {
        StageArg::All => None,
        StageArg::Float => Some(Stage::Float),
        StageArg::W2 => Some(Stage::Weights),
        StageArg::A8 => Some(Stage::Activations),
        StageArg::Kv4 => Some(Stage::KvCache),
        StageArg::Lambda => Some(Stage::Lambda),
        StageArg::Integer => Some(Stage::Integer),
    }
}
