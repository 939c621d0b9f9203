//! Rotary embedding and causal attention over sequences, with gradients.

use super::kernel::{slice, with_data};
use crate::float::{Rope, View, dot, product, softmax};
use crate::isa::Isa;
use candle_core::{CpuStorage, CustomOp1, CustomOp3, D, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::Arc;

/// Heads, and the sequences that a batch of rows consists of.
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    /// Tokens of a sequence; a batch is whole sequences one after another.
    pub seq: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// `(cos, sin)` of each position and pair.
    pub angles: Arc<Vec<Vec<(f32, f32)>>>,
}

impl Geometry {
    pub fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
}

/// Rotates every head of `x` `[tokens, heads * head_dim]` by its position.
pub(super) fn rope(x: &Tensor, g: &Geometry) -> Result<Tensor> {
    match x.device().is_cpu() {
        true => x.contiguous()?.apply_op1(Rotate { g: g.clone(), back: false }),
        false => composed::rope(x, g),
    }
}

/// Causal attention of rotated queries and keys; `[tokens, heads * head_dim]`.
pub(super) fn attend(q: &Tensor, k: &Tensor, v: &Tensor, g: &Geometry) -> Result<Tensor> {
    match q.device().is_cpu() {
        true => q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, Attend { g: g.clone() }),
        false => composed::attend(q, k, v, g),
    }
}

struct Rotate {
    g: Geometry,
    back: bool,
}

impl CustomOp1 for Rotate {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = slice(x, lx)?.to_vec();
        let width = lx.shape().dim(D::Minus1)?;
        y.par_chunks_mut(width).enumerate().for_each(|(t, row)| {
            let angles = &self.g.angles[t % self.g.seq];
            match self.back {
                false => Rope::rotate(row, angles),
                true => {
                    let back: Vec<(f32, f32)> = angles.iter().map(|(c, s)| (*c, -s)).collect();
                    Rope::rotate(row, &back);
                }
            }
        });
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let back = Rotate { g: self.g.clone(), back: true };
        Ok(Some(dy.contiguous()?.apply_op1_no_bwd(&back)?))
    }
}

/// Queries at a time: keys behind the last of them are not looked at.
const QUERIES: usize = 128;

struct Attend {
    g: Geometry,
}

/// Queries, keys and values of one sequence.
#[derive(Clone, Copy)]
struct Sequence<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
}

impl Attend {
    fn sequences<'a>(&self, q: &'a [f32], k: &'a [f32], v: &'a [f32]) -> Vec<Sequence<'a>> {
        let (qs, ks) = (self.g.seq * self.g.q_width(), self.g.seq * self.g.kv_width());
        let both = k.chunks_exact(ks).zip(v.chunks_exact(ks));
        q.chunks_exact(qs).zip(both).map(|(q, (k, v))| Sequence { q, k, v }).collect()
    }

    /// Blocks of queries: the first query, and how many keys the last one sees.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let n = self.g.seq;
        (0..n).step_by(QUERIES).map(move |first| (first, (first + QUERIES).min(n)))
    }

    /// Probabilities of the queries `first..seen` of head `h` over the keys `..seen`.
    fn probabilities(&self, s: Sequence<'_>, h: usize, (first, seen): (usize, usize), p: &mut [f32]) {
        let g = &self.g;
        let (q, k) = (h * g.head_dim, h / (g.heads / g.kv_heads) * g.head_dim);
        product(
            (seen - first, g.head_dim, seen),
            View::rows(&s.q[first * g.q_width() + q..], g.q_width()),
            View::rows(&s.k[k..], g.kv_width()).t(),
            g.scale(),
            (p, seen),
            false,
        );
        for (t, row) in p.chunks_exact_mut(seen).take(seen - first).enumerate() {
            let (visible, hidden) = row.split_at_mut(first + t + 1);
            hidden.fill(0.0);
            softmax(Isa::best(), visible);
        }
    }

    fn forward(&self, s: Sequence<'_>, out: &mut [f32]) {
        let g = &self.g;
        let mut p = vec![0.0f32; QUERIES.min(g.seq) * g.seq];
        for h in 0..g.heads {
            let v = h / (g.heads / g.kv_heads) * g.head_dim;
            for (first, seen) in self.blocks() {
                self.probabilities(s, h, (first, seen), &mut p);
                product(
                    (seen - first, seen, g.head_dim),
                    View::rows(&p, seen),
                    View::rows(&s.v[v..], g.kv_width()),
                    1.0,
                    (&mut out[first * g.q_width() + h * g.head_dim..], g.q_width()),
                    false,
                );
            }
        }
    }

    /// Gradients of queries, keys and values of one sequence.
    fn backward(&self, s: Sequence<'_>, dy: &[f32]) -> [Vec<f32>; 3] {
        let g = &self.g;
        let (n, d, scale) = (g.seq, g.head_dim, g.scale());
        let (wide, narrow) = (g.q_width(), g.kv_width());
        let room = QUERIES.min(n) * n;
        let (mut p, mut dp) = (vec![0.0f32; room], vec![0.0f32; room]);
        let [mut dq, mut dk, mut dv] = [n * wide, n * narrow, n * narrow].map(|n| vec![0.0f32; n]);
        for h in 0..g.heads {
            let k = h / (g.heads / g.kv_heads) * d;
            for (first, seen) in self.blocks() {
                let (rows, q) = (seen - first, first * wide + h * d);
                self.probabilities(s, h, (first, seen), &mut p);
                let dy = View::rows(&dy[q..], wide);
                product((seen, rows, d), View::rows(&p, seen).t(), dy, 1.0, (&mut dv[k..], narrow), true);
                let values = View::rows(&s.v[k..], narrow).t();
                product((rows, d, seen), dy, values, 1.0, (&mut dp, seen), false);
                for (p, dp) in p.chunks_exact(seen).zip(dp.chunks_exact_mut(seen)).take(rows) {
                    let dot = dot(p, dp);
                    dp.iter_mut().zip(p).for_each(|(dp, p)| *dp = p * (*dp - dot));
                }
                let dp = View::rows(&dp, seen);
                let keys = View::rows(&s.k[k..], narrow);
                product((rows, seen, d), dp, keys, scale, (&mut dq[q..], wide), true);
                let queries = View::rows(&s.q[q..], wide);
                product((seen, rows, d), dp.t(), queries, scale, (&mut dk[k..], narrow), true);
            }
        }
        [dq, dk, dv]
    }
}

