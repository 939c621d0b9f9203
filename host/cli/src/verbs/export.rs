//! `accllm export`.

use crate::args::Export;
use crate::out::{Bars, Out};
use crate::prepare;
use accllm_device::progress::Progress as _;
use accllm_device::{Error, Result, output};
use accllm_llm::export;
use accllm_llm::tokenizer::Files;
use accllm_text::model::Source;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Serialize)]
struct Report {
    model: String,
    out: PathBuf,
    layers: usize,
    bytes: u64,
}

/// Writes the folder.
pub fn run(args: &Export, out: &Out) -> Result<()> {
    output::check_new_folder(&args.output)?;
    let source = Source::find(&args.model)?;
    let ready = prepare::open(&source, out)?;
    let float = export::float(Arc::new(ready.model))?;
    let layers = float.layers.len();
    let bars = Bars::default();
    let mut bytes = 0;
    output::whole_folder(&args.output, |folder| {
        bars.begin("layers", layers as u64);
        let written = export::write(&float, folder, |n| bars.advance(n as u64));
        bars.end();
        written?;
        Files::copy(&source.folder().join("tokenizer.json"), folder)?;
        let card = folder.join("README.md");
        let text = format!("{}\n{}", front(source.folder()), about(&ready.name));
        std::fs::write(&card, text).map_err(|e| Error::io("write", &card, e))?;
        bytes = size(folder)?;
        Ok(())
    })?;
    let report = Report { model: ready.name, out: args.output.clone(), layers, bytes };
    out.line(&format!(
        "{}: {} layers in 32-bit floats, {:.1} MB",
        args.output.display(),
        report.layers,
        report.bytes as f64 / 1e6
    ))?;
    out.line(&format!("next: accllm eval {} --stage float", args.output.display()))?;
    out.report(&report)
}

/// The fields at the head of the quantized model's card, its licence among them.
fn front(folder: &Path) -> String {
    let card = std::fs::read_to_string(folder.join("README.md")).unwrap_or_default();
    let fields =
        card.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---")).map(|(fields, _)| fields);
    fields.map(|fields| format!("---\n{fields}\n---\n")).unwrap_or_default()
}

fn about(name: &str) -> String {
    format!(
        "# {name}, dequantized\n\nThe integer weights of a model quantized by accllm {}, as 32-bit floats. Inputs of the \
         linear layers, keys and values are not rounded here, and attention sees everything; the integer model rounds \
         them, so its perplexity is a little higher.\n",
        env!("CARGO_PKG_VERSION")
    )
}

fn size(folder: &Path) -> Result<u64> {
    let bad = |e| Error::io("read", folder, e);
    let files = std::fs::read_dir(folder).map_err(bad)?;
    files.map(|f| f.and_then(|f| f.metadata()).map(|m| m.len()).map_err(bad)).sum()
}
