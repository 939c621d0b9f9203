//! Training of weights on their grids, with automatic differentiation by `candle`.

mod adam;
mod attention;
mod end_to_end;
mod fake;
mod kept;
mod kernel;
mod layer;
mod loss;
mod ops;
mod recon;
mod schedule;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use end_to_end::{Goal, Start, train_end_to_end};
pub(crate) use recon::{BlockTraining, TrainedLayer};
pub use schedule::{Reached, Training};

use accllm_llm::Error;

/// An error of the tensor library.
fn failed(e: candle_core::Error) -> Error {
    Error::Argument(format!("training failed: {e}"))
}

/// A state that cannot be kept.
fn unwritten(path: &std::path::Path, e: candle_core::Error) -> Error {
    Error::io("write", path, std::io::Error::other(e))
}

/// A kept state that cannot be read.
fn damaged(path: &std::path::Path, e: &candle_core::Error) -> Error {
    Error::malformed(path, "training state", format!("{e} (delete it to train this part again)"))
}
