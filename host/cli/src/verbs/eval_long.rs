//! `accllm eval-long`.

use super::eval::{lambda, stream, text};
use crate::args::{EvalLong, LongStageArg};
use crate::out::{Bars, Out};
use accllm_device::progress::Progress as _;
use accllm_device::{Error, Result, output};
use accllm_lab::long::{self, Options, Reader, Series};
use accllm_llm::model::{LambdaShape, QuantModel, check_lambda};
use accllm_text::calibration::Calibration;
use accllm_text::model::{self, Kind, Source};
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    model: String,
    stage: &'static str,
    tokens: usize,
    bucket: usize,
    series: Vec<Series>,
}

/// Reads the text and prints perplexity by position.
pub fn run(args: &EvalLong, out: &Out) -> Result<()> {
    if let Some(file) = &args.svg {
        output::check_file(file)?;
    }
    let source = Source::find(&args.scored.model)?;
    let text = text(&args.scored)?;
    let busy = out.busy("reading the model");
    if source.kind == Kind::Quantized && args.stage == LongStageArg::Integer {
        let model = QuantModel::load(source.folder())?;
        let a = &model.arch;
        let tokens = stream(&args.scored, &text, &source.tokenizer(a.sizes.vocab)?, a.bos, &a.eos)?;
        busy.finish_and_clear();
        let (shape, positions) = (model.lambda, a.max_positions);
        return report(args, &source, &Reader::integer(&model), shape, positions, &tokens, out);
    }
    let float = source.float()?;
    let c = &float.config;
    let tokenizer = source.tokenizer(c.sizes.vocab)?;
    let (tokens, positions) = (stream(&args.scored, &text, &tokenizer, c.bos, &c.eos)?, c.max_positions);
    if args.stage == LongStageArg::Float {
        busy.finish_and_clear();
        let default = LambdaShape { n_sink: 4, n_window: 508 };
        return report(args, &source, &Reader::Float(&float), default, positions, &tokens, out);
    }
    busy.set_message("quantizing");
    let calibration = Calibration::open(args.scored.calib.as_deref())?;
    let model = model::quantize(float, &tokenizer, &calibration)?.model;
    busy.finish_and_clear();
    report(args, &source, &Reader::integer(&model), model.lambda, positions, &tokens, out)
}

fn report(
    args: &EvalLong,
    source: &Source,
    reader: &Reader<'_>,
    shape: LambdaShape,
    positions: usize,
    tokens: &[u32],
    out: &Out,
) -> Result<()> {
    let wanted = if args.tokens == 0 { tokens.len().saturating_sub(1) } else { args.tokens };
    let text = tokens.get(..wanted.saturating_add(1)).ok_or_else(|| {
        Error::Argument(format!(
            "the text has {} tokens, and --tokens {wanted} needs one more than it scores; give a longer text (--text) \
             or fewer tokens",
            tokens.len()
        ))
    })?;
    let full = args.full.unwrap_or(positions.saturating_add(args.bucket));
    let options = Options { lambda: lambda(&args.scored, shape), bucket: args.bucket, full };
    check_lambda(options.lambda, std::path::Path::new("command line"))?;
    let bars = Bars::tokens();
    bars.begin("reading", long::work(reader, &options, text) as u64);
    let series = long::measure(reader, &options, text, &mut |_, n| bars.advance(n as u64));
    bars.end();
    let series = series?;
    print(&source.name, reader.stage(), &series, out)?;
    if let Some(file) = &args.svg {
        let title = format!("{}, {}: perplexity by position", source.name, reader.stage());
        output::write_whole(file, long::svg(&title, &series)?.as_bytes())?;
    }
    let stage = reader.stage();
    out.report(&Report { model: source.name.clone(), stage, tokens: wanted, bucket: args.bucket, series })
}

fn print(model: &str, stage: &str, series: &[Series], out: &Out) -> Result<()> {
    let tokens = series.first().map_or(0, |s| s.tokens);
    out.line(&format!(
        "perplexity of {model}, {stage}, by position in one text of {tokens} tokens; tokens/s measured"
    ))?;
    let mut line = format!("{:>18}", "positions");
    series.iter().for_each(|s| line += &format!("  {:>24}", s.label()));
    out.line(&line)?;
    let rows = series.iter().map(|s| s.buckets.len()).max().unwrap_or(0);
    for i in 0..rows {
        let first = series.iter().find_map(|s| s.buckets.get(i));
        let mut line = first.map_or(String::new(), |b| format!("{:>8} - {:>7}", b.from, b.to - 1));
        for s in series {
            line += &match s.buckets.get(i) {
                Some(b) => format!("  {:>12.3} {:>7.0} t/s", b.ppl, b.tok_per_s),
                None => format!("  {:>24}", "-"),
            };
        }
        out.line(&line)?;
    }
    let mut line = format!("{:>18}", "all");
    series.iter().for_each(|s| line += &format!("  {:>12.3}            ", s.ppl));
    out.line(line.trim_end())?;
    let mut line = format!("{:>18}", "keys and values");
    series.iter().for_each(|s| line += &format!("  {:>21.1} MB", s.cache_bytes as f64 / 1e6));
    out.line(&line)
}
