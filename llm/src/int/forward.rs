//! A layer over some tokens: what comes before their keys and values are in the cache, and what comes after.

use super::attention::{Attention, Query, Turns, rotate};
use super::cache::Cache;
use super::emit::{emit, emit_head};
use super::kernel::{norm_row, silu_row};
use super::matmul::{Acts, linear};
use super::pack::Prepared;
use super::tap::IntTap;
use crate::model::{LambdaShape, Norm, Weight};
use accllm_hw::config::COLS;
use accllm_hw::fixed::{self, k_code, k_step, v_code};
use accllm_hw::sizes::Linear;
use accllm_hw::tables;
use accllm_hw::tensor::Tensor;
use rayon::prelude::*;

/// Scores below which a second thread does not pay.
const SMALL: usize = 1 << 13;

/// Tokens that follow each other.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'a> {
    pub prepared: &'a Prepared<'a>,
    /// Position of the first.
    pub base: u64,
    /// Rotation of each.
    pub turns: &'a [Turns],
    /// Work is spread over all threads; otherwise the caller does that.
    pub spread: bool,
}

/// Queries, and what goes into the cache.
pub(super) struct Projected {
    /// `[tokens, q_width + 2 kv_width]`.
    qkv: Vec<i32>,
    /// Rotated keys, `[tokens, kv_heads, hdp]`.
    pub k_rot: Vec<i32>,
    /// Their codes.
    pub k: Vec<i8>,
    /// Their steps and bases, `[tokens, kv_heads]`.
    pub k_meta: Vec<(u16, i16)>,
    /// `[tokens, kv_heads, hd]`.
    pub v: Vec<i8>,
}

