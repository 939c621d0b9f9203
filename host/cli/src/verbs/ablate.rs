//! `accllm ablate`.

use crate::args::Ablate;
use crate::out::{Bars, Out};
use accllm_device::progress::Progress as _;
use accllm_device::{Error, Result};
use accllm_lab::ablate::{Table, check_page, write_table};
use accllm_llm::float::FloatModel;
use accllm_llm::perplexity::{Protocol, Windowing, plain_stream};
use accllm_llm::tokenizer::TextTokenizer;
use accllm_quant::ablate::{Ablation, Case, Line, cases};
use accllm_text::model::Source;
use accllm_text::{bundled, calibration};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Report {
    model: String,
    window: usize,
    windows: usize,
    calibration_windows: usize,
    lines: Vec<Line>,
}

/// Measures and prints the lines one by one.
pub fn run(args: &Ablate, out: &Out) -> Result<()> {
    let wanted = |case: &Case| {
        args.only.is_empty() || args.only.iter().any(|o| case.part.contains(o) || case.name.contains(o))
    };
    let cases: Vec<Case> = cases().into_iter().filter(wanted).collect();
    if cases.is_empty() {
        return Err(Error::Argument(
            "no line has that in its name; `accllm ablate --list` shows them".into(),
        ));
    }
    if args.list {
        return cases.iter().try_for_each(|c| out.line(&format!("{}: {}", c.part, c.name)));
    }
    let source = Source::find(&args.model)?;
    args.page.as_deref().map_or(Ok(()), |page| check_page(page, name(&source.name)))?;
    let busy = out.busy("reading the model");
    let model = source.float()?;
    let tokenizer = source.tokenizer(model.config.sizes.vocab)?;
    let scored = stream(args.text.as_deref(), bundled::VALIDATION, &model, &tokenizer)?;
    let calibration = stream(args.calib.as_deref(), bundled::CALIBRATION, &model, &tokenizer)?;
    busy.finish_and_clear();
    let protocol = Protocol { window: args.window, windows: (args.windows != 0).then_some(args.windows) };
    let how = Windowing::from(protocol);
    let windows = how.windows(scored.len())?;
    let calibration_windows = args.calib_windows.min(calibration.len() / args.window);
    let calibrated = Protocol { window: args.window, windows: Some(calibration_windows) };
    let mut ablation = Ablation::new(model, calibration, calibrated, scored, how);
    let mut report = Report {
        model: source.name.clone(),
        window: args.window,
        windows,
        calibration_windows,
        lines: Vec::new(),
    };
    let protocol = format!(
        "Perplexity of {} over {windows} windows of {} tokens, calibrated on {calibration_windows} of the same length.",
        name(&source.name),
        args.window
    );
    out.line(&protocol)?;
    let bars = Bars::tokens();
    for case in &cases {
        // The first one measures the float model too.
        let twice = report.lines.is_empty() && case.part != "Float";
        let scored = if twice { 2 * windows } else { windows };
        bars.begin(&case.name, (scored * args.window) as u64);
        let line = ablation.measure(case, &mut |n| bars.advance((n * args.window) as u64));
        bars.end();
        let line = line?;
        print(&line, out)?;
        report.lines.push(line);
    }
    if let Some(page) = &args.page {
        write_table(page, &Table { model: name(&source.name), protocol: &protocol, lines: &report.lines })?;
    }
    out.report(&report)
}

fn print(line: &Line, out: &Out) -> Result<()> {
    let Line { name, ppl, change, seconds, .. } = line;
    out.line(&format!("{name:<64} {ppl:>10.4}  {:>+8.2}%  {seconds:>5.0} s", 100.0 * change))
}

/// The last part of a model's name, without an extension.
fn name(model: &str) -> &str {
    Path::new(model).file_stem().and_then(|s| s.to_str()).unwrap_or(model)
}

/// The text of a file as one stream, or built-in stories.
fn stream(
    file: Option<&Path>,
    built_in: &str,
    model: &FloatModel,
    tokenizer: &TextTokenizer,
) -> Result<Vec<u32>> {
    match file {
        Some(path) => Ok(plain_stream(&calibration::read_text(path)?, tokenizer)?),
        None => calibration::stream(built_in, tokenizer, model.config.bos, &model.config.eos),
    }
}
