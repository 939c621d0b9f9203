//! Training of a whole model in W2 2:4 on a graphics card: see `docs/gpu.md`.
//!
//! The model writes text on the card ([`write`]), and learns in W2 2:4 to predict what the float model predicts
//! ([`train`]). Kernels are CUDA C++ (`kernels/`), compiled when the program runs; tests run them on the CPU as well. What comes
//! out is a float model whose linears lie on the grid; [`crate::quantize::quantize`] keeps it exactly.

// Without a card all of this is there for its tests alone.
#![cfg_attr(not(feature = "cuda"), allow(dead_code))]

mod beginnings;
#[cfg(feature = "cuda")]
mod cuda;
mod device;
#[cfg(test)]
mod emulated;
mod net;
mod optimizer;
#[cfg(feature = "cuda")]
mod products;
mod recipe;
mod shape;
mod state;
mod steps;
#[cfg(test)]
mod tests;
mod train;
mod w2;
mod w4;
mod write;

pub use beginnings::beginnings;
pub use recipe::Recipe;
pub use train::{Report, Stage, Trained};

use crate::Result;
use crate::float::FloatModel;
use std::path::Path;

/// Trains all linears of `model` in W2 2:4 on the first NVIDIA card, from the weights of `start` where that is given. `beginnings` are token sequences that texts of the model begin
/// with. Text and state are kept in `folder`, where there is one: a run that was interrupted goes on from there.
///
/// # Errors
/// `start` has other sizes; the program was built without the feature `cuda`; driver, libraries or a card are missing; the model or the recipe does
/// not fit the card; the folder cannot be written, or what is kept there is damaged.
pub fn train(
    model: &FloatModel,
    start: Option<&FloatModel>,
    beginnings: &[Vec<u32>],
    recipe: &Recipe,
    folder: Option<&Path>,
    progress: &mut dyn FnMut(Report),
) -> Result<Trained> {
    #[cfg(feature = "cuda")]
    {
        let device = cuda::Cuda::open(&shape::KernelShape::of(&model.config)?)?;
        train::train_on(&device, model, start.unwrap_or(model), beginnings, recipe, folder, progress)
    }
    #[cfg(not(feature = "cuda"))]
    {
        let _ = (model, start, beginnings, recipe, folder, progress);
        Err(crate::Error::Argument(
            "--device cuda: this program was built without it; `make cuda` builds one with it (docs/gpu.md), \
             and --device cpu trains on the processor"
                .into(),
        ))
    }
}
