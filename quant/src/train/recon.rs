//! Block-wise reconstruction: the weights of one layer, on their grids, are trained until the layer gives what the
//! float layer gives, on the inputs that the quantized layers before it produce (BRECQ, arXiv 2102.05426; trained as
//! EfficientQAT's first phase, arXiv 2407.11062).

use super::layer::{Parameters, TrainLayer};
use super::schedule::{cosine, shuffled};
use candle_core::{Device, Result, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};

/// How a layer is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reconstruction {
    /// Passes over the calibration sequences.
    pub epochs: usize,
    /// Tokens of a step (whole sequences; at least one).
    pub batch: usize,
    /// Learning rate of the weights, in levels.
    pub weights: f64,
    /// Of the scales, relative.
    pub scales: f64,
    /// Of the norm gains.
    pub gains: f64,
    /// Order of the sequences.
    pub seed: u64,
}

/// Sequences of `seq` tokens, each `[seq, hidden]`.
pub(super) struct Sequences<'a> {
    pub seq: usize,
    pub hidden: usize,
    /// Residual stream entering the layer, behind the quantized layers.
    pub input: &'a [Vec<f32>],
    /// Residual stream that the float layer leaves behind float layers.
    pub target: &'a [Vec<f32>],
}

impl Sequences<'_> {
    fn batch(&self, of: &[Vec<f32>], which: &[usize], device: &Device) -> Result<Tensor> {
        let data: Vec<f32> = which.iter().flat_map(|i| of[*i].iter().copied()).collect();
        Tensor::from_vec(data, (which.len() * self.seq, self.hidden), device)
    }
}

/// Mean over the tokens of the squared error relative to the target: what the next norm makes of it. (A few
/// tokens carry activations a thousand times larger than the others; they must not decide alone.)
pub(super) fn relative_error(y: &Tensor, target: &Tensor) -> Result<Tensor> {
    let power = target.sqr()?.sum_keepdim(1)?.detach();
    (y - target)?.sqr()?.sum_keepdim(1)?.broadcast_div(&(power + 1e-12)?)?.mean_all()
}

/// The optimizers of a layer.
pub(super) struct Optimizers {
    groups: Vec<(AdamW, f64)>,
}

impl Optimizers {
    pub fn new(p: Parameters, o: &Reconstruction) -> Result<Self> {
        let adam = |vars, lr| {
            let params = ParamsAdamW { lr, beta1: 0.9, beta2: 0.98, eps: 1e-12, weight_decay: 0.0 };
            Ok::<_, candle_core::Error>((AdamW::new(vars, params)?, lr))
        };
        Ok(Self { groups: vec![adam(p.weights, o.weights)?, adam(p.scales, o.scales)?, adam(p.gains, o.gains)?] })
    }

    /// One step down `loss`, with all learning rates times `factor`.
    pub fn step(&mut self, loss: &Tensor, factor: f64) -> Result<()> {
        let grads = loss.backward()?;
        for (adam, lr) in &mut self.groups {
            adam.set_learning_rate(*lr * factor);
            adam.step(&grads)?;
        }
        Ok(())
    }
}

/// Trains `layer`; `progress` is told after each step how many of how many are done, and the loss.
pub(super) fn reconstruct(
    layer: &TrainLayer,
    data: &Sequences<'_>,
    o: &Reconstruction,
    device: &Device,
    mut progress: impl FnMut(usize, usize, f64),
) -> Result<()> {
    let per_step = (o.batch / data.seq).clamp(1, data.input.len().max(1));
    let steps = o.epochs * data.input.len().div_ceil(per_step);
    let mut optimizers = Optimizers::new(layer.parameters(), o)?;
    let mut done = 0;
    for epoch in 0..o.epochs {
        let order = shuffled(data.input.len(), o.seed.wrapping_add(epoch as u64));
        for which in order.chunks(per_step) {
            let x = data.batch(data.input, which, device)?;
            let target = data.batch(data.target, which, device)?;
            let loss = relative_error(&layer.forward(&x, &layer.weights()?)?, &target)?;
            optimizers.step(&loss, cosine(done, steps))?;
            done += 1;
            progress(done, steps, f64::from(loss.to_scalar::<f32>()?));
        }
    }
    Ok(())
}

/// Replaces every sequence by what `layer` makes of it.
pub(super) fn advance(layer: &TrainLayer, seq: usize, sequences: &mut [Vec<f32>], device: &Device) -> Result<()> {
    let weights = layer.weights()?.map(|w| w.detach());
    for x in sequences.iter_mut() {
        let hidden = x.len() / seq;
        let input = Tensor::from_vec(std::mem::take(x), (seq, hidden), device)?;
        *x = layer.forward(&input, &weights)?.flatten_all()?.to_vec1()?;
    }
    Ok(())
}
