//! Adam (arXiv 1412.6980), one pass a tensor. The library's own takes a pass for every elementary operation, which for
//! a model's weights is as long as a tenth of the gradient.

use super::kernel::slice;
use super::layer::get;
use accllm_llm::simd::{Simd, versions};
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, Device, Error, InplaceOp2, Layout, Result, Tensor, Var};
use rayon::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.98;
/// Elements of a parallel piece.
const PIECE: usize = 1 << 14;

/// Parameters with one learning rate, and the moments of their gradients.
pub(super) struct Adam {
    rate: f64,
    /// Whether a step is a part of the parameter's size, as if its logarithm were trained.
    relative: bool,
    steps: i32,
    parameters: Vec<Parameter>,
}

struct Parameter {
    var: Var,
    moments: Moments,
}

/// Running means of a gradient and of its square.
struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Adam {
    /// With the learning rate `rate`.
    pub fn new(vars: Vec<Var>, rate: f64) -> Self {
        let parameter = |var: Var| {
            let zeros = || vec![0.0f32; var.elem_count()];
            Parameter { moments: Moments { first: zeros(), second: zeros() }, var }
        };
        Self { rate, relative: false, steps: 0, parameters: vars.into_iter().map(parameter).collect() }
    }

    /// With steps that are a part, at most `rate`, of each parameter's size. A gain close to 0 stays there: it keeps a channel
    /// away that a few tokens make a thousand times larger than the others.
    pub fn relative(vars: Vec<Var>, rate: f64) -> Self {
        Self { relative: true, ..Self::new(vars, rate) }
    }

    /// One step down `gradients`, with the learning rate times `factor`. A gradient's size does not matter, so none is
    /// clipped.
    pub fn step(&mut self, gradients: &GradStore, factor: f64) -> Result<()> {
        self.steps += 1;
        for p in &mut self.parameters {
            let Some(gradient) = gradients.get(&p.var) else { continue };
            let step = Step {
                rate: (self.rate * factor) as f32,
                relative: self.relative,
                first: 1.0 - BETA1.powi(self.steps),
                second: 1.0 - BETA2.powi(self.steps),
                moments: RefCell::new(&mut p.moments),
            };
            p.var.inplace_op2(&gradient.contiguous()?, &step)?;
        }
        Ok(())
    }

    /// Adds the moments to `tensors`, under names that begin with `name`.
    pub fn keep(&self, name: &str, tensors: &mut HashMap<String, Tensor>) -> Result<()> {
        for (i, p) in self.parameters.iter().enumerate() {
            for (moment, data) in [("first", &p.moments.first), ("second", &p.moments.second)] {
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
            let Moments { first, second } = &mut p.moments;
            for (moment, data) in [("first", first), ("second", second)] {
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

/// A step of one parameter.
struct Step<'a> {
    rate: f32,
    relative: bool,
    /// What the moments lack of their full size after so many steps.
    first: f32,
    second: f32,
    /// The library gives an operation no way to change itself.
    moments: RefCell<&'a mut Moments>,
}

impl Step<'_> {
    fn apply(&self, x: &mut [f32], gradient: &[f32]) {
        let mut moments = self.moments.borrow_mut();
        let Moments { first, second } = &mut **moments;
        let moments = first.par_chunks_mut(PIECE).zip(second.par_chunks_mut(PIECE));
        let pieces = x.par_chunks_mut(PIECE).zip(moments).zip(gradient.par_chunks(PIECE));
        let (simd, rate, relative, c1, c2) =
            (Simd::best(), self.rate, self.relative, self.first, self.second);
        pieces.for_each(|((x, (m, v)), g)| {
            update(simd, x, m, v, g, rate, relative, c1, c2);
        });
    }
}

versions! {
    fn update(
        x: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], rate: f32, relative: bool, c1: f32, c2: f32,
    ) {
        for (((x, m), v), g) in x.iter_mut().zip(m).zip(v).zip(g) {
            *m = BETA1 * *m + (1.0 - BETA1) * g;
            *v = BETA2 * *v + (1.0 - BETA2) * g * g;
            let size = if relative { x.abs() } else { 1.0 };
            *x -= rate * size * (*m / c1) / ((*v / c2).sqrt() + 1e-20);
        }
    }
}

impl InplaceOp2 for Step<'_> {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, lx: &Layout, gradient: &CpuStorage, lg: &Layout) -> Result<()> {
        let CpuStorage::F32(x) = x else { return Err(Error::Msg("a parameter is not of 32 bits".into())) };
        let whole = lx.contiguous_offsets() == Some((0, x.len()));
        if !whole {
            return Err(Error::Msg("a parameter is a part of another tensor".into()));
        }
        self.apply(x, slice(gradient, lg)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step on parameters of different sizes whose gradients are large: what becomes of each.
    fn step(make: fn(Vec<Var>, f64) -> Adam) -> Result<Vec<f32>> {
        let x = Var::from_vec(vec![1.0f32, -0.5, 1e-4, 0.0], 4, &Device::Cpu)?;
        let loss = (x.as_tensor() * 1000.0)?.sum_all()?;
        make(vec![x.clone()], 0.1).step(&loss.backward()?, 1.0)?;
        x.to_vec1()
    }

    #[test]
    fn a_relative_step_keeps_small_parameters_small() -> Result<()> {
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(&step(Adam::new)?, &[0.9, -0.6, -0.0999, -0.1]));
        assert!(near(&step(Adam::relative)?, &[0.9, -0.55, 0.9e-4, 0.0]));
        Ok(())
    }
}
