//! Import of GGUF files: `llama` models and their tokenizers. What is accepted: docs/import.md.

mod block;
mod config;
mod cursor;
mod file;
mod load;
mod metadata;
mod split;
mod tokenizer;

pub use load::{is_gguf, license, tokenizer_files};
pub(super) use load::{load_config, load_model_within};

use crate::Error;
use std::path::Path;

/// A damaged file.
fn bad(path: &Path, reason: impl ToString) -> Error {
    Error::malformed(path, "GGUF", reason)
}
