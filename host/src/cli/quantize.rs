//! `accllm quantize`.

use super::args::Quantize;
use super::out::Out;
use accllm::model::{Calibration, Source, quantize};
use accllm::{Result, output};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Serialize)]
struct Report {
    model: String,
    out: PathBuf,
    layers: usize,
    linears: usize,
    /// Linears whose stored weights already lay on the W2 grid, and are kept exactly.
    recovered: usize,
    calibration_tokens: usize,
    seconds: f64,
}

/// Quantizes a checkpoint into a folder.
pub fn run(args: &Quantize, out: &Out) -> Result<()> {
    let start = Instant::now();
    output::check_folder(&args.out)?;
    let source = Source::find(&args.model)?;
    let calibration = Calibration::open(args.calib.as_deref(), args.calib_tokens)?;
    let busy = out.busy("reading the checkpoint");
    let float = source.float()?;
    let tokenizer = source.tokenizer(float.config.vocab)?;
    busy.set_message("calibrating and quantizing");
    let quantized = quantize(&float, &tokenizer, &calibration)?;
    busy.set_message("writing");
    quantized.model.save(&args.out, Some(&source.folder().join("tokenizer.json")))?;
    busy.finish_and_clear();
    let layers = quantized.model.layers.len();
    let report = Report {
        model: source.name.clone(),
        out: args.out.clone(),
        layers,
        linears: 7 * layers,
        recovered: quantized.recovered,
        calibration_tokens: calibration.tokens(),
        seconds: start.elapsed().as_secs_f64(),
    };
    out.line(&format!(
        "{}: {} layers quantized in {:.1} s; {} of {} linears were already on the grid",
        args.out.display(),
        report.layers,
        report.seconds,
        report.recovered,
        report.linears
    ))?;
    out.line(&format!("next: accllm eval {0}; accllm run {0}", args.out.display()))?;
    out.report(&report)
}