impl CustomOp3 for Attend {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        lq: &Layout,
        k: &CpuStorage,
        lk: &Layout,
        v: &CpuStorage,
        lv: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (slice(q, lq)?, slice(k, lk)?, slice(v, lv)?);
        let mut out = vec![0.0f32; q.len()];
        let all = self.sequences(q, k, v);
        let rows = self.g.seq * self.g.q_width();
        out.par_chunks_mut(rows).zip(all).for_each(|(out, s)| self.forward(s, out));
        Ok((CpuStorage::F32(out), lq.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let rows = self.g.seq * self.g.q_width();
        let parts: Vec<[Vec<f32>; 3]> = with_data(q, |q| {
            with_data(k, |k| {
                with_data(v, |v| {
                    with_data(dy, |dy| {
                        let all = self.sequences(q, k, v);
                        all.into_par_iter()
                            .zip(dy.par_chunks(rows))
                            .map(|(s, dy)| self.backward(s, dy))
                            .collect()
                    })
                })
            })
        })????;
        let join = |i: usize, like: &Tensor| {
            let data: Vec<f32> = parts.iter().flat_map(|p| p[i].iter().copied()).collect();
            Tensor::from_vec(data, like.shape(), like.device())
        };
        Ok((Some(join(0, q)?), Some(join(1, k)?), Some(join(2, v)?)))
    }
}

/// The same from the library's operations, with its own gradients.
pub(super) mod composed {
    use super::*;

    pub fn rope(x: &Tensor, g: &Geometry) -> Result<Tensor> {
        let (tokens, width) = x.dims2()?;
        let half = g.head_dim / 2;
        let pick = |f: fn(&(f32, f32)) -> f32| -> Vec<f32> {
            (0..tokens).flat_map(|t| g.angles[t % g.seq].iter().map(f)).collect()
        };
        let table = |data: Vec<f32>| Tensor::from_vec(data, (tokens, 1, half), x.device());
        let (cos, sin) = (table(pick(|a| a.0))?, table(pick(|a| a.1))?);
        let heads = x.reshape((tokens, width / g.head_dim, g.head_dim))?;
        let (a, b) = (heads.narrow(2, 0, half)?, heads.narrow(2, half, half)?);
        let low = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let high = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        Tensor::cat(&[low, high], 2)?.reshape((tokens, width))
    }

    pub fn attend(q: &Tensor, k: &Tensor, v: &Tensor, g: &Geometry) -> Result<Tensor> {
        let batch = q.dim(0)? / g.seq;
        let split = |x: &Tensor, heads: usize| {
            x.reshape((batch, g.seq, heads, g.head_dim))?.transpose(1, 2)?.contiguous()
        };
        let repeat = |x: Tensor| {
            let group = g.heads / g.kv_heads;
            let shape = (batch, g.kv_heads, group, g.seq, g.head_dim);
            x.unsqueeze(2)?.broadcast_as(shape)?.reshape((batch, g.heads, g.seq, g.head_dim))
        };
        let q = split(q, g.heads)?;
        let (k, v) = (repeat(split(k, g.kv_heads)?)?, repeat(split(v, g.kv_heads)?)?);
        let scores = (q.matmul(&k.t()?)? * f64::from(g.scale()))?;
        let p = candle_nn::ops::softmax(&scores.broadcast_add(&mask(g.seq, q.device())?)?, D::Minus1)?;
        p.matmul(&v.contiguous()?)?.transpose(1, 2)?.reshape((batch * g.seq, g.q_width()))
    }

    fn mask(n: usize, device: &Device) -> Result<Tensor> {
        let data: Vec<f32> =
            (0..n * n).map(|i| if i % n > i / n { f32::NEG_INFINITY } else { 0.0 }).collect();
        Tensor::from_vec(data, (n, n), device)
    }
}
