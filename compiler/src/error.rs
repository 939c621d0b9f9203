//! Errors of the compiler: what, where, and what to do about it.

use std::path::PathBuf;

/// What can go wrong between a quantized model and a program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model that the engine does not support.
    #[error("model: {what}; {help}")]
    Model {
        /// What is wrong with which value.
        what: String,
        /// What to do.
        help: String,
    },
    /// A configuration that cannot be used.
    #[error(transparent)]
    Config(#[from] accllm_hw::config::ConfigError),
    /// A setting of the compilation that makes no sense.
    #[error("setting {name}: {what}; {help}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// What is wrong.
        what: String,
        /// What to do.
        help: String,
    },
    /// Something does not fit the configuration.
    #[error(
        "configuration '{config}': {buffer} needs {needed} {unit} and has {available} ({} too few); {help}",
        needed - available
    )]
    TooSmall {
        /// Configuration.
        config: String,
        /// The buffer or field that is too small.
        buffer: &'static str,
        /// What is needed.
        needed: usize,
        /// What there is.
        available: usize,
        /// Unit of both.
        unit: &'static str,
        /// What would help.
        help: String,
    },
    /// A weight tensor that cannot be packed.
    #[error("weights: {tensor}, row {row}: {what}; quantize the model again")]
    Weights {
        /// Tensor.
        tensor: String,
        /// Row in the checkpoint's order.
        row: usize,
        /// What is wrong.
        what: String,
    },
    /// Arguments of a step that are not admissible.
    #[error("step at position {position} with {tokens} tokens: {what}")]
    Step {
        /// Position of the first token.
        position: u64,
        /// Tokens.
        tokens: usize,
        /// What is wrong.
        what: String,
    },
    /// The static checker refused a program.
    #[error("program check: instruction {pc} ({text}): {what}")]
    Check {
        /// Index of the instruction.
        pc: usize,
        /// Its disassembly.
        text: String,
        /// What was violated.
        what: String,
    },
    /// Assembler input that is not a program.
    #[error("assembler: line {line}: {what}")]
    Asm {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A file that cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// Reading, writing ...
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A compiled program file that is damaged or of another version.
    #[error("{} is not a usable program file: {what}; compile the model again", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A violated rule of this crate itself.
    #[error("internal: {0} (please report this)")]
    Internal(String),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A model error.
pub(crate) fn model(what: impl Into<String>, help: impl Into<String>) -> Error {
    Error::Model { what: what.into(), help: help.into() }
}
