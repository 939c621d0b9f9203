//! `accllm repack`.

use crate::args::Repack;
use crate::out::Out;
use accllm_device::{Error, Result, output};
use accllm_llm::model::QuantModel;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct Report {
    folder: PathBuf,
    out: PathBuf,
    /// Of the tensors, before and after.
    bytes_before: u64,
    bytes: u64,
}

/// Converts the folder.
pub fn run(args: &Repack, out: &Out) -> Result<()> {
    output::check_new_folder(&args.output)?;
    let busy = out.busy("converting");
    let model = QuantModel::load_unpacked(&args.folder)?;
    let card = args.folder.join("README.md");
    let card =
        card.is_file().then(|| std::fs::read_to_string(&card).map_err(|e| Error::io("read", &card, e)));
    let card = card.transpose()?;
    let files: Vec<(&str, &str)> = card.iter().map(|text| ("README.md", text.as_str())).collect();
    let tokenizer = args.folder.join("tokenizer.json");
    model.save_with(&args.output, tokenizer.is_file().then_some(&*tokenizer), &files)?;
    busy.finish_and_clear();
    let (bytes_before, bytes) = (size(&args.folder)?, size(&args.output)?);
    out.line(&format!(
        "{}: {:.1} MB for {:.1} MB",
        args.output.display(),
        bytes as f64 / 1e6,
        bytes_before as f64 / 1e6
    ))?;
    out.report(&Report { folder: args.folder.clone(), out: args.output.clone(), bytes_before, bytes })
}

fn size(folder: &Path) -> Result<u64> {
    let path = folder.join("quant.safetensors");
    Ok(std::fs::metadata(&path).map_err(|e| Error::io("read", &path, e))?.len())
}
