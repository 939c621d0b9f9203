//! Training of the whole quantized model against the float model's logits.
//!
//! From time to time the whole state is kept, so that an interrupted training goes on in the middle (`kept.rs`).

use super::failed;
use super::fake::LatentWeight;
use super::kept::Kept;
use super::layer::{Parameters, TrainLayer, get};
use super::loss::divergence;
use super::ops::{linear, rms_norm};
use super::recon::{Optimizers, TrainedLayer};
use super::schedule::{Training, cosine};
use crate::grid::{GridWeight, Weights};
use crate::train::Reached;
use accllm_llm::float::{FloatModel, Matrix, NoTap, linear as linear_of};
use candle_core::{Device, Result, Tensor, Var};
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

/// What the training aims at.
pub(crate) struct Goal<'a> {
    /// The float model; its layers are not asked for.
    pub teacher: &'a FloatModel,
    /// Its residual stream after the last layer, of each window `[tokens, hidden]`.
    pub behind: &'a [Vec<f32>],
}

impl Goal<'_> {
    /// What comes in, and the logits that should come out, of a few windows one after another: `[tokens, hidden]` and
    /// `[tokens, vocab]`.
    fn batch(&self, windows: &[&[u32]], which: &[usize]) -> accllm_llm::Result<(Vec<f32>, Vec<f32>)> {
        let (mut x, mut behind) = (Vec::new(), Vec::new());
        for i in which {
            x.extend(self.teacher.embed_tokens(windows[*i])?);
            behind.extend_from_slice(&self.behind[*i]);
        }
        let logits = linear_of(&self.teacher.last_norm(&behind, &mut NoTap), self.teacher.head());
        Ok((x, logits))
    }
}

/// Trains a quantized model on `windows` of the text to give the float model's distributions.
pub(crate) fn train_end_to_end(
    goal: Goal<'_>,
    start: Start<'_>,
    windows: &[&[u32]],
    how: &Training,
    file: &dyn Fn(&str) -> Option<PathBuf>,
    progress: &mut dyn FnMut(Reached),
) -> accllm_llm::Result<Weights> {
    let device = Device::Cpu;
    let c = &goal.teacher.config;
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
        let (x, logits) = goal.batch(windows, which)?;
        let loss = student.step(x, logits, cosine(done, steps.len()), &device).map_err(failed)?;
        let (step, steps) = (done + 1, steps.len());
        kept.after(step, step == steps, &student)?;
        progress(Reached { layer: c.sizes.layers, layers: c.sizes.layers, step, steps, loss: Some(loss) });
    }
    student.result(goal.teacher).map_err(failed)
}

/// What `layers` make of `x`.
fn forward(layers: &[(TrainLayer, Optimizers)], x: Tensor) -> Result<Tensor> {
    layers.iter().try_fold(x, |x, (layer, _)| layer.forward(&x, &layer.weights()?))
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

    /// One step towards the float model's logits; returns the divergence, nats a token.
    fn step(&mut self, x: Vec<f32>, logits: Vec<f32>, factor: f64, device: &Device) -> Result<f64> {
        let tensor = |data, width: usize| Tensor::from_vec(data, ((), width), device);
        let y = forward(&self.layers, tensor(x, self.end.gain.elem_count())?)?;
        let loss = divergence(&self.end.logits(&y)?, &tensor(logits, self.end.head.rows())?)?;
        let gradients = loss.backward()?;
        self.end_optimizers.step(&gradients, factor)?;
        self.layers.iter_mut().try_for_each(|(_, optimizers)| optimizers.step(&gradients, factor))?;
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
    use super::super::tests::{SEQ, config, float_layer, matrix, random, train_layer, values};
    use super::*;
    use crate::grid::fit;
    use accllm_llm::float::Site;
    use accllm_llm::model::WeightFormat;
    use candle_core::DType;

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
        let head = matrix(c.sizes.vocab, c.sizes.hidden, 31);
        let grid = fit(&head, &vec![1.0; c.sizes.hidden], &vec![true; c.sizes.hidden], WeightFormat::W4);
        let end = TrainHead {
            gain: Var::ones(c.sizes.hidden, DType::F32, &device)?,
            head: LatentWeight::new(&head, &grid, Arc::new((0..c.sizes.hidden).collect()), &device)?,
            eps: c.norm_eps,
        };
        let mut student = Student { end_optimizers: Optimizers::new(end.parameters(), &how), layers, end };
        let (x, logits) = (random(SEQ * c.sizes.hidden, 32), random(SEQ * c.sizes.vocab, 33));

        let weights =
            |s: &Student| s.layers.iter().flat_map(|(l, _)| l.parameters().weights).collect::<Vec<Var>>();
        let start = Tensor::from_slice(&x, (SEQ, c.sizes.hidden), &device)?;
        let y = forward(&student.layers, start)?;
        let teacher = Tensor::from_slice(&logits, (SEQ, c.sizes.vocab), &device)?;
        let gradients = divergence(&student.end.logits(&y)?, &teacher)?.backward()?;
        let before: Vec<Vec<f32>> = weights(&student).iter().map(|v| values(v)).collect::<Result<_>>()?;

        student.step(x, logits, 1.0, &device)?;
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

    /// What is aimed at is what the float model says of the same windows.
    #[test]
    fn the_goal_is_the_float_models_logits() -> std::result::Result<(), accllm_llm::Error> {
        let c = config();
        let teacher = FloatModel {
            embed: matrix(c.sizes.vocab, c.sizes.hidden, 41),
            layers: vec![float_layer(&c), float_layer(&c)].into(),
            final_norm: (0..c.sizes.hidden).map(|i| 1.0 + i as f32 / 40.0).collect(),
            head: Some(matrix(c.sizes.vocab, c.sizes.hidden, 42)),
            config: c,
        };
        let windows: Vec<Vec<u32>> = (0..3).map(|w| (0..7).map(|t| (w * 7 + t) % 50).collect()).collect();
        let windows: Vec<&[u32]> = windows.iter().map(Vec::as_slice).collect();
        let last = teacher.config.sizes.layers - 1;
        let mut behind = vec![Vec::new(); windows.len()];
        let mut logits = Vec::new();
        for (window, behind) in windows.iter().zip(&mut behind) {
            let mut look = |site, layer: usize, _: usize, data: &mut [f32]| {
                if site == Site::LayerOut && layer == last {
                    behind.extend_from_slice(data);
                }
            };
            logits.push(teacher.logits(window, None, &mut look)?);
        }
        let (x, aim) = Goal { teacher: &teacher, behind: &behind }.batch(&windows, &[2, 0])?;
        assert_eq!(x, [teacher.embed_tokens(windows[2])?, teacher.embed_tokens(windows[0])?].concat());
        assert_eq!(aim, [logits[2].clone(), logits[0].clone()].concat());
        Ok(())
    }
}
