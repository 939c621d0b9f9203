//! Runs a quantized model over tokens, keeping the KV cache.

use super::attention::{Angles, Query, attend, rotate};
use super::cache::Cache;
use super::emit::{emit, emit_head};
use super::matmul::{Acts, Blocks, linear};
use super::tap::{At, IntTap, NoIntTap, Point};
use crate::model::{LambdaShape, Layer, LayerConstants, Norm, QuantModel};
use crate::perplexity::{Scorer, nll_of_logits};
use crate::{Error, Result};
use accllm_hw::config::COLS;
use accllm_hw::{fixed, tables};
use rayon::prelude::*;
use std::path::Path;

/// Most tokens processed at once.
const BLOCK: usize = 64;

/// Which tokens' logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    /// All tokens of the call.
    All,
    /// The last token only.
    Last,
}

/// A running text: model, position and KV caches.
pub struct Session<'m> {
    model: &'m QuantModel,
    lambda: LambdaShape,
    position: u64,
    caches: Vec<Cache>,
}

impl<'m> Session<'m> {
    /// An empty session with the model's default attention shape. The model must have passed
    /// [`QuantModel::check`], as every loaded or quantized one has.
    pub fn new(model: &'m QuantModel) -> Self {
        Self::start(model, model.lambda)
    }

    /// An empty session with another attention shape.
    pub fn with_lambda(model: &'m QuantModel, lambda: LambdaShape) -> Result<Self> {
        lambda.check(Path::new("argument"))?;
        Ok(Self::start(model, lambda))
    }

    fn start(model: &'m QuantModel, lambda: LambdaShape) -> Self {
        let caches = model.layers.iter().map(|_| Cache::new(&model.arch, lambda, BLOCK)).collect();
        Self { model, lambda, position: 0, caches }
    }

    /// Position of the next token.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Appends `tokens`; returns the logits asked for, `[tokens or 1, vocab]` with
    /// `model.logit_frac` fraction bits.
    pub fn step(&mut self, tokens: &[u32], which: Logits, tap: &mut dyn IntTap) -> Result<Vec<i32>> {
        let vocab = self.model.arch.vocab;
        if let Some(id) = tokens.iter().find(|id| **id as usize >= vocab) {
            return Err(Error::Argument(format!("token {id} is not below the vocabulary size {vocab}")));
        }
        let mut logits = Vec::new();
        let blocks = tokens.len().div_ceil(BLOCK);
        for (i, block) in tokens.chunks(BLOCK).enumerate() {
            let hidden = self.block(block, tap);
            let width = self.model.arch.hidden;
            let first = match which {
                Logits::All => 0,
                Logits::Last if i + 1 == blocks => block.len() - 1,
                Logits::Last => block.len(),
            };
            if first < block.len() {
                let base = self.position + first as u64;
                logits.extend(self.head(&hidden[first * width..], base, tap));
            }
            self.position += block.len() as u64;
        }
        Ok(logits)
    }

    /// Residual stream after the last layer for a block of tokens.
    fn block(&mut self, tokens: &[u32], tap: &mut dyn IntTap) -> Vec<i32> {
        let m = self.model;
        let (h, base) = (m.arch.hidden, self.position);
        let shift = u32::from(m.embed_shift);
        let mut x: Vec<i32> = tokens
            .iter()
            .flat_map(|id| m.embed[*id as usize * h..][..h].iter().map(|e| fixed::embed(*e, shift)))
            .collect();
        emit(tap, Point::Embed, None, base, h, &x);
        let angles = |p: u64| fixed::rope_row(p, m.arch.rope_theta, m.arch.head_dim, m.arch.padded_head());
        let positions: Vec<u64> = (0..tokens.len() as u64).map(|t| base + t).collect();
        let rows: Vec<(Angles, Option<Angles>)> = positions
            .iter()
            .map(|p| {
                let sink = self.lambda.sink_position(*p);
                (angles(*p), (sink != *p).then(|| angles(sink)))
            })
            .collect();
        for l in 0..m.layers.len() {
            self.layer(l, &mut x, &rows, tap);
        }
        x
    }

    fn layer(&mut self, l: usize, x: &mut [i32], rows: &[(Angles, Option<Angles>)], tap: &mut dyn IntTap) {
        let (m, base) = (self.model, self.position);
        let (w, a): (&Layer, _) = (&m.layers[l], &m.arch);
        let at = Some(l);
        let input = norm(x, &w.attn_norm);
        emit(tap, Point::AttnIn, at, base, a.hidden, &input);
        let input = Acts::narrow(&input, a.hidden);
        let (q, k, v) = (linear(&w.q, &input), linear(&w.k, &input), linear(&w.v, &input));
        emit(tap, Point::Q, at, base, a.q_width(), &q);
        emit(tap, Point::K, at, base, a.kv_width(), &k);
        emit(tap, Point::V, at, base, a.kv_width(), &v);
        self.append(l, &k, &v, rows, tap);
        let o8 = self.attention(l, &q, rows, tap);
        let y = linear(&w.o, &Acts::narrow(&o8, a.o_cols()));
        emit(tap, Point::AttnOut, at, base, a.hidden, &y);
        add(x, &y);
        emit(tap, Point::ResidAttn, at, base, a.hidden, x);

        let input = norm(x, &w.mlp_norm);
        emit(tap, Point::MlpIn, at, base, a.hidden, &input);
        let input = Acts::narrow(&input, a.hidden);
        let (gate, up) = (linear(&w.gate, &input), linear(&w.up, &input));
        emit(tap, Point::Gate, at, base, a.ff, &gate);
        emit(tap, Point::Up, at, base, a.ff, &up);
        let hs = u32::from(w.constants.hs);
        let h: Vec<i32> = gate.par_iter().zip(&up).map(|(g, u)| fixed::silu_mul(*g, *u, hs)).collect();
        let h = Blocks::new(&h, a.ff);
        emit(tap, Point::MlpH, at, base, a.ff, &h.codes);
        emit(tap, Point::MlpHExp, at, base, a.ff.div_ceil(COLS), &h.exponents);
        let y = linear(&w.down, &Acts::blocks(&h, a.ff));
        emit(tap, Point::MlpOut, at, base, a.hidden, &y);
        add(x, &y);
        emit(tap, Point::Resid, at, base, a.hidden, x);
    }

