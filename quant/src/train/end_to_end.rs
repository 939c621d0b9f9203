//! Training of the whole quantized model against the float model's logits.
//!
//! The gradient is taken layer by layer: the forward pass keeps each layer's input only, and the backward pass runs
//! each layer again. Memory is that of one layer's tape, and each layer's parameters step as soon as their gradient is
//! there.

use super::fake::LatentWeight;
use super::layer::{Parameters, TrainLayer, save};
use super::loss::divergence;
use super::ops::rms_norm;
use super::recon::{Optimizers, TrainedLayer};
use super::schedule::{Training, cosine};
use super::{damaged, device, failed};
use crate::float::{FloatModel, Matrix, NoTap};
use crate::quantize::{GridWeight, Progress, Weights};
use candle_core::{Device, Result, Tensor, Var, safetensors};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The model's end in training: last norm and head.
struct TrainHead {
    gain: Var,
    head: LatentWeight,
    eps: f64,
}

impl TrainHead {
    fn parameters(&self) -> Parameters {
        Parameters {
            weights: vec![self.head.v.clone()],
            scales: vec![self.head.log_scale.clone()],
            gains: vec![self.gain.clone()],
        }
    }

    fn logits(&self, x: &Tensor) -> Result<Tensor> {
        rms_norm(x, &self.gain, self.eps)?.matmul(&self.head.weight()?.t()?)
    }

    /// As it was when it was written to `path`.
    fn restore(&self, path: &Path, device: &Device) -> Result<()> {
        let tensors = safetensors::load(path, device)?;
        for (name, var) in [("v", &self.head.v), ("log_scale", &self.head.log_scale), ("gain", &self.gain)] {
            let missing = || candle_core::Error::Msg(format!("`{name}` is missing"));
            var.set(tensors.get(name).ok_or_else(missing)?)?;
        }
        Ok(())
    }
}

/// The layers and head at which the training starts.
pub(crate) struct Start<'a> {
    pub layers: Vec<TrainedLayer>,
    /// Before rounding, with the migration in its columns.
    pub head: &'a Matrix,
    pub grid: &'a GridWeight,
    pub final_norm: &'a [f32],
}

/// Trains a quantized model on `windows` of the text to give the float `teacher`'s distributions.
pub(crate) fn train_end_to_end(
    teacher: &FloatModel,
    start: Start<'_>,
    windows: &[&[u32]],
    how: &Training,
    file: &dyn Fn(&str) -> Option<PathBuf>,
    progress: &mut dyn FnMut(Progress),
) -> crate::Result<Weights> {
    let device = device()?;
    let c = &teacher.config;
    let columns = Arc::new((0..start.head.cols).collect::<Vec<_>>());
    let begin = || {
        Ok(TrainHead {
            gain: Var::from_vec(start.final_norm.to_vec(), start.final_norm.len(), &device)?,
            head: LatentWeight::new(start.head, start.grid, columns, &device)?,
            eps: c.norm_eps,
        })
    };
    let mut student = Student::new(start.layers, begin().map_err(failed)?, how);
    // Written last, so that all parts are there when it is.
    if let Some(path) = file("end-head").filter(|p| p.is_file()) {
        student.restore(&path, file, &device)?;
        return student.result(teacher).map_err(failed);
    }
    let steps = how.steps(windows.len(), windows.first().map_or(1, |w| w.len()), 0);
    for (done, which) in steps.iter().enumerate() {
        let (mut x, mut logits) = (Vec::new(), Vec::new());
        for i in which {
            x.extend(teacher.embed_tokens(windows[*i])?);
            logits.extend(teacher.logits(windows[*i], None, &mut NoTap)?);
        }
        let loss = student.step(x, logits, cosine(done, steps.len()), &device).map_err(failed)?;
        let (step, steps) = (done + 1, steps.len());
        progress(Progress { layer: c.layers, layers: c.layers, step, steps, loss: Some(loss) });
    }
    if let Some(path) = file("end-head") {
        let kept = student.save(&path, file);
        kept.map_err(|e| crate::Error::io("write", &path, std::io::Error::other(e)))?;
    }
    student.result(teacher).map_err(failed)
}

