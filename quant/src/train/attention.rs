//! Rotary embedding and causal attention over sequences, with gradients.

use super::kernel::{slice, with_data};
use accllm_llm::float::{Rope, dot, product, softmax, view, view_mut};
use accllm_llm::simd::{Simd, versions};
use candle_core::{CpuStorage, CustomOp1, CustomOp3, D, Layout, Result, Shape, Tensor};
use ndarray::{ArrayView2, s};
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
    x.contiguous()?.apply_op1(Rotate { g: g.clone(), back: false })
}

/// Causal attention of rotated queries and keys; `[tokens, heads * head_dim]`.
pub(super) fn attend(q: &Tensor, k: &Tensor, v: &Tensor, g: &Geometry) -> Result<Tensor> {
    q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, Attend { g: g.clone() })
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

/// Queries at a time: keys after the last of them are not looked at.
const QUERIES: usize = 128;

struct Attend {
    g: Geometry,
}

/// Queries of the heads that share a KV head, with its keys and values, of one sequence.
#[derive(Clone, Copy)]
struct Group<'a> {
    /// `[seq, heads of the group * head_dim]`.
    q: ArrayView2<'a, f32>,
    /// `[seq, head_dim]`.
    k: ArrayView2<'a, f32>,
    /// `[seq, head_dim]`.
    v: ArrayView2<'a, f32>,
}

impl Attend {
    /// Query heads of a group.
    fn shared(&self) -> usize {
        self.g.heads / self.g.kv_heads
    }

    /// The groups of all sequences, sequence by sequence.
    fn groups<'a>(&self, q: &'a [f32], k: &'a [f32], v: &'a [f32]) -> Vec<Group<'a>> {
        let g = &self.g;
        let (wide, narrow) = (self.shared() * g.head_dim, g.head_dim);
        let both = k.chunks_exact(g.seq * g.kv_width()).zip(v.chunks_exact(g.seq * g.kv_width()));
        let sequences = q.chunks_exact(g.seq * g.q_width()).zip(both);
        let of = |x, all, width, h: usize| view(x, all).slice_move(s![.., h * width..(h + 1) * width]);
        let groups = sequences.flat_map(|(q, (k, v))| {
            (0..g.kv_heads).map(move |h| Group {
                q: of(q, g.q_width(), wide, h),
                k: of(k, g.kv_width(), narrow, h),
                v: of(v, g.kv_width(), narrow, h),
            })
        });
        groups.collect()
    }

    /// Blocks of queries: the first query, and how many keys the last one sees.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let n = self.g.seq;
        (0..n).step_by(QUERIES).map(move |first| (first, (first + QUERIES).min(n)))
    }

    /// Probabilities of the queries `first..seen` of head `h` of a group over the keys `..seen`: `[queries, seen]`.
    fn probabilities(&self, s: Group<'_>, h: usize, first: usize, seen: usize, p: &mut [f32]) {
        let d = self.g.head_dim;
        let (q, k) = (s.q.slice(s![first..seen, h * d..(h + 1) * d]), s.k.slice(s![..seen, ..]));
        product(q, k.t(), self.g.scale(), view_mut(p, seen), false);
        for (t, row) in p.chunks_exact_mut(seen).enumerate() {
            let (visible, hidden) = row.split_at_mut(first + t + 1);
            hidden.fill(0.0);
            softmax(Simd::best(), visible);
        }
    }

    /// What a group gives, `[seq, heads of the group * head_dim]`.
    fn forward(&self, s: Group<'_>) -> Vec<f32> {
        let (g, d) = (&self.g, self.g.head_dim);
        let wide = self.shared() * d;
        let mut p = vec![0.0f32; QUERIES.min(g.seq) * g.seq];
        let mut out = vec![0.0f32; g.seq * wide];
        for h in 0..self.shared() {
            for (first, seen) in self.blocks() {
                let p = &mut p[..(seen - first) * seen];
                self.probabilities(s, h, first, seen, p);
                let out = view_mut(&mut out, wide).slice_move(s![first..seen, h * d..(h + 1) * d]);
                product(view(p, seen), s.v.slice(s![..seen, ..]), 1.0, out, false);
            }
        }
        out
    }

    /// Gradients of a group's queries `[seq, heads of the group * head_dim]`, keys and values `[seq, head_dim]`, from
    /// those of its outputs, which lie as the queries do.
    fn backward(&self, s: Group<'_>, dy: ArrayView2<'_, f32>) -> [Vec<f32>; 3] {
        let g = &self.g;
        let (n, d, scale, simd) = (g.seq, g.head_dim, g.scale(), Simd::best());
        let wide = self.shared() * d;
        let room = QUERIES.min(n) * n;
        let (mut p, mut dp) = (vec![0.0f32; room], vec![0.0f32; room]);
        let [mut dq, mut dk, mut dv] = [n * wide, n * d, n * d].map(|n| vec![0.0f32; n]);
        for h in 0..self.shared() {
            for (first, seen) in self.blocks() {
                let (here, upto) = (s![first..seen, h * d..(h + 1) * d], s![..seen, ..]);
                let (q, k, v, dy) = (s.q.slice(here), s.k.slice(upto), s.v.slice(upto), dy.slice(here));
                let (p, dp) = (&mut p[..(seen - first) * seen], &mut dp[..(seen - first) * seen]);
                self.probabilities(s, h, first, seen, p);
                product(view(p, seen).t(), dy, 1.0, view_mut(&mut dv[..seen * d], d), true);
                product(dy, v.t(), 1.0, view_mut(dp, seen), false);
                for (p, dp) in p.chunks_exact(seen).zip(dp.chunks_exact_mut(seen)) {
                    softmax_back(simd, p, dp);
                }
                let dp = view(dp, seen);
                product(dp, k, scale, view_mut(&mut dq, wide).slice_move(here), true);
                product(dp.t(), q, scale, view_mut(&mut dk[..seen * d], d), true);
            }
        }
        [dq, dk, dv]
    }

    /// Puts the groups' rows of `width` beside each other.
    fn join(&self, groups: &[&[f32]], width: usize) -> Vec<f32> {
        let heads = self.g.kv_heads;
        let mut all = vec![0.0f32; groups.len() * self.g.seq * width];
        let sequences = all.par_chunks_mut(self.g.seq * heads * width).zip(groups.par_chunks(heads));
        sequences.for_each(|(all, groups)| {
            for (t, row) in all.chunks_exact_mut(heads * width).enumerate() {
                let parts = row.chunks_exact_mut(width).zip(groups);
                parts.for_each(|(to, from)| to.copy_from_slice(&from[t * width..(t + 1) * width]));
            }
        });
        all
    }
}

