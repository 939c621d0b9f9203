//! The float model on a device.

use super::device::{Device, Memory, Ptr, put};
use super::net::Weights;
use super::shape::{KernelShape, flat_gains, flat_layer};
use accllm_llm::Result;
use accllm_llm::float::{FloatModel, Matrix};
use rayon::prelude::*;

/// The float model on a device.
pub(super) struct Teacher {
    pub shape: KernelShape,
    layers: Ptr,
    gains: Ptr,
    table: Ptr,
    /// Its head, bf16.
    pub head: Ptr,
}

impl Teacher {
    pub fn new(device: &dyn Device, memory: &mut Memory<'_>, model: &FloatModel) -> Result<Self> {
        let shape = KernelShape::of(&model.config)?;
        let layers = memory.bf16s(shape.sizes.layers * shape.layer())?;
        for (l, w) in model.layers.iter().enumerate() {
            put(device, layers.bf16s(l * shape.layer()), &narrow(&flat_layer(&*w?)))?;
        }
        let gains = flat_gains(model)?;
        let teacher = Self {
            gains: memory.f32s(gains.len())?,
            table: memory.f32s(shape.table())?,
            head: memory.bf16s(shape.table())?,
            shape,
            layers,
        };
        put(device, teacher.gains, &gains)?;
        put(device, teacher.table, &model.embed.data)?;
        put(device, teacher.head, &narrow(&model.head().data))?;
        Ok(teacher)
    }

    /// Other values for linear `i` of layer `l`.
    pub fn change(&self, device: &dyn Device, l: usize, i: usize, w: &Matrix) -> Result<()> {
        let at = self.layers.bf16s(l * self.shape.layer() + self.shape.parts()[i].at);
        put(device, at, &narrow(&w.data))
    }

    /// Does something with its weights.
    pub fn weights<T>(&self, work: impl FnOnce(Weights<'_>) -> Result<T>) -> Result<T> {
        let layer = |l: usize| Ok(self.layers.bf16s(l * self.shape.layer()));
        work(Weights { layer: &layer, gains: self.gains, table: self.table, head: self.head })
    }
}

fn narrow(data: &[f32]) -> Vec<half::bf16> {
    data.par_iter().map(|v| half::bf16::from_f32(*v)).collect()
}
