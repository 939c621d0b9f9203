//! The model and texts inside the binary, so that `accllm run` works anywhere without arguments.

use crate::{Error, Result};

/// Name on the command line.
pub const NAME: &str = "bundled";

const FILES: [(&str, &[u8]); 3] = [
    ("config.json", include_bytes!("../../../data/tinytales/w2/config.json")),
    ("model.safetensors", include_bytes!("../../../data/tinytales/w2/model.safetensors")),
    ("tokenizer.json", include_bytes!("../../../data/tinytales/w2/tokenizer.json")),
];

/// Stories from the training text, for calibration.
pub const CALIBRATION: &str = include_str!("../../../data/tinytales_train_sample.txt");

/// Held-out stories, for perplexity.
pub const VALIDATION: &str = include_str!("../../../data/tinytales_val.txt");

/// Writes the checkpoint into a temporary folder, which disappears with the returned value.
///
/// # Errors
/// The temporary folder cannot be written.
pub fn unpack() -> Result<tempfile::TempDir> {
    temporary(FILES)
}

/// Writes files into a temporary folder.
pub(crate) fn temporary<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir().map_err(|e| Error::io("create", &std::env::temp_dir(), e))?;
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).map_err(|e| Error::io("write", &path, e))?;
    }
    Ok(folder)
}
