//! The error type of the runtime.

use std::path::{Path, PathBuf};

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between the command line and a device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Import, quantization or the reference model.
    #[error(transparent)]
    Quant(#[from] accllm_llm::Error),
    /// Compilation, or a program file.
    #[error(transparent)]
    Compiler(#[from] accllm_compiler::Error),
    /// A configuration that cannot be used.
    #[error(transparent)]
    Config(#[from] accllm_hw::config::ConfigError),
    /// A card that cannot be used.
    #[error(transparent)]
    Card(#[from] accllm_hw::card::CardError),
    /// The simulated engine could not be built or run.
    #[error(transparent)]
    Engine(#[from] accllm_sim::engine::EngineError),
    /// A device stopped with a fault, or something behind it failed.
    #[error("{0}")]
    Fault(String),
    /// XRT, its emulation, or the card behind it failed.
    #[error("{0}")]
    Xrt(String),
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, for example `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// An argument has no meaning here; the text says what is accepted.
    #[error("{0}")]
    Argument(String),
    /// Two executions that must agree bit for bit did not.
    #[error("{0}")]
    Mismatch(String),
}

impl Error {
    /// Wraps an I/O error with what was tried and where.
    pub fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }

    /// A fault of the golden executor.
    pub(crate) fn fault(fault: accllm_sim::golden::Fault) -> Self {
        Self::Fault(format!("the golden executor faulted: {fault}"))
    }

    /// True when the reader of standard output has gone (`accllm ... | head`), which is no failure.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

impl From<accllm_sim::golden::MemoryError> for Error {
    fn from(e: accllm_sim::golden::MemoryError) -> Self {
        Self::Fault(e.to_string())
    }
}

impl From<accllm_sim::memory::KindError> for Error {
    fn from(e: accllm_sim::memory::KindError) -> Self {
        Self::Fault(e.to_string())
    }
}

impl From<accllm_sim::memory::StoreError> for Error {
    fn from(e: accllm_sim::memory::StoreError) -> Self {
        Self::Fault(e.to_string())
    }
}
