//! Block-wise reconstruction: the weights of one layer, on their grids, are trained until the layer gives what the
//! float layer gives, on the inputs that the quantized layers before it produce (BRECQ, arXiv 2102.05426; trained as
//! EfficientQAT's first phase, arXiv 2407.11062).

use super::adam::Adam;
use super::layer::{Parameters, TrainLayer, save};
use super::loss::relative_error;
use super::schedule::{Training, cosine};
use super::{damaged, failed, unwritten};
use crate::grid::GridLayer;
use crate::train::Reached;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::FloatLayer;
use accllm_llm::model::WeightFormat;
use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor};
use std::collections::HashMap;
use std::path::Path;

/// The optimizers of a layer, or of the head.
pub(super) struct Optimizers([Adam; 3]);

impl Optimizers {
    /// With the learning rates of `how`.
    pub fn new(p: Parameters, how: &Training) -> Self {
        Self([
            Adam::new(p.weights, how.weights),
            Adam::new(p.scales, how.scales),
            Adam::relative(p.gains, how.gains),
        ])
    }

    /// One step, with all learning rates times `factor`.
    pub fn step(&mut self, gradients: &GradStore, factor: f64) -> Result<()> {
        self.0.iter_mut().try_for_each(|adam| adam.step(gradients, factor))
    }

    /// Adds the moments to `tensors`.
    pub fn keep(&self, tensors: &mut HashMap<String, Tensor>) -> Result<()> {
        self.0.iter().enumerate().try_for_each(|(i, adam)| adam.keep(&format!("adam.{i}"), tensors))
    }

    /// Takes the moments after `steps` steps from where [`Optimizers::keep`] has put them.
    pub fn take(&mut self, tensors: &HashMap<String, Tensor>, steps: usize) -> Result<()> {
        self.0
            .iter_mut()
            .enumerate()
            .try_for_each(|(i, adam)| adam.take(&format!("adam.{i}"), tensors, steps))
    }
}

/// What the training of one layer needs to know.
pub(crate) struct BlockTraining<'a> {
    pub how: &'a Training,
    /// Number of the layer.
    pub l: usize,
    /// Layers of the model.
    pub layers: usize,
    /// Tokens of a sequence.
    pub window: usize,
    /// Static step of V; none: K, Q and V are not rounded in training.
    pub value_step: Option<f32>,
}

/// A layer in training.
pub(crate) struct TrainedLayer {
    pub(super) layer: TrainLayer,
    window: usize,
    hidden: usize,
    device: Device,
}

impl TrainedLayer {
    /// Starts at `start`, which is a fit of `w`.
    pub fn new(
        c: &LlamaConfig,
        w: &FloatLayer,
        start: &GridLayer,
        how: &BlockTraining<'_>,
    ) -> accllm_llm::Result<Self> {
        let device = Device::Cpu;
        let layer = TrainLayer::new(c, w.at(how.l), &start.grids, how.window, how.value_step, &device)
            .map_err(failed)?;
        Ok(Self { layer, window: how.window, hidden: c.sizes.hidden, device })
    }

    /// The layer that a training before this one left in `path`.
    pub fn restore(
        c: &LlamaConfig,
        l: usize,
        formats: &[WeightFormat; 7],
        window: usize,
        path: &Path,
    ) -> accllm_llm::Result<Self> {
        let device = Device::Cpu;
        let layer =
            TrainLayer::restore(c, l, formats, window, path, &device).map_err(|e| damaged(path, &e))?;
        Ok(Self { layer, window, hidden: c.sizes.hidden, device })
    }

    /// Keeps the layer in `path`.
    pub fn save(&self, path: &Path) -> accllm_llm::Result<()> {
        self.layer.tensors().and_then(|t| save(t, path)).map_err(|e| unwritten(path, e))
    }

    /// Trains the layer to make `target` of `input`, sequence by sequence.
    pub fn reconstruct(
        &self,
        input: &[Vec<f32>],
        target: &[Vec<f32>],
        block: &BlockTraining<'_>,
        progress: &mut dyn FnMut(Reached),
    ) -> accllm_llm::Result<()> {
        self.train(input, target, block, progress).map_err(failed)
    }

    fn train(
        &self,
        input: &[Vec<f32>],
        target: &[Vec<f32>],
        block: &BlockTraining<'_>,
        progress: &mut dyn FnMut(Reached),
    ) -> Result<()> {
        let steps = block.how.steps(input.len(), self.window, block.l);
        let mut optimizers = Optimizers::new(self.layer.parameters(), block.how);
        for (done, which) in steps.iter().enumerate() {
            let (x, target) = (self.batch(input, which)?, self.batch(target, which)?);
            let loss = relative_error(&self.layer.forward(&x, &self.layer.weights()?)?, &target)?;
            optimizers.step(&loss.backward()?, cosine(done, steps.len()))?;
            let loss = Some(f64::from(loss.to_scalar::<f32>()?));
            let (step, steps) = (done + 1, steps.len());
            progress(Reached { layer: block.l, layers: block.layers, step, steps, loss });
        }
        Ok(())
    }

    fn batch(&self, of: &[Vec<f32>], which: &[usize]) -> Result<Tensor> {
        let data: Vec<f32> = which.iter().flat_map(|i| of[*i].iter().copied()).collect();
        Tensor::from_vec(data, (which.len() * self.window, self.hidden), &self.device)
    }

    /// Replaces every sequence by what the layer makes of it.
    pub fn advance(&self, sequences: &mut [Vec<f32>]) -> accllm_llm::Result<()> {
        /// Sequences at a time.
        const SIDE: usize = 8;
        let run = |x: Vec<f32>, weights: &[Tensor; 7]| {
            let input = Tensor::from_vec(x, ((), self.hidden), &self.device)?;
            self.layer.forward(&input, weights)?.flatten_all()?.to_vec1::<f32>()
        };
        let weights = self.layer.weights().map_err(failed)?.map(|w| w.detach());
        for some in sequences.chunks_mut(SIDE) {
            let y = run(some.concat(), &weights).map_err(failed)?;
            for (x, y) in some.iter_mut().zip(y.chunks_exact(self.window * self.hidden)) {
                x.copy_from_slice(y);
            }
        }
        Ok(())
    }

    /// Where the training ended.
    pub fn result(&self) -> accllm_llm::Result<GridLayer> {
        self.layer.result().map_err(failed)
    }
}
