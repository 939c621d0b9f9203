//! Differentiable operations of the Llama block that would be slow as chains of elementary ones.
//!
//! Each is one pass with a hand-written gradient. The tests hold it to the same values and gradients as the library's
//! operations, of which it could be composed (`composed`).

use super::kernel::{slice, with_data};
use accllm_llm::float::{exp, matrix_product, silu_mul as silu_mul_of, view};
use accllm_llm::simd::{Simd, versions};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Error, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::Arc;

/// RMSNorm of each row of `x` `[tokens, width]` with `gain` `[width]`.
pub(super) fn rms_norm(x: &Tensor, gain: &Tensor, eps: f64) -> Result<Tensor> {
    x.contiguous()?.apply_op2(gain, RmsNorm { eps })
}

/// `x W^T` of `x` `[tokens, columns]` and `w` `[rows, columns]`.
pub(super) fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&w.contiguous()?, Linear)
}

/// `silu(gate) * up`.
pub(super) fn silu_mul(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.contiguous()?.apply_op2(&up.contiguous()?, SiluMul)
}

/// A function of rows whose gradient is taken to be the identity (a straight-through estimator).
pub(super) fn straight_through(
    x: &Tensor,
    edit: impl Fn(&mut [f32]) + Send + Sync + 'static,
) -> Result<Tensor> {
    x.contiguous()?.apply_op1(StraightThrough { edit: Arc::new(edit) })
}

struct RmsNorm {
    eps: f64,
}

/// `1 / sqrt(mean(x^2) + eps)`.
fn inverse_rms(row: &[f32], eps: f64) -> f32 {
    let mut lanes = [0.0f32; 16];
    for chunk in row.chunks(16) {
        for (l, v) in lanes.iter_mut().zip(chunk) {
            *l += v * v;
        }
    }
    let sum: f64 = lanes.iter().map(|l| f64::from(*l)).sum();
    (1.0 / (sum / row.len() as f64 + eps).sqrt()) as f32
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        g: &CpuStorage,
        lg: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, g) = (slice(x, lx)?, slice(g, lg)?);
        let mut y = vec![0.0f32; x.len()];
        y.par_chunks_mut(g.len()).zip(x.par_chunks(g.len())).for_each(|(y, x)| {
            let r = inverse_rms(x, self.eps);
            for ((y, x), g) in y.iter_mut().zip(x).zip(g) {
                *y = x * r * g;
            }
        });
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        g: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dg) = with_data([x, g, dy], |[x, g, dy]| rms_norm_gradients(x, g, dy, self.eps))?;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        Ok((Some(dx), Some(Tensor::from_vec(dg, g.shape(), g.device())?)))
    }
}

/// Rows whose gain gradients are summed before they are joined: fixed, so that sums do not depend on threads.
const ROWS: usize = 64;

fn rms_norm_gradients(x: &[f32], g: &[f32], dy: &[f32], eps: f64) -> (Vec<f32>, Vec<f32>) {
    let n = g.len();
    let mut dx = vec![0.0f32; x.len()];
    let blocks = dx.par_chunks_mut(ROWS * n).zip(x.par_chunks(ROWS * n)).zip(dy.par_chunks(ROWS * n));
    let parts: Vec<Vec<f32>> = blocks
        .map(|((dx, x), dy)| {
            let mut dg = vec![0.0f32; n];
            for ((dx, x), dy) in dx.chunks_mut(n).zip(x.chunks(n)).zip(dy.chunks(n)) {
                let r = inverse_rms(x, eps);
                let mut dot = 0.0f32;
                for (((dg, x), dy), g) in dg.iter_mut().zip(x).zip(dy).zip(g) {
                    *dg += dy * x * r;
                    dot += dy * g * x;
                }
                let pull = dot * r * r * r / n as f32;
                for (((dx, x), dy), g) in dx.iter_mut().zip(x).zip(dy).zip(g) {
                    *dx = dy * g * r - x * pull;
                }
            }
            dg
        })
        .collect();
    let mut dg = vec![0.0f32; n];
    for part in &parts {
        dg.iter_mut().zip(part).for_each(|(a, b)| *a += b);
    }
    (dx, dg)
}

