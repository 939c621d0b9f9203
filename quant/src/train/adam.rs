//! Adam (arXiv 1412.6980), one pass a tensor. The library's own takes a pass for every elementary operation, which for
//! a model's weights is as long as a tenth of the gradient.

use super::kernel::with_data;
use super::layer::get;
use candle_core::backprop::GradStore;
use candle_core::{Device, Error, Result, Tensor, Var};
use rayon::prelude::*;
use std::collections::HashMap;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.98;
/// Elements of a parallel piece.
const PIECE: usize = 1 << 14;

/// Parameters with one learning rate, and the moments of their gradients.
pub(super) struct Adam {
    rate: f64,
    steps: i32,
    parameters: Vec<Parameter>,
}

struct Parameter {
    var: Var,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Adam {
    /// With the learning rate `rate`.
    pub fn new(vars: Vec<Var>, rate: f64) -> Self {
        let zeros = |v: &Var| vec![0.0f32; v.elem_count()];
        let parameters =
            vars.into_iter().map(|var| Parameter { first: zeros(&var), second: zeros(&var), var }).collect();
        Self { rate, steps: 0, parameters }
    }

    /// One step down `gradients`, with the learning rate times `factor`. A gradient's size does not matter, so none is
    /// clipped.
    pub fn step(&mut self, gradients: &GradStore, factor: f64) -> Result<()> {
        self.steps += 1;
        let rate = (self.rate * factor) as f32;
        let (c1, c2) = (1.0 - BETA1.powi(self.steps), 1.0 - BETA2.powi(self.steps));
        for p in &mut self.parameters {
            let Some(gradient) = gradients.get(&p.var) else { continue };
            let mut x = p.var.flatten_all()?.to_vec1::<f32>()?;
            let mut update = |gradient: &[f32]| {
                let moments = p.first.par_chunks_mut(PIECE).zip(p.second.par_chunks_mut(PIECE));
                let pieces = x.par_chunks_mut(PIECE).zip(moments).zip(gradient.par_chunks(PIECE));
                pieces.for_each(|((x, (first, second)), gradient)| {
                    for (((x, m), v), g) in x.iter_mut().zip(first).zip(second).zip(gradient) {
                        *m = BETA1 * *m + (1.0 - BETA1) * g;
                        *v = BETA2 * *v + (1.0 - BETA2) * g * g;
                        *x -= rate * (*m / c1) / ((*v / c2).sqrt() + 1e-20);
                    }
                });
            };
            match gradient.device().is_cpu() {
                true => with_data(gradient, &mut update)?,
                false => update(&gradient.flatten_all()?.to_vec1::<f32>()?),
            }
            p.var.set(&Tensor::from_vec(x, p.var.shape(), p.var.device())?)?;
        }
        Ok(())
    }

    /// Adds the moments to `tensors`, under names that begin with `name`.
    pub fn keep(&self, name: &str, tensors: &mut HashMap<String, Tensor>) -> Result<()> {
        for (i, p) in self.parameters.iter().enumerate() {
            for (moment, data) in [("first", &p.first), ("second", &p.second)] {
                let data = Tensor::from_slice(data, data.len(), &Device::Cpu)?;
                tensors.insert(format!("{name}.{i}.{moment}"), data);
            }
        }
        Ok(())
    }

    /// Takes the moments after `steps` steps from where [`Adam::keep`] has put them.
    pub fn take(&mut self, name: &str, tensors: &HashMap<String, Tensor>, steps: usize) -> Result<()> {
        self.steps = i32::try_from(steps).map_err(|e| Error::Msg(e.to_string()))?;
        for (i, p) in self.parameters.iter_mut().enumerate() {
            for (moment, data) in [("first", &mut p.first), ("second", &mut p.second)] {
                let name = format!("{name}.{i}.{moment}");
                let kept = get(tensors, &name)?.flatten_all()?.to_vec1::<f32>()?;
                if kept.len() != data.len() {
                    return Err(Error::Msg(format!(
                        "`{name}` has {} numbers, not {}",
                        kept.len(),
                        data.len()
                    )));
                }
                *data = kept;
            }
        }
        Ok(())
    }
}
