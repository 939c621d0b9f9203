//! Losses.

use super::kernel::{slice, with_data};
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
    match student.device().is_cpu() {
        true => student.contiguous()?.apply_op2(&teacher.contiguous()?, Divergence),
        false => composed::divergence(student, teacher),
    }
}

struct Divergence;

/// Largest logit, and the logarithm of the sum of exponentials above it.
fn normalizer(logits: &[f32]) -> (f32, f32) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut lanes = [0.0f32; 16];
    for chunk in logits.chunks(16) {
        lanes.iter_mut().zip(chunk).for_each(|(l, x)| *l += (x - max).exp());
    }
    (max, lanes.iter().sum::<f32>().ln())
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
        let (s, t) = (slice(s, ls)?, slice(t, lt)?);
        let each: Vec<f64> = s
            .par_chunks_exact(vocab)
            .zip(t.par_chunks_exact(vocab))
            .map(|(s, t)| {
                let ((ms, ns), (mt, nt)) = (normalizer(s), normalizer(t));
                let (cs, ct) = (ms + ns, mt + nt);
                s.iter().zip(t).map(|(s, t)| (t - ct).exp() * ((t - ct) - (s - cs))).sum::<f32>().into()
            })
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
        let ds = with_data(s, |s| {
            with_data(t, |t| {
                let mut ds = vec![0.0f32; s.len()];
                let rows = ds.par_chunks_mut(vocab).zip(s.par_chunks(vocab)).zip(t.par_chunks(vocab));
                rows.for_each(|((ds, s), t)| {
                    let ((ms, ns), (mt, nt)) = (normalizer(s), normalizer(t));
                    let (cs, ct) = (ms + ns, mt + nt);
                    for ((ds, s), t) in ds.iter_mut().zip(s).zip(t) {
                        *ds = ((s - cs).exp() - (t - ct).exp()) * factor;
                    }
                });
                ds
            })
        })??;
        Ok((Some(Tensor::from_vec(ds, s.shape(), s.device())?), None))
    }
}

/// The same from the library's operations.
pub(super) mod composed {
    use candle_core::{D, Result, Tensor};
    use candle_nn::ops::log_softmax;

    pub fn divergence(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
        let (s, t) = (log_softmax(student, D::Minus1)?, log_softmax(&teacher.detach(), D::Minus1)?);
        (t.exp()? * (t - s)?)?.sum(1)?.mean_all()
    }
}
