//! The error type of the crate.

use std::path::{Path, PathBuf};

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between a checkpoint and a quantized model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, for example `open`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file is not what its name promises (JSON syntax, safetensors header, truncated data).
    #[error("{} is damaged or not a {kind} file: {reason}; download or export it again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Expected kind of file.
        kind: &'static str,
        /// What the reader found.
        reason: String,
    },
    /// The model is valid but uses something that is not implemented.
    #[error("{}: `{field}` is {found}; supported: {supported}", path.display())]
    Unsupported {
        /// The file that says so.
        path: PathBuf,
        /// Field of that file.
        field: String,
        /// Its value.
        found: String,
        /// What would be accepted.
        supported: String,
    },
    /// A configuration value is missing or contradicts another.
    #[error("{}: `{field}` {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Field of that file.
        field: String,
        /// What is wrong with it, and what is expected.
        reason: String,
    },
    /// A tensor is missing.
    #[error("{}: tensor `{tensor}` is missing; the configuration asks for shape {shape:?}", path.display())]
    MissingTensor {
        /// File or folder searched.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// Shape it would have.
        shape: Vec<usize>,
    },
    /// A tensor has another shape than the configuration implies.
    #[error("{}: tensor `{tensor}` has shape {found:?}, the configuration asks for {expected:?}", path.display())]
    Shape {
        /// File that holds it.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// Shape found.
        found: Vec<usize>,
        /// Shape expected.
        expected: Vec<usize>,
    },
    /// A tensor has an element type that is not supported there.
    #[error("{}: tensor `{tensor}` has element type {found}; supported: {expected}", path.display())]
    Dtype {
        /// File that holds it.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// Type found.
        found: String,
        /// Types accepted.
        expected: &'static str,
    },
    /// A tensor holds a value outside its allowed range (NaN, infinity, bad code).
    #[error("{}: tensor `{tensor}`, element {element} is {value}; {expected}", path.display())]
    Value {
        /// File that holds it.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// Flat index (row major).
        element: usize,
        /// The value, printed.
        value: String,
        /// What is expected instead.
        expected: &'static str,
    },
    /// The tokenizer refused a file or a text.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// A caller's argument is outside its stated range.
    #[error("{0}")]
    Argument(String),
}

impl Error {
    /// Wraps an I/O error with the action and path.
    pub fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }

    /// A damaged file.
    pub fn malformed(path: &Path, kind: &'static str, reason: impl ToString) -> Self {
        Self::Malformed { path: path.to_path_buf(), kind, reason: reason.to_string() }
    }

    /// A configuration value that is missing or inconsistent.
    pub fn config(path: &Path, field: impl ToString, reason: impl ToString) -> Self {
        Self::Config { path: path.to_path_buf(), field: field.to_string(), reason: reason.to_string() }
    }

    /// A feature that is not implemented.
    pub fn unsupported(
        path: &Path,
        field: impl ToString,
        found: impl ToString,
        supported: impl ToString,
    ) -> Self {
        Self::Unsupported {
            path: path.to_path_buf(),
            field: field.to_string(),
            found: found.to_string(),
            supported: supported.to_string(),
        }
    }
}
