//! Training of the whole quantized model against the float model's logits.
//!
//! Memory is that of half the layers' tape: the forward pass of the first half keeps nothing but its result, and is done
//! again when the gradient of the second half is there. From time to time the whole state is kept, so that an interrupted
//! training goes on in the middle (`kept.rs`).

use super::fake::LatentWeight;
use super::kept::Kept;
use super::layer::{Parameters, TrainLayer, get};
use super::loss::{divergence, relative_error};
use super::ops::{linear, rms_norm};
use super::recon::{Optimizers, TrainedLayer};
use super::schedule::{Training, cosine};
use super::{device, failed};
use crate::float::{FloatModel, Matrix, Site};
use crate::quantize::{GridWeight, Progress, Weights};
use candle_core::{DType, Device, Result, Tensor, Var};
use std::collections::HashMap;
use std::path::PathBuf;
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
        linear(&rms_norm(x, &self.gain, self.eps)?, &self.head.weight()?)
    }

    /// Its parts, by names.
    fn parts(&self) -> [(&'static str, &Var); 3] {
        [("v", &self.head.v), ("log_scale", &self.head.log_scale), ("gain", &self.gain)]
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
    let steps = how.steps(windows.len(), windows.first().map_or(1, |w| w.len()), 0);
    let mut kept = Kept::new(file);
    let before = kept.take(&mut student, &device)?;
    for (done, which) in steps.iter().enumerate().skip(before) {
        let which: Vec<&[u32]> = which.iter().map(|i| windows[*i]).collect();
        let factor = cosine(done, steps.len());
        let batch = Batch::new(teacher, &which, how.layers * factor)?;
        let loss = student.step(batch, factor, &device).map_err(failed)?;
        let (step, steps) = (done + 1, steps.len());
        kept.after(step, step == steps, &student)?;
        progress(Progress { layer: c.layers, layers: c.layers, step, steps, loss: Some(loss) });
    }
    student.result(teacher).map_err(failed)
}

/// What the float model makes of a few windows, one after another.
struct Batch {
    /// Embeddings, `[tokens, hidden]`.
    x: Vec<f32>,
    /// Behind each layer, `[tokens, hidden]`.
    behind: Vec<Vec<f32>>,
    /// How much the errors behind the layers count.
    weight: f64,
    /// `[tokens, vocab]`.
    logits: Vec<f32>,
}

impl Batch {
    fn new(teacher: &FloatModel, windows: &[&[u32]], weight: f64) -> crate::Result<Self> {
        let (mut x, mut logits) = (Vec::new(), Vec::new());
        let mut behind = vec![Vec::new(); teacher.config.layers];
        let mut look = |site, layer: usize, _: usize, data: &mut [f32]| {
            if site == Site::LayerOut && weight > 0.0 {
                behind[layer].extend_from_slice(data);
            }
        };
        for window in windows {
            x.extend(teacher.embed_tokens(window)?);
            logits.extend(teacher.logits(window, None, &mut look)?);
        }
        Ok(Self { x, behind, weight, logits })
    }
}

/// What `layers` make of `x`, and the relative errors behind each of them, times `weight`, in sum.
fn forward(
    layers: &[(TrainLayer, Optimizers)],
    x: &Tensor,
    behind: Vec<Vec<f32>>,
    weight: f64,
) -> Result<(Tensor, Tensor)> {
    let mut x = x.clone();
    let mut errors = Tensor::zeros((), DType::F32, x.device())?;
    for ((layer, _), target) in layers.iter().zip(behind) {
        x = layer.forward(&x, &layer.weights()?)?;
        if weight > 0.0 {
            let target = Tensor::from_vec(target, x.shape(), x.device())?;
            errors = (errors + (relative_error(&x, &target)? * weight)?)?;
        }
    }
    Ok((x, errors))
}

/// The model in training, and its optimizers.
pub(super) struct Student {
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

    /// One step towards the float model's results; returns the divergence, nats a token.
    fn step(&mut self, batch: Batch, factor: f64, device: &Device) -> Result<f64> {
        let Batch { x, mut behind, weight, logits } = batch;
        let hidden = self.end.gain.elem_count();
        let tokens = x.len() / hidden;
        let tensor = |data: Vec<f32>, width| Tensor::from_vec(data, (tokens, width), device);
        let missing = || candle_core::Error::Msg("a layer has no gradient".into());
        let half = self.layers.len() / 2;
        let (first, second) = self.layers.split_at_mut(half);
        let behind_second = behind.split_off(first.len());

        let start = tensor(x, hidden)?;
        let mut x = start.clone();
        for (layer, _) in first.iter() {
            x = layer.forward(&x, &layer.weights()?.map(|w| w.detach()))?.detach();
        }
        let middle = Var::from_tensor(&x)?;
        let (y, errors) = forward(second, middle.as_tensor(), behind_second, weight)?;
        let loss = divergence(&self.end.logits(&y)?, &tensor(logits, self.end.head.rows())?)?;
        let gradients = (&loss + errors)?.backward()?;
        self.end_optimizers.step(&gradients, factor)?;
        second.iter_mut().try_for_each(|(_, optimizers)| optimizers.step(&gradients, factor))?;
        let back = gradients.get(&middle).ok_or_else(missing)?.clone();
        drop(gradients);

        let (y, errors) = forward(first, &start, behind, weight)?;
        let gradients = ((y * back)?.sum_all()? + errors)?.backward()?;
        first.iter_mut().try_for_each(|(_, optimizers)| optimizers.step(&gradients, factor))?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    /// Parts that are kept in a file each: the layers, and the end.
    pub fn parts(&self) -> usize {
        self.layers.len() + 1
    }

    /// Part `i` and the moments of its optimizers, by names.
    pub fn part(&self, i: usize) -> Result<HashMap<String, Tensor>> {
        let Some((layer, optimizers)) = self.layers.get(i) else {
            let parts = self.end.parts().into_iter();
            let mut tensors = parts.map(|(name, v)| (name.to_string(), v.as_tensor().clone())).collect();
            self.end_optimizers.keep(&mut tensors)?;
            return Ok(tensors);
        };
        let mut tensors = layer.tensors()?;
        optimizers.keep(&mut tensors)?;
        Ok(tensors)
    }

    /// Part `i` as [`Student::part`] gave it after `steps` steps.
    pub fn take(&mut self, i: usize, tensors: &HashMap<String, Tensor>, steps: usize) -> Result<()> {
        let Some((layer, optimizers)) = self.layers.get_mut(i) else {
            for (name, var) in self.end.parts() {
                var.set(get(tensors, name)?)?;
            }
            return self.end_optimizers.take(tensors, steps);
        };
        layer.take(tensors)?;
        optimizers.take(tensors, steps)
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

#[cfg(test)]
mod tests {
    use super::super::tests::{SEQ, config, matrix, random, train_layer, values};
    use super::*;
    use crate::model::WeightFormat;
    use crate::quantize::fit;

    /// The first step of Adam goes down the sign of each derivative, whatever the layers' tapes are.
    #[test]
    fn a_step_goes_down_the_gradient_of_the_whole_model() -> Result<()> {
        const RATE: f64 = 0.01;
        let (c, device) = (config(), Device::Cpu);
        let how = Training { weights: RATE, ..Training::default() };
        let ready = |_| {
            let (layer, _) = train_layer(&c, WeightFormat::W2Sparse, None)?;
            let optimizers = Optimizers::new(layer.parameters(), &how);
            Ok((layer, optimizers))
        };
        let layers = (0..3).map(ready).collect::<Result<Vec<_>>>()?;
        let head = matrix(c.vocab, c.hidden, 31);
        let grid = fit(&head, &vec![1.0; c.hidden], &vec![true; c.hidden], WeightFormat::W4);
        let end = TrainHead {
            gain: Var::ones(c.hidden, DType::F32, &device)?,
            head: LatentWeight::new(&head, &grid, Arc::new((0..c.hidden).collect()), &device)?,
            eps: c.norm_eps,
        };
        let mut student = Student { end_optimizers: Optimizers::new(end.parameters(), &how), layers, end };
        let (x, logits) = (random(SEQ * c.hidden, 32), random(SEQ * c.vocab, 33));
        let behind: Vec<Vec<f32>> = (0..3).map(|i| random(SEQ * c.hidden, 34 + i)).collect();

        let weights =
            |s: &Student| s.layers.iter().flat_map(|(l, _)| l.parameters().weights).collect::<Vec<Var>>();
        let start = Tensor::from_slice(&x, (SEQ, c.hidden), &device)?;
        let (y, errors) = forward(&student.layers, &start, behind.clone(), 0.5)?;
        let teacher = Tensor::from_slice(&logits, (SEQ, c.vocab), &device)?;
        let gradients = (divergence(&student.end.logits(&y)?, &teacher)? + errors)?.backward()?;
        let before: Vec<Vec<f32>> = weights(&student).iter().map(|v| values(v)).collect::<Result<_>>()?;

        student.step(Batch { x, behind, weight: 0.5, logits }, 1.0, &device)?;
        for (i, (now, before)) in weights(&student).iter().zip(before).enumerate() {
            let missing = || candle_core::Error::Msg("no gradient".into());
            let gradient = values(gradients.get(now).ok_or_else(missing)?)?;
            let largest = gradient.iter().fold(0.0f32, |m, g| m.max(g.abs()));
            assert!(largest > 0.0, "linear {i}");
            for ((now, before), g) in values(now)?.iter().zip(before).zip(gradient) {
                let expected = -(RATE as f32) * g.signum();
                let clear = g.abs() > 1e-3 * largest;
                assert!(
                    !clear || (now - before - expected).abs() < 1e-5,
                    "linear {i}: {now} from {before}, {g}"
                );
            }
        }
        Ok(())
    }
}
