//! `accllm eval`.

use super::args::{Eval, StageArg};
use super::out::Out;
use accllm::eval::{Evaluation, Stage};
use accllm::model::{self, Calibration, Kind, Source};
use accllm::{Error, Result, bundled};
use accllm_quant::model::{LambdaShape, QuantModel};
use accllm_quant::perplexity::Protocol;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    model: String,
    window: usize,
    windows: usize,
    tokens: usize,
    sinks: usize,
    attention_window: usize,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    stage: &'static str,
    perplexity: f64,
    /// Nats per token.
    nll: f64,
    seconds: f64,
}

/// Measures and prints the rows one by one.
pub fn run(args: &Eval, out: &Out) -> Result<()> {
    let source = Source::find(&args.model)?;
    let calibration = Calibration::open(args.calib.as_deref(), Calibration::TOKENS)?;
    let text = match &args.text {
        Some(path) => model::read_text(path)?,
        None => bundled::VALIDATION.into(),
    };
    let busy = out.busy("reading the model");
    let (mut models, stream) = match source.kind {
        Kind::Quantized => {
            let model = QuantModel::load(source.folder())?;
            let tokenizer = source.tokenizer(model.arch.vocab)?;
            let stream = model::stream(&text, &tokenizer, model.arch.bos, &model.arch.eos)?;
            (Evaluation::of_integers(model), stream)
        }
        Kind::Checkpoint => {
            let float = source.float()?;
            let tokenizer = source.tokenizer(float.config.vocab)?;
            let stream = model::stream(&text, &tokenizer, float.config.bos, &float.config.eos)?;
            enough(args, &stream)?;
            busy.set_message("quantizing");
            (Evaluation::of_checkpoint(float, &tokenizer, &calibration)?, stream)
        }
    };
    let lambda = lambda(args, models.integer().lambda);
    models.set_lambda(lambda)?;
    let stages = stages(args, &models)?;
    let protocol = Protocol { window: args.window, windows: (args.windows != 0).then_some(args.windows) };
    let mut report = Report {
        model: source.name.clone(),
        window: args.window,
        windows: 0,
        tokens: 0,
        sinks: lambda.n_sink,
        attention_window: lambda.n_window,
        rows: Vec::new(),
    };
    for stage in stages {
        busy.set_message(format!("measuring: {}", stage.label()));
        let start = std::time::Instant::now();
        let p = models.measure(stage, &stream, protocol)?;
        if report.rows.is_empty() {
            let (n, w) = (p.windows, args.window);
            let shape = format!("Λ: {} sinks, {} window", lambda.n_sink, lambda.n_window);
            busy.suspend(|| {
                out.line(&format!("perplexity of {}, {n} windows of {w} tokens ({shape})", source.name))
            })?;
        }
        let line = format!("{:<32} {:>10.4}", stage.label(), p.perplexity);
        busy.suspend(|| out.line(&line))?;
        (report.windows, report.tokens) = (p.windows, p.tokens);
        let seconds = start.elapsed().as_secs_f64();
        report.rows.push(Row { stage: stage.key(), perplexity: p.perplexity, nll: p.nll, seconds });
    }
    busy.finish_and_clear();
    out.report(&report)
}

/// Refuses a text that is too short before the quantizer's work, not after it.
fn enough(args: &Eval, stream: &[u32]) -> Result<()> {
    let whole = stream.len().checked_div(args.window).unwrap_or(0);
    if args.window < 2 || whole < args.windows.max(1) {
        return Err(Error::Argument(format!(
            "the text has {} tokens, which is {whole} whole windows of {}; {} are needed \
             (--windows, --window of at least 2)",
            stream.len(),
            args.window,
            args.windows.max(1)
        )));
    }
    Ok(())
}

fn lambda(args: &Eval, default: LambdaShape) -> LambdaShape {
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
