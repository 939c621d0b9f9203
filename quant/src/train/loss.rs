//! Losses.

use super::kernel::{slice, with_data};
use accllm_llm::float::exp;
use accllm_llm::simd::{Simd, versions};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Mean over the tokens of the squared error relative to the target: what the next norm makes of it. (A few
/// tokens carry activations a thousand times larger than the others; they must not decide alone.)
pub(super) fn relative_error(y: &Tensor, target: &Tensor) -> Result<Tensor> {
    let power = target.sqr()?.sum_keepdim(1)?.detach();
    (y - target)?.sqr()?.sum_keepdim(1)?.broadcast_div(&(power + 1e-12)?)?.mean_all()
}

/// Mean over the tokens of the Kullback-Leibler divergence of the `student`'s distribution from the `teacher`'s, both
/// logits `[tokens, vocab]`, nats. The teacher gets no gradient.
pub(super) fn divergence(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    student.contiguous()?.apply_op2(&teacher.contiguous()?, Divergence)
}

struct Divergence;

/// Logarithm of the sum of exponentials.
fn normalizer(simd: Simd, logits: &[f32]) -> f32 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    max + exponentials(simd, logits, max).ln()
}

versions! {
    /// Sum of the exponentials of `x - shift`: sixteen sums in a fixed order, side by side.
    fn exponentials(x: &[f32], shift: f32) -> f32 {
        let mut lanes = [0.0f32; 16];
        for chunk in x.chunks(16) {
            lanes.iter_mut().zip(chunk).for_each(|(l, x)| *l += exp(x - shift));
        }
        lanes.iter().sum()
    }
}

versions! {
    /// Divergence of the distribution of logits `s` from that of `t`, with their normalizers.
    fn apart(s: &[f32], t: &[f32], cs: f32, ct: f32) -> f32 {
        let mut lanes = [0.0f32; 16];
        for (s, t) in s.chunks(16).zip(t.chunks(16)) {
            for ((l, s), t) in lanes.iter_mut().zip(s).zip(t) {
                *l += exp(t - ct) * ((t - ct) - (s - cs));
            }
        }
        lanes.iter().sum()
    }
}

versions! {
    /// Its derivatives by `s`, times `factor`.
    fn slopes(s: &[f32], t: &[f32], cs: f32, ct: f32, factor: f32, ds: &mut [f32]) {
        for ((ds, s), t) in ds.iter_mut().zip(s).zip(t) {
            *ds = (exp(s - cs) - exp(t - ct)) * factor;
        }
    }
}

impl CustomOp2 for Divergence {
    fn name(&self) -> &'static str {
        "divergence"
    }

    fn cpu_fwd(
        &self,
        s: &CpuStorage,
        ls: &Layout,
        t: &CpuStorage,
        lt: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (tokens, vocab) = ls.shape().dims2()?;
        let (s, t, simd) = (slice(s, ls)?, slice(t, lt)?, Simd::best());
        let each: Vec<f64> = s
            .par_chunks_exact(vocab)
            .zip(t.par_chunks_exact(vocab))
            .map(|(s, t)| apart(simd, s, t, normalizer(simd, s), normalizer(simd, t)).into())
            .collect();
        let mean = each.iter().sum::<f64>() / tokens as f64;
        Ok((CpuStorage::F32(vec![mean as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        s: &Tensor,
        t: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (tokens, vocab) = s.dims2()?;
        let factor = dy.to_scalar::<f32>()? / tokens as f32;
        let simd = Simd::best();
        let ds = with_data([s, t], |[s, t]| {
            let mut ds = vec![0.0f32; s.len()];
            let rows = ds.par_chunks_mut(vocab).zip(s.par_chunks(vocab)).zip(t.par_chunks(vocab));
            rows.for_each(|((ds, s), t)| {
                slopes(simd, s, t, normalizer(simd, s), normalizer(simd, t), factor, ds);
            });
            ds
        })?;
        Ok((Some(Tensor::from_vec(ds, s.shape(), s.device())?), None))
    }
}

/// The same from the library's operations.
#[cfg(test)]
pub(super) mod composed {
    use candle_core::{D, Result, Tensor};
    use candle_nn::ops::log_softmax;

    pub fn divergence(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
        let (s, t) = (log_softmax(student, D::Minus1)?, log_softmax(&teacher.detach(), D::Minus1)?);
        (t.exp()? * (t - s)?)?.sum(1)?.mean_all()
    }
}