versions! {
    /// Makes gradients of scores of the gradients `d` of their softmax `p`.
    fn softmax_back(p: &[f32], d: &mut [f32]) {
        let dot = dot(p, d);
        d.iter_mut().zip(p).for_each(|(d, p)| *d = p * (*d - dot));
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
        let each: Vec<Vec<f32>> = self.groups(q, k, v).into_par_iter().map(|s| self.forward(s)).collect();
        let each: Vec<&[f32]> = each.iter().map(Vec::as_slice).collect();
        Ok((CpuStorage::F32(self.join(&each, self.shared() * self.g.head_dim)), lq.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let each: Vec<[Vec<f32>; 3]> = with_data([q, k, v, dy], |[q, k, v, dy]| {
            // The groups of `dy` are those of the queries.
            let groups = self.groups(q, k, v).into_par_iter().zip(self.groups(dy, k, v));
            groups.map(|(s, dy)| self.backward(s, dy.q)).collect()
        })?;
        let (narrow, wide) = (self.g.head_dim, self.shared() * self.g.head_dim);
        let join = |i: usize, width: usize, like: &Tensor| {
            let each: Vec<&[f32]> = each.iter().map(|e| e[i].as_slice()).collect();
            Tensor::from_vec(self.join(&each, width), like.shape(), like.device())
        };
        Ok((Some(join(0, wide, q)?), Some(join(1, narrow, k)?), Some(join(2, narrow, v)?)))
    }
}

/// The same from the library's operations, with its own gradients.
#[cfg(test)]
pub(super) mod composed {
    use super::*;
    use candle_core::Device;

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
