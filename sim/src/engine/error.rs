//! Why the engine could not be built or run.

use crate::memory::StoreError;
use crate::verilate::{SimError, VerilateError};

/// Why an engine could not be built or a run could not be finished. A fault of the engine is not an error: it is in
/// the report.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The design could not be built.
    #[error(transparent)]
    Build(#[from] VerilateError),
    /// The model failed: an assertion, or a port that does not fit.
    #[error(transparent)]
    Sim(#[from] SimError),
    /// The host wrote outside a memory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Wrong number of memories.
    #[error(
        "'{config}' has {want} memory ports (channels and the auxiliary one), but {got} memories were given"
    )]
    Memories {
        /// Configuration.
        config: String,
        /// Ports.
        want: usize,
        /// Memories given.
        got: usize,
    },
    /// A register access was not answered.
    #[error("register {address:#05x} is not answered")]
    Register {
        /// Offset.
        address: u32,
    },
    /// The run did not end.
    #[error("the run did not end within {cycles} cycles: {state}")]
    Hang {
        /// Cycles given.
        cycles: u64,
        /// What waits for what.
        state: String,
    },
    /// An observer that wants events on an engine that has none.
    #[error("this engine was built without trace outputs; build it with EngineSpec::trace(true)")]
    NoTrace,
    /// The observer ended the run.
    #[error("the observer stopped the run in cycle {cycle}")]
    Stopped {
        /// Cycle of the run.
        cycle: u64,
    },
}