struct Student {
    layers: Vec<(TrainLayer, Optimizers)>,
    end: TrainHead,
    end_optimizers: Optimizers,
}

impl Student {
    fn new(layers: Vec<TrainedLayer>, end: TrainHead, how: &Training) -> Self {
        let ready = |TrainedLayer { layer, .. }| {
            let optimizers = Optimizers::new(layer.parameters(), how);
            (layer, optimizers)
        };
        Self {
            layers: layers.into_iter().map(ready).collect(),
            end_optimizers: Optimizers::new(end.parameters(), how),
            end,
        }
    }

    /// One step on embeddings `x` towards `logits`; returns the divergence, nats a token.
    fn step(&mut self, x: Vec<f32>, logits: Vec<f32>, factor: f64, device: &Device) -> Result<f64> {
        let hidden = self.end.gain.elem_count();
        let tokens = x.len() / hidden;
        let mut inputs = vec![Tensor::from_vec(x, (tokens, hidden), device)?];
        for (layer, _) in &self.layers {
            let weights = layer.weights()?.map(|w| w.detach());
            let y = layer.forward(&inputs[inputs.len() - 1], &weights)?.detach();
            inputs.push(y);
        }
        let x = Var::from_tensor(&inputs.pop().ok_or_else(|| candle_core::Error::Msg("no input".into()))?)?;
        let teacher = Tensor::from_vec(logits, (tokens, self.end.head.rows()), device)?;
        let loss = divergence(&self.end.logits(&x)?, &teacher)?;
        let gradients = loss.backward()?;
        self.end_optimizers.step(&gradients, factor)?;
        let missing = || candle_core::Error::Msg("a layer has no gradient".into());
        let mut dy = gradients.get(&x).ok_or_else(missing)?.clone();
        drop(gradients);
        for ((layer, optimizers), x) in self.layers.iter_mut().zip(inputs).rev() {
            let x = Var::from_tensor(&x)?;
            let y = layer.forward(&x, &layer.weights()?)?;
            let gradients = (y * dy)?.sum_all()?.backward()?;
            optimizers.step(&gradients, factor)?;
            dy = gradients.get(&x).ok_or_else(missing)?.clone();
        }
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    /// Keeps all parts, the head last.
    fn save(&self, path: &Path, file: &dyn Fn(&str) -> Option<PathBuf>) -> Result<()> {
        for (l, (layer, _)) in self.layers.iter().enumerate() {
            if let Some(path) = file(&format!("end-{l}")) {
                layer.save(&path)?;
            }
        }
        let parts = [
            ("v", self.end.head.v.as_tensor()),
            ("log_scale", self.end.head.log_scale.as_tensor()),
            ("gain", self.end.gain.as_tensor()),
        ];
        save(parts.into_iter().map(|(name, t)| (name.to_string(), t.clone())).collect(), path)
    }

    /// Takes all parts as [`Student::save`] has left them.
    fn restore(
        &mut self,
        path: &Path,
        file: &dyn Fn(&str) -> Option<PathBuf>,
        device: &Device,
    ) -> crate::Result<()> {
        for (l, (layer, _)) in self.layers.iter_mut().enumerate() {
            if let Some(path) = file(&format!("end-{l}")) {
                *layer = layer.again(&path, device).map_err(|e| damaged(&path, &e))?;
            }
        }
        self.end.restore(path, device).map_err(|e| damaged(path, &e))
    }

    fn result(&self, teacher: &FloatModel) -> Result<Weights> {
        Ok(Weights {
            embed: teacher.embed.clone(),
            layers: self.layers.iter().map(|(l, _)| l.result()).collect::<Result<Vec<_>>>()?.into(),
            final_norm: self.end.gain.to_vec1()?,
            head: self.end.head.grid()?,
        })
    }
}
