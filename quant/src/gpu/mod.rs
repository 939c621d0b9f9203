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
mod group;
mod lesson;
#[cfg(feature = "cuda")]
mod nccl;
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

pub use beginnings::{Beginnings, Then, beginnings};
pub use recipe::Recipe;
pub use train::{Order, Report, Stage, Task, Trained};

use crate::quantize::Damage;
use accllm_llm::Result;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::FloatModel;
use std::path::Path;

/// NVIDIA cards that work together, with the kernels for a model's sizes.
pub struct Cards {
    #[cfg(feature = "cuda")]
    all: Vec<cuda::Cuda>,
    /// There are none in a program without the feature.
    #[cfg(not(feature = "cuda"))]
    none: std::convert::Infallible,
}

impl Cards {
    /// Opens the first `count` of the cards that are visible (`CUDA_VISIBLE_DEVICES` says which are), or all of them.
    ///
    /// # Errors
    /// The model cannot be trained on a card; the program was built without the feature `cuda`; driver, libraries or cards are
    /// missing.
    pub fn open(config: &LlamaConfig, count: Option<usize>) -> Result<Self> {
        let shape = shape::KernelShape::of(config)?;
        #[cfg(feature = "cuda")]
        {
            Ok(Self { all: cuda::Cuda::group(&shape, count)? })
        }
        #[cfg(not(feature = "cuda"))]
        {
            let _ = (shape, count);
            Err(accllm_llm::Error::Argument(
                "--device cuda: this program was built without it; `make cuda` builds one with it (docs/gpu.md), \
                 and --device cpu trains on the processor"
                    .into(),
            ))
        }
    }

    #[cfg(feature = "cuda")]
    fn members(&mut self) -> Vec<group::Member<'_>> {
        self.all.iter_mut().map(|card| -> group::Member<'_> { card }).collect()
    }

    /// The model's own text, as much as the recipe wants. Each card writes a part.
    ///
    /// # Errors
    /// The model does not fit a card; a card fails; there are too many for a step; the folder cannot be written, or what is kept
    /// there is damaged.
    pub fn write(&mut self, order: &Order<'_>, progress: &mut dyn FnMut(Report)) -> Result<Vec<u32>> {
        #[cfg(feature = "cuda")]
        {
            train::write_together(&mut self.members(), order, progress)
        }
        #[cfg(not(feature = "cuda"))]
        {
            let _ = (order, progress);
            match self.none {}
        }
    }

    /// What each format does to each linear alone, on the first 32,768 tokens of `text`, in rows as the recipe's first ones:
    /// `[layer][linear][format]`, the mean divergence of the predictions in nats a token. It is kept in `folder`, where there is
    /// one. The first card does it.
    ///
    /// # Errors
    /// As those of [`Cards::write`].
    pub fn sensitivity(
        &mut self,
        model: &FloatModel,
        text: &[u32],
        recipe: &Recipe,
        folder: Option<&Path>,
        progress: &mut dyn FnMut(Report),
    ) -> Result<Vec<Damage>> {
        #[cfg(feature = "cuda")]
        {
            let measure = |device: &dyn device::Device, progress: &mut dyn FnMut(Report)| {
                sensitivity::sensitivity_on(device, model, text, recipe.rows[0], folder, progress)
            };
            Ok(group::together(&mut self.members()[..1], progress, measure)?.concat())
        }
        #[cfg(not(feature = "cuda"))]
        {
            let _ = (model, text, recipe, folder, progress);
            match self.none {}
        }
    }

    /// Trains a model's linears on the grids of their formats. The state is kept in the task's folder, where there is one: a run
    /// that was interrupted goes on from there, also on another number of cards if that divides a step as well. Each card has a
    /// part of the text, and of the rows of each step.
    ///
    /// # Errors
    /// The start has other sizes, text or formats are not what the recipe wants; recipe or model do not fit the cards; a card
    /// fails; the folder cannot be written, or what is kept there is damaged.
    pub fn train(&mut self, task: &Task<'_>, progress: &mut dyn FnMut(Report)) -> Result<Trained> {
        #[cfg(feature = "cuda")]
        {
            train::train_together(&mut self.members(), task, progress)
        }
        #[cfg(not(feature = "cuda"))]
        {
            let _ = (task, progress);
            match self.none {}
        }
    }
}
