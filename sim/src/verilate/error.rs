//! What can go wrong while a model is built, loaded or run.

use std::path::PathBuf;

/// Why a SystemVerilog top could not be turned into a loaded model.
#[derive(Debug, thiserror::Error)]
pub enum VerilateError {
    /// The pinned Verilator is not installed.
    #[error("no Verilator at {0}; run `make verilator` or set ACCLLM_VERILATOR_ROOT")]
    NoVerilator(PathBuf),
    /// No usable C++ compiler was found.
    #[error(
        "no C++ compiler found (looked for clang++, clang++-NN, g++, c++ on PATH); install clang or g++, or set ACCLLM_CXX"
    )]
    NoCompiler,
    /// The workspace root could not be located.
    #[error(
        "cannot find the workspace (a folder with tools/verilator-requirements.txt) from {0}; run from inside it or set ACCLLM_ROOT"
    )]
    NoWorkspace(PathBuf),
    /// A trace was asked for but the compression headers are missing.
    #[error(
        "FST tracing needs the lz4 and zlib headers; install the packages liblz4-dev and zlib1g-dev (Debian names) or build with trace_fst = false"
    )]
    NoTraceHeaders,
    /// The description itself is wrong.
    #[error("cannot build {top}: {why}")]
    Spec {
        /// Top module name.
        top: String,
        /// What is wrong and what to change.
        why: String,
    },
    /// A file operation failed.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// The operation.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Verilator or the compiler refused its input.
    #[error("{tool} failed while building {top}:\n{message}")]
    Tool {
        /// Program that failed.
        tool: String,
        /// Top module name.
        top: String,
        /// First lines of its messages.
        message: String,
    },
    /// The finished library could not be loaded.
    #[error("cannot load {path}: {why}; delete that folder to have it built again")]
    Load {
        /// The shared library.
        path: PathBuf,
        /// The loader's reason.
        why: String,
    },
}

/// Why a running model stopped or refused a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// `$error`, `$stop`, `$fatal` or a failed assertion; the model can go on.
    #[error("{top} failed in cycle {cycle}: {text}")]
    Failed {
        /// Top module name.
        top: String,
        /// Clock cycle in which it happened.
        cycle: u64,
        /// What the design said.
        text: String,
    },
    /// The simulation kernel gave up; the model refuses every later call.
    #[error("{top} cannot go on after cycle {cycle}: {text}")]
    Fatal {
        /// Top module name.
        top: String,
        /// Clock cycle in which it happened.
        cycle: u64,
        /// The kernel's reason.
        text: String,
    },
    /// No port of that name.
    #[error("{top} has no port {name}; it has {known}")]
    NoPort {
        /// Top module name.
        top: String,
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// The port exists with another shape than the caller relies on.
    #[error("port {name} of {top} is {found_elements} x {found_bits} bits, expected {elements} x {bits}")]
    PortShape {
        /// Top module name.
        top: String,
        /// Port name.
        name: String,
        /// Bits per element in the design.
        found_bits: u32,
        /// Elements in the design.
        found_elements: u32,
        /// Bits per element expected.
        bits: u32,
        /// Elements expected.
        elements: u32,
    },
    /// `cycle` was called on a model without its clock port.
    #[error("{top} has no one-bit clock port {clock}; set VerilateSpec::clock or drive it with eval()")]
    NoClock {
        /// Top module name.
        top: String,
        /// The clock name of the specification.
        clock: String,
    },
    /// The path of a trace file cannot be passed on.
    #[error("trace path {0} contains a zero byte")]
    TracePath(String),
}