    /// Quantizes and stores the keys and values of a block.
    fn append(
        &mut self,
        l: usize,
        k: &[i32],
        v: &[i32],
        rows: &[(Angles, Option<Angles>)],
        tap: &mut dyn IntTap,
    ) {
        let (a, c) = (&self.model.arch, &self.model.layers[l].constants);
        let cache = &mut self.caches[l];
        let tokens = k.chunks_exact(a.kv_width()).zip(v.chunks_exact(a.kv_width())).zip(rows);
        for (t, ((k, v), angles)) in tokens.enumerate() {
            let p = self.position + t as u64;
            let heads = k.chunks_exact(a.head_dim).zip(v.chunks_exact(a.head_dim));
            for (head, (k, v)) in heads.enumerate() {
                let rot = rotate(k, &angles.0, c.rot_shift_k);
                let (scale, low) = cache.put_key(p, head, &rot);
                cache.put_value(p, head, v, u32::from(c.v_shift));
                if tap.active() {
                    let mut say = |point, data: &[i32]| {
                        tap.tensor(At { point, layer: Some(l), token: p, head: Some(head) }, data);
                    };
                    let widen = |codes: &[i8]| codes.iter().map(|v| i32::from(*v)).collect::<Vec<_>>();
                    say(Point::KRot, &rot);
                    say(Point::KScale, &[i32::from(scale)]);
                    say(Point::KBase, &[i32::from(low)]);
                    say(Point::KCodes, &widen(cache.key(p, head).0));
                    say(Point::VCodes, &widen(cache.value(p, head)));
                }
            }
        }
    }

    /// Attention outputs of a block, `[tokens, o_cols]`.
    fn attention(
        &self,
        l: usize,
        q: &[i32],
        rows: &[(Angles, Option<Angles>)],
        tap: &mut dyn IntTap,
    ) -> Vec<i32> {
        let (m, a) = (self.model, &self.model.arch);
        let c: &LayerConstants = &m.layers[l].constants;
        let head = |t: usize, h: usize| {
            let p = self.position + t as u64;
            let x = &q[t * a.q_width() + h * a.head_dim..][..a.head_dim];
            let window = Query::new(x, &rows[t].0, c.rot_shift_q);
            let sink = rows[t].1.as_ref().map(|r| Query::new(x, r, c.rot_shift_q));
            let pair = (&window, sink.as_ref().unwrap_or(&window));
            let out = attend(&self.caches[l], (p, h / a.group()), pair, self.lambda, c, m.prob_wide);
            (window, sink, out)
        };
        let mut o8 = vec![0i32; rows.len() * a.o_cols()];
        let token = |(t, out): (usize, &mut [i32])| -> Vec<_> {
            let each = out.chunks_exact_mut(a.head_stride()).enumerate().map(|(h, out)| {
                let result = head(t, h);
                out[..a.head_dim].copy_from_slice(&result.2.o8);
                result
            });
            each.collect()
        };
        if tap.active() {
            for (t, out) in o8.chunks_exact_mut(a.o_cols()).enumerate() {
                let p = self.position + t as u64;
                for (h, (window, sink, out)) in token((t, out)).into_iter().enumerate() {
                    emit_head(tap, (l, p, h), &window, sink.as_ref().unwrap_or(&window), &out);
                }
            }
        } else {
            o8.par_chunks_exact_mut(a.o_cols()).enumerate().for_each(|x| {
                token(x);
            });
        }
        o8
    }

    /// Logits of residual rows whose first token is at `base`.
    fn head(&self, x: &[i32], base: u64, tap: &mut dyn IntTap) -> Vec<i32> {
        let a = &self.model.arch;
        let input = norm(x, &self.model.final_norm);
        emit(tap, Point::HeadIn, None, base, a.hidden, &input);
        let y = linear(&self.model.head, &Acts::narrow(&input, a.hidden));
        emit(tap, Point::Logits, None, base, a.vocab, &y);
        y
    }
}

/// RMSNorm with static quantization of `[tokens, hidden]`.
fn norm(x: &[i32], n: &Norm) -> Vec<i32> {
    let mut y = x.to_vec();
    y.par_chunks_exact_mut(n.g.len()).for_each(|row| {
        let r = tables::rsqrt(fixed::sum_squares(row, n.eps));
        for (v, g) in row.iter_mut().zip(&n.g) {
            *v = i32::from(fixed::norm_element(*v, r, *g, u32::from(n.gs)));
        }
    });
    y
}

fn add(x: &mut [i32], y: &[i32]) {
    for (a, b) in x.iter_mut().zip(y) {
        *a = fixed::resid_add(*a, *b);
    }
}

impl Scorer for QuantModel {
    fn nll(&self, window: &[u32]) -> Result<Vec<f64>> {
        let logits = Session::new(self).step(window, Logits::All, &mut NoIntTap)?;
        let unit = (-f32::from(self.logit_frac)).exp2();
        let real: Vec<f32> = logits.iter().map(|v| *v as f32 * unit).collect();
        Ok(nll_of_logits(&real, self.arch.vocab, window))
    }
}
