//! The model and texts inside the binary, so that `accllm run` works anywhere without arguments.

use crate::{Error, Result};
use std::path::Path;

/// Name on the command line.
pub const NAME: &str = "bundled";

const FILES: [(&str, &[u8]); 3] = [
    ("config.json", include_bytes!("../../data/tinytales/w2/config.json")),
    ("model.safetensors", include_bytes!("../../data/tinytales/w2/model.safetensors")),
    ("tokenizer.json", include_bytes!("../../data/tinytales/w2/tokenizer.json")),
];

/// Stories from the training text, for calibration.
pub const CALIBRATION: &str = include_str!("../../data/tinytales_train_sample.txt");

/// Held-out stories, for perplexity.
pub const VALIDATION: &str = include_str!("../../data/tinytales_val.txt");

/// Writes the checkpoint into a temporary folder, which disappears with the returned value.
///
/// # Errors
/// The temporary folder cannot be written.
pub fn unpack() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir().map_err(|e| Error::io("create", &std::env::temp_dir(), e))?;
    write_to(folder.path())?;
    Ok(folder)
}

fn write_to(folder: &Path) -> Result<()> {
    for (name, bytes) in FILES {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(|e| Error::io("write", &path, e))?;
    }
    Ok(())
}
