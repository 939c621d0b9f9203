//! Training of a whole model on a graphics card, to weights of two and four bits: see `docs/gpu.md`.
//!
//! The model writes text on the card ([`write`]), and learns with rounded weights to predict what the float model predicts
//! ([`train`]). Kernels are CUDA C++ (`kernels/`), compiled when the program runs; tests run them on the CPU as well. What comes
//! out are grids, which [`crate::quantize::quantize_trained`] keeps exactly.

// Without a card all of this is there for its tests alone.
#![cfg_attr(not(feature = "cuda"), allow(dead_code))]

mod beginnings;
#[cfg(feature = "cuda")]
mod cuda;
mod device;
#[cfg(test)]
mod emulated;
mod formats;
mod lesson;
mod net;
mod optimizer;
#[cfg(feature = "cuda")]
mod products;
mod recipe;
mod room;
mod sensitivity;
mod shape;
mod state;
mod steps;
mod teacher;
#[cfg(test)]
mod tests;
mod train;
mod w2;
mod w4;
mod write;

pub use beginnings::beginnings;
pub use recipe::Recipe;
pub use train::{Order, Report, Stage, Task, Trained};

use crate::Result;
use crate::config::LlamaConfig;
use crate::float::FloatModel;
use crate::quantize::Damage;
use device::Device;
use std::path::Path;

/// The first NVIDIA card, with the kernels for a model's sizes.
pub struct Card {
    #[cfg(feature = "cuda")]
    device: cuda::Cuda,
    /// There is none in a program without the feature.
    #[cfg(not(feature = "cuda"))]
    none: std::convert::Infallible,
}

impl Card {
    /// Opens it.
    ///
    /// # Errors
    /// The model cannot be trained on a card; the program was built without the feature `cuda`; driver, libraries or a card are
    /// missing.
    pub fn open(config: &LlamaConfig) -> Result<Self> {
        let shape = shape::KernelShape::of(config)?;
        #[cfg(feature = "cuda")]
        {
            Ok(Self { device: cuda::Cuda::open(&shape)? })
        }
        #[cfg(not(feature = "cuda"))]
        {
            let _ = shape;
            Err(crate::Error::Argument(
                "--device cuda: this program was built without it; `make cuda` builds one with it (docs/gpu.md), \
                 and --device cpu trains on the processor"
                    .into(),
            ))
        }
    }

    fn device(&self) -> &dyn Device {
        #[cfg(feature = "cuda")]
        {
            &self.device
        }
        #[cfg(not(feature = "cuda"))]
        match self.none {}
    }

    /// The model's own text, as much as the recipe wants.
    ///
    /// # Errors
    /// The model does not fit the card; the card fails; the folder cannot be written, or what is kept there is damaged.
    pub fn write(&self, order: &Order<'_>, progress: &mut dyn FnMut(Report)) -> Result<Vec<u32>> {
        train::write_on(self.device(), order, progress)
    }

    /// What each format does to each linear alone, on the first 32,768 tokens of `text`, in rows as the recipe's first ones:
    /// `[layer][linear][format]`, the mean divergence of the predictions in nats a token. It is kept in `folder`, where there is
    /// one.
    ///
    /// # Errors
    /// As those of [`Card::write`].
    pub fn sensitivity(
        &self,
        model: &FloatModel,
        text: &[u32],
        recipe: &Recipe,
        folder: Option<&Path>,
        progress: &mut dyn FnMut(Report),
    ) -> Result<Vec<Damage>> {
        sensitivity::sensitivity_on(self.device(), model, text, recipe.rows[0], folder, progress)
    }

    /// Trains a model's linears on the grids of their formats. The state is kept in the task's folder, where there is one: a run
    /// that was interrupted goes on from there.
    ///
    /// # Errors
    /// The start has other sizes, text or formats are not what the recipe wants; recipe or model do not fit the card; the card
    /// fails; the folder cannot be written, or what is kept there is damaged.
    pub fn train(&self, task: &Task<'_>, progress: &mut dyn FnMut(Report)) -> Result<Trained> {
        train::train_on(self.device(), task, progress)
    }
}
