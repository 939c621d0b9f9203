//! Projections of attention and what the vector unit does with them: rotation, KV append, query codes.

use super::Emitter;
use super::builder::{At, Builder, Opd, Sync, sem};
use crate::abi::reg;
use crate::error::Result;
use crate::label::Span;
use crate::layout::{AUX_I16, Chunk, Shape, WeightMap};
use accllm_hw::isa::{FLAG_FINAL, Op};
use accllm_hw::sizes::Linear;
use accllm_hw::tensor::Tensor;
use std::ops::Range;

impl Emitter<'_> {
    /// MATW of k, q and v to vector memory, once the norm is there.
    pub(super) fn projections(&mut self, at: At) -> Result<()> {
        self.enter(at);
        let l = self.layout;
        let mut first = true;
        for linear in WeightMap::ATTENTION {
            let (to, rows, tensor, name) = match linear {
                Linear::K => (l.vmem.k, l.shape.k_rows(), Tensor::K, "k_proj"),
                Linear::V => (l.vmem.v, l.shape.v_rows(), Tensor::V, "v_proj"),
                _ => (l.vmem.q, l.shape.q_rows(), Tensor::Q, "q_proj"),
            };
            for i in 0..l.weights.pieces(at.layer.first, linear) {
                let stream = self.stream(linear, i)?;
                let Chunk { first: skip, rows: count } = stream.chunk;
                let d = self.matw(stream, name).b(self.norm_words()).c(to + skip).m(self.b.count());
                let d = d.x(l.act.norm_x).aux(rows).makes(&self.made(linear, tensor)).part(skip, count);
                self.b.push(d.wait_if(first, sem::V2M).signal(sem::M2V));
                first = false;
            }
        }
        Ok(())
    }

    /// Rotates, quantizes and appends what [`Emitter::projections`] made, in the same order.
    pub(super) fn prepare(&mut self, at: At) {
        self.enter(at);
        self.rope_rows();
        self.load_biases();
        for linear in WeightMap::ATTENTION {
            match linear {
                Linear::K => self.keys(),
                Linear::V => self.values(),
                _ => (0..self.layout.shape.q_parts).for_each(|part| self.queries(part)),
            }
        }
    }

    /// Gathers the RoPE rows of the layer's leads: for each token and group of KV heads the one that the group's id names.
    fn rope_rows(&mut self) {
        let l = self.layout;
        let s = &l.shape;
        if !s.led() {
            return;
        }
        let beats = s.rope_row() / AUX_I16;
        let token = s.leads.len() * beats;
        let from = l.aux.rope + self.row() * token;
        let ids = l.vmem.g + 2 * s.hidden;
        let (rope, next) = self.rope();
        let [t0, t1, ..] = reg::T;
        self.b.tokens(Sync::default(), &[(t0, token), (t1, next)], |b| {
            for g in 0..s.rope_groups {
                let d = b.draft(Op::EMBED, "rope_rows").a(Opd(from, t0)).b(ids + g);
                let d = d.c(Opd(rope + g * s.rope_row(), t1)).n(s.rope_row());
                b.push(d.k(beats).aux(s.leads.len()));
            }
        });
    }

    /// RoPE rows of the group's first token, and elements to the next token's.
    fn rope(&self) -> (usize, usize) {
        let (l, s) = (self.layout, &self.layout.shape);
        match s.led() {
            true => (l.vmem.rope, s.rope_groups * s.rope_row()),
            false => (l.vmem.rope + self.row() * s.rope_row(), s.rope_row()),
        }
    }

    /// Rotates, quantizes and appends the keys.
    fn keys(&mut self) {
        let l = self.layout;
        let s = &l.shape;
        let heads = s.sizes.kv_heads;
        let [t0, t1, ..] = reg::T;
        let cache = self.by_layer(l.kv.k_at(self.layer.first, 0), reg::KV);
        let (rope, next) = self.rope();
        let shift = self.consts().rot_shift_k;
        let sync = Sync { wait: sem::M2V, signal: sem::KEYS };
        let (bias, norm) = (self.bias(Linear::K), self.head_norm(1));
        self.b.tokens(sync, &[(t0, s.k_rows()), (t1, next), (reg::P, 1), (reg::R, 1)], |b| {
            if let Some(bias) = bias {
                bias.add(b, Opd(l.vmem.k, t0), Chunk { first: 0, rows: s.k_rows() }, Tensor::K);
            }
            if let Some(norm) = norm {
                norm.heads(b, Opd(l.vmem.k, t0), heads);
            }
            let rotated = Opd(l.vmem.k_rot, t0);
            for (table, run) in rope_runs(s, 0..heads) {
                let skip = run.start * s.hdp;
                let d = b.draft(Op::ROPE, "k_rope").a(Opd(l.vmem.k + skip, t0)).b(Opd(rope + table, t1));
                b.push(d.c(Opd(l.vmem.k_rot + skip, t0)).n(run.len()));
            }
            hadamard(b, s, rotated, s.k_rows(), shift, "k_rotate", &[Tensor::KRot]);
            let d = b.draft(Op::STATK, "k_scale").a(rotated).c(l.scalars.k).n(heads);
            b.push(d.makes(&[Tensor::KScale, Tensor::KBase]));
            let cache = Opd(cache.0 + b.the_sequence() * l.kv.seq, cache.1);
            let d = b.draft(Op::QK, "k_append").a(rotated).b(b.ring()).c(cache).n(heads).m(b.position());
            b.push(d.k(l.kv.k_head).aux(l.scalars.k).makes(&[Tensor::KCodes]));
        });
    }

    /// Quantizes and appends the values.
    fn values(&mut self) {
        let l = self.layout;
        let s = &l.shape;
        let [t0, ..] = reg::T;
        let cache = self.by_layer(l.kv.v_at(self.layer.first, 0), reg::KV);
        let shift = self.consts().v_shift;
        let sync = Sync { wait: sem::M2V, signal: sem::VALUES };
        let bias = self.bias(Linear::V);
        self.b.tokens(sync, &[(t0, s.v_rows()), (reg::P, 1), (reg::R, 1)], |b| {
            if let Some(bias) = bias {
                bias.add(b, Opd(l.vmem.v, t0), Chunk { first: 0, rows: s.v_rows() }, Tensor::V);
            }
            let cache = Opd(cache.0 + b.the_sequence() * l.kv.seq, cache.1);
            let d = b.draft(Op::QV, "v_append").a(Opd(l.vmem.v, t0)).b(b.ring()).c(cache);
            let d = d.n(s.sizes.kv_heads).m(b.position()).k(l.kv.v_head).sh(shift).aux(l.kv.v_blocks);
            b.push(d.makes(&[Tensor::VCodes]));
        });
    }

    /// Rotates and quantizes a part of the queries, for the window and for the sinks.
    fn queries(&mut self, part: usize) {
        let l = self.layout;
        let s = &l.shape;
        let (heads, kv_heads) = (s.sizes.heads / s.q_parts, s.sizes.kv_heads / s.q_parts);
        let kv = kv_heads * part;
        let rows = s.q_rows() / s.q_parts;
        let sinks = s.lambda.n_sink > 0;
        let [t0, t1, t2, t3] = reg::T;
        let (rope, next_rope) = self.rope();
        let shift = self.consts().rot_shift_q;
        let sync = Sync { wait: sem::M2V, signal: sem::QUERIES };
        // Sequences are further apart than tokens.
        let next = if self.b.span == Span::Batch { s.row_stride() } else { 1 };
        let strides = [(t0, s.q_rows()), (t1, next_rope), (t2, s.q_rot_row()), (t3, next)];
        // The part's rotated heads: for the window, after them for the sinks.
        let copies = if sinks { 2 } else { 1 };
        let window = l.vmem.q_rot + part * copies * rows;
        let (bias, norm) = (self.bias(Linear::Q), self.head_norm(0));
        self.b.tokens(sync, &strides, |b| {
            if let Some(bias) = bias {
                bias.add(b, Opd(l.vmem.q + part * rows, t0), Chunk { first: part * rows, rows }, Tensor::Q);
            }
            if let Some(norm) = norm {
                norm.heads(b, Opd(l.vmem.q + part * rows, t0), heads);
            }
            let rotate = |b: &mut Builder, rope: usize, to: usize| {
                for (table, run) in rope_runs(s, kv..kv + kv_heads) {
                    let (heads, skip) = (run.len() * s.group, run.start * s.group * s.hdp);
                    let d = b.draft(Op::ROPE, "q_rope").a(Opd(l.vmem.q + skip, t0)).b(Opd(rope + table, t1));
                    let d = d.c(Opd(to + skip - part * rows, t2)).n(heads);
                    b.push(d.part(skip, heads * s.hdp));
                }
            };
            rotate(b, rope, window);
            if sinks {
                rotate(b, rope + s.hdp, window + rows);
            }
            let both = [Tensor::QWin, Tensor::QSink];
            let n = copies * rows;
            hadamard(b, s, Opd(window, t2), n, shift, "q_rotate", &both[..copies]);
            if let Some(label) = b.labels.last_mut() {
                label.part = Some((part * rows, rows));
            }
            let mut codes = |from: usize, scalars: usize, act: usize, made: [Tensor; 3]| {
                let (from, token, scalars) = (Opd(from, t2), Opd(0, t3), scalars + kv * l.scalars.q_stride);
                let d = b.draft(Op::STATQ, "q_scale").a(from).c(scalars).n(heads).m(token);
                b.push(d.k(l.scalars.q_stride).makes(&made[..1]));
                let d = b.draft(Op::QQ, "q_codes").a(from).b(scalars).c(act + kv * l.act.q_x).n(heads);
                b.push(d.m(token).k(l.scalars.q_stride).x(l.act.q_x).makes(&made[1..]));
            };
            let made = [Tensor::QScaleWin, Tensor::Q8Win, Tensor::QSumWin];
            codes(window, l.scalars.q_win, l.act.q_win, made);
            if sinks {
                let made = [Tensor::QScaleSink, Tensor::Q8Sink, Tensor::QSumSink];
                codes(window + rows, l.scalars.q_sink, l.act.q_sink, made);
            }
        });
    }
}

/// KV heads with the same RoPE row, among `heads`: where in a token's rows it begins, and which heads.
fn rope_runs(s: &Shape, heads: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
    let (size, row) = (s.sizes.kv_heads / s.rope_groups, s.rope_row());
    let groups = heads.start / size..heads.end.div_ceil(size);
    groups.map(move |g| (g * row, heads.start.max(g * size)..heads.end.min((g + 1) * size)))
}

/// Hadamard transform of all heads at `at`, `n` elements, in place.
fn hadamard(b: &mut Builder, s: &Shape, at: Opd, n: usize, shift: u8, name: &str, tensors: &[Tensor]) {
    b.push(b.draft(Op::HADW, name).a(at).c(at).n(n));
    let mut distance = s.vec;
    while distance < s.hdp {
        let d = b.draft(Op::HADX, name).a(at).c(at).n(n).k(distance);
        let last = 2 * distance == s.hdp;
        b.push(if last { d.sh(shift).flag(FLAG_FINAL, true).makes(tensors) } else { d });
        distance *= 2;
    }
}