struct Linear;

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((tokens, columns), (rows, same)) = (lx.shape().dims2()?, lw.shape().dims2()?);
        if columns != same {
            return Err(Error::Msg(format!("{columns} inputs of a weight of {rows} x {same}")));
        }
        let y = matrix_product(view(slice(x, lx)?, columns), view(slice(w, lw)?, columns).t());
        Ok((CpuStorage::F32(y), Shape::from((tokens, rows))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (rows, columns) = w.dims2()?;
        let (dx, dw) = with_data([x, w, dy], |[x, w, dy]| {
            let (x, w, dy) = (view(x, columns), view(w, columns), view(dy, rows));
            (matrix_product(dy, w), matrix_product(dy.t(), x))
        })?;
        let tensor = |data, like: &Tensor| Tensor::from_vec(data, like.shape(), like.device());
        Ok((Some(tensor(dx, x)?), Some(tensor(dw, w)?)))
    }
}

struct SiluMul;

impl CustomOp2 for SiluMul {
    fn name(&self) -> &'static str {
        "silu-mul"
    }

    fn cpu_fwd(
        &self,
        g: &CpuStorage,
        lg: &Layout,
        u: &CpuStorage,
        lu: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (g, u) = (slice(g, lg)?, slice(u, lu)?);
        Ok((CpuStorage::F32(silu_mul_of(g, u)), lg.shape().clone()))
    }

    fn bwd(
        &self,
        g: &Tensor,
        u: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dg, du) = with_data([g, u, dy], |[g, u, dy]| silu_mul_gradients(g, u, dy))?;
        let tensor = |data| Tensor::from_vec(data, g.shape(), g.device());
        Ok((Some(tensor(dg)?), Some(tensor(du)?)))
    }
}

/// Elements of a parallel part.
const PART: usize = 1 << 14;

/// Gradients of gate and up.
fn silu_mul_gradients(g: &[f32], u: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut dg, mut du) = (vec![0.0f32; g.len()], vec![0.0f32; g.len()]);
    let out = dg.par_chunks_mut(PART).zip(du.par_chunks_mut(PART));
    let parts = out.zip(g.par_chunks(PART).zip(u.par_chunks(PART)).zip(dy.par_chunks(PART)));
    parts.for_each(|((dg, du), ((g, u), dy))| silu_mul_back(Simd::best(), g, u, dy, dg, du));
    (dg, du)
}

versions! {
    fn silu_mul_back(g: &[f32], u: &[f32], dy: &[f32], dg: &mut [f32], du: &mut [f32]) {
        for ((((g, u), dy), dg), du) in g.iter().zip(u).zip(dy).zip(dg).zip(du) {
            let s = 1.0 / (1.0 + exp(-g));
            (*dg, *du) = (dy * u * s * (1.0 + g * (1.0 - s)), dy * g * s);
        }
    }
}

/// A function that changes one row in place.
type Edit = Arc<dyn Fn(&mut [f32]) + Send + Sync>;

struct StraightThrough {
    edit: Edit,
}

impl CustomOp1 for StraightThrough {
    fn name(&self) -> &'static str {
        "straight-through"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = slice(x, lx)?.to_vec();
        let width = lx.shape().dims().last().copied().unwrap_or(1).max(1);
        y.par_chunks_mut(width).for_each(|row| (self.edit)(row));
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(dy.clone()))
    }
}

/// The same from the library's operations, with its own gradients.
#[cfg(test)]
pub(super) mod composed {
    use candle_core::{D, Result, Tensor};

    pub fn rms_norm(x: &Tensor, gain: &Tensor, eps: f64) -> Result<Tensor> {
        let mean = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?;
        x.broadcast_div(&mean.sqrt()?)?.broadcast_mul(gain)
    }

    pub fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
        x.matmul(&w.t()?)
    }

    pub fn silu_mul(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        (gate / ((gate.neg()?.exp()? + 1.0)?))? * up
    }
}