impl Tokens<'_> {
    /// Queries, keys and values of layer `l` from the residual stream.
    pub fn project(&self, l: usize, x: &[i32], tap: &mut dyn IntTap) -> Projected {
        let (p, base, at) = (self.prepared, self.base, Some(l));
        let (a, w, simd) = (&p.model.arch.sizes, &p.model.layers[l], p.simd);
        let input = self.norm(x, &w.attn_norm);
        say(tap, Tensor::AttnIn, at, base, a.hidden, || input.codes(a.hidden));
        let mut qkv = linear(simd, &p.layers[l].qkv, &input, self.spread);
        add_bias(&mut qkv, &[&w.q, &w.k, &w.v]);
        let (qw, kw, hd) = (a.q_width(), a.kv_width(), a.head_dim);
        let part = |from: usize, width: usize| {
            qkv.chunks_exact(qw + 2 * kw)
                .flat_map(move |row| row[from..from + width].iter().copied())
                .collect()
        };
        say(tap, Tensor::Q, at, base, qw, || part(0, qw));
        say(tap, Tensor::K, at, base, kw, || part(qw, kw));
        say(tap, Tensor::V, at, base, kw, || part(qw + kw, kw));
        if let Some([q_norm, k_norm]) = &w.head_norms {
            for row in qkv.chunks_exact_mut(qw + 2 * kw) {
                row[..qw].chunks_exact_mut(hd).for_each(|head| norm_head(head, q_norm));
                row[qw..qw + kw].chunks_exact_mut(hd).for_each(|head| norm_head(head, k_norm));
            }
        }
        let (mut k_rot, mut k, mut k_meta, mut v) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (row, turns) in qkv.chunks_exact(qw + 2 * kw).zip(self.turns) {
            for (key, order) in row[qw..qw + kw].chunks_exact(hd).zip(&p.layers[l].orders) {
                let rot = rotate(simd, key, &turns.near[*order], w.constants.rot_shift_k);
                let (scale, low) = k_step(&rot);
                let inverse = tables::recip(u32::from(scale));
                k.extend(rot.iter().map(|r| k_code(*r, low, inverse)));
                k_meta.push((scale, low));
                k_rot.extend(rot);
            }
            let shift = u32::from(w.constants.v_shift);
            v.extend(row[qw + kw..].iter().map(|y| v_code(*y, shift)));
        }
        Projected { qkv, k_rot, k, k_meta, v }
    }

    /// Attention and feed-forward of layer `l`, once the keys and values are in `cache`.
    pub fn finish(
        &self,
        l: usize,
        x: &mut [i32],
        projected: &Projected,
        cache: &Cache,
        lambda: LambdaShape,
        tap: &mut dyn IntTap,
    ) {
        let (p, base, at) = (self.prepared, self.base, Some(l));
        let (a, m, w, simd) = (&p.model.arch.sizes, p.model, &p.model.layers[l], p.simd);
        let attention = Attention { simd, cache, lambda, constants: &w.constants, wide: m.prob_wide };
        let o8 = Acts::narrow(self.turns.len(), a.quantized(Linear::O).1, |t, out| {
            self.attend(l, t, &projected.qkv, &attention, out, tap);
        });
        let mut y = linear(simd, &p.layers[l].o, &o8, self.spread);
        add_bias(&mut y, &[&w.o]);
        emit(tap, Tensor::AttnOut, at, base, a.hidden, &y);
        add(x, &y);
        emit(tap, Tensor::ResidAttn, at, base, a.hidden, x);

        let input = self.norm(x, &w.mlp_norm);
        say(tap, Tensor::MlpIn, at, base, a.hidden, || input.codes(a.hidden));
        let mut gate_up = linear(simd, &p.layers[l].gate_up, &input, self.spread);
        add_bias(&mut gate_up, &[&w.gate, &w.up]);
        let part = |from: usize| {
            gate_up
                .chunks_exact(2 * a.ff)
                .flat_map(move |row| row[from..from + a.ff].iter().copied())
                .collect()
        };
        say(tap, Tensor::Gate, at, base, a.ff, || part(0));
        say(tap, Tensor::Up, at, base, a.ff, || part(a.ff));
        let mut h = vec![0i32; gate_up.len() / 2];
        for (row, h) in gate_up.chunks_exact(2 * a.ff).zip(h.chunks_exact_mut(a.ff)) {
            silu_row(simd, &row[..a.ff], &row[a.ff..], u32::from(w.constants.hs), h);
        }
        let h = Acts::blocks(simd, &h, a.ff);
        say(tap, Tensor::MlpH, at, base, a.ff, || h.codes(a.ff));
        say(tap, Tensor::MlpHExp, at, base, a.ff.div_ceil(COLS), || h.exponents());
        let mut y = linear(simd, &p.layers[l].down, &h, self.spread);
        add_bias(&mut y, &[&w.down]);
        emit(tap, Tensor::MlpOut, at, base, a.hidden, &y);
        add(x, &y);
        emit(tap, Tensor::Resid, at, base, a.hidden, x);
    }

    /// Attention of token `t`, into its row of o's input.
    fn attend(
        &self,
        l: usize,
        t: usize,
        qkv: &[i32],
        attention: &Attention<'_>,
        out: &mut [i8],
        tap: &mut dyn IntTap,
    ) {
        let a = &self.prepared.model.arch.sizes;
        let (p, hd, group) = (self.base + t as u64, a.head_dim, a.group());
        let q = &qkv[t * (a.q_width() + 2 * a.kv_width())..][..a.q_width()];
        let shift = attention.constants.rot_shift_q;
        let turns = &self.turns[t];
        let heads = |kv: usize| {
            let order = self.prepared.layers[l].orders[kv];
            let (near, far) = (&turns.near[order], turns.far.as_ref().map(|far| &far[order]));
            let queries: Vec<(Query, Option<Query>)> = q[kv * group * hd..(kv + 1) * group * hd]
                .chunks_exact(hd)
                .map(|q| {
                    let of = |angles| Query::new(attention.simd, q, angles, shift);
                    (of(near), far.map(of))
                })
                .collect();
            let pairs: Vec<_> = queries.iter().map(|(w, s)| (w, s.as_ref().unwrap_or(w))).collect();
            let outputs = attention.attend(p, kv, &pairs);
            (queries, outputs)
        };
        let seen = (p as usize).saturating_add(1).min(attention.lambda.n_sink + attention.lambda.n_window);
        let done: Vec<_> = match self.spread && seen * a.heads >= SMALL {
            true => (0..a.kv_heads).into_par_iter().map(heads).collect(),
            false => (0..a.kv_heads).map(heads).collect(),
        };
        let all = done.iter().flat_map(|(queries, outputs)| queries.iter().zip(outputs));
        for (h, ((window, sink), output)) in all.enumerate() {
            out[h * a.head_stride()..][..hd].copy_from_slice(&output.o8);
            if tap.active() {
                emit_head(tap, l, p, h, window, sink.as_ref().unwrap_or(window), output);
            }
        }
    }

    /// Logits of residual rows `[tokens, hidden]`.
    pub fn head(&self, x: &[i32], tap: &mut dyn IntTap) -> Vec<i32> {
        let (p, a) = (self.prepared, &self.prepared.model.arch.sizes);
        let input = self.norm(x, &p.model.final_norm);
        say(tap, Tensor::HeadIn, None, self.base, a.hidden, || input.codes(a.hidden));
        let y = linear(p.simd, &p.head, &input, self.spread);
        emit(tap, Tensor::Logits, None, self.base, a.vocab, &y);
        y
    }

    /// RMSNorm with static quantization of `[tokens, hidden]`.
    fn norm(&self, x: &[i32], n: &Norm) -> Acts {
        let width = n.g.len();
        Acts::narrow(x.len() / width, width, |t, out| {
            norm_row(self.prepared.simd, &x[t * width..][..width], &n.g, n.eps, u32::from(n.gs), out);
        })
    }
}

/// Reports a tensor that is made only to be reported.
fn say(
    tap: &mut dyn IntTap,
    tensor: Tensor,
    layer: Option<usize>,
    base: u64,
    width: usize,
    data: impl Fn() -> Vec<i32>,
) {
    if tap.active() {
        emit(tap, tensor, layer, base, width, &data());
    }
}

/// Adds the biases of linears, whose outputs stand next to each other in a row, where they have them.
fn add_bias(y: &mut [i32], linears: &[&Weight]) {
    let width: usize = linears.iter().map(|w| w.grid.rows).sum();
    let mut from = 0;
    for w in linears {
        if !w.bias.is_empty() {
            y.chunks_exact_mut(width).for_each(|row| add(&mut row[from..from + w.grid.rows], &w.bias));
        }
        from += w.grid.rows;
    }
}

/// RMSNorm of a query or key head.
fn norm_head(head: &mut [i32], n: &Norm) {
    let root = tables::rsqrt(fixed::sum_squares(head, n.eps));
    for (x, g) in head.iter_mut().zip(&n.g) {
        *x = fixed::norm_wide(*x, root, *g, u32::from(n.gs));
    }
}

fn add(x: &mut [i32], y: &[i32]) {
    for (a, b) in x.iter_mut().zip(y) {
        *a = fixed::resid_add(*a, *b);
    }
}
