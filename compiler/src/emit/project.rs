//! Projections of attention and what the vector unit does with them: rotation, KV append, query codes.

use super::Emitter;
use super::builder::{At, Builder, Opd, Sync, sem};
use crate::error::Result;
use crate::label::Tensor;
use crate::lambda::reg;
use crate::layout::WeightMap;
use crate::spec::Linear;
use accllm_hw::isa::{FLAG_FINAL, Op};

impl Emitter<'_> {
    /// MATW of k, q and v to vector memory, once the norm is there.
    pub(super) fn projections(&mut self, at: At) -> Result<()> {
        self.enter(at);
        let l = self.layout;
        for (i, linear) in WeightMap::ATTENTION.into_iter().enumerate() {
            let (to, rows, tensor, name) = match linear {
                Linear::K => (l.vmem.k, l.shape.k_rows(), Tensor::K, "k_proj"),
                Linear::V => (l.vmem.v, l.shape.v_rows(), Tensor::V, "v_proj"),
                _ => (l.vmem.q, l.shape.q_rows(), Tensor::Q, "q_proj"),
            };
            let d = self.matw(self.stream(linear, 0)?, name).b(self.norm_words()).c(to).m(self.b.count());
            let d = d.x(l.act.norm_x).aux(rows).makes(&[tensor]);
            self.b.push(d.wait_if(i == 0, sem::V2M).signal(sem::M2V));
        }
        Ok(())
    }

    /// Rotates, quantizes and appends what [`Emitter::projections`] made, in the same order.
    pub(super) fn prepare(&mut self, at: At) {
        self.enter(at);
        for linear in WeightMap::ATTENTION {
            match linear {
                Linear::K => self.keys(),
                Linear::V => self.values(),
                _ => self.queries(),
            }
        }
    }

    /// Rotates, quantizes and appends the keys.
    fn keys(&mut self) {
        let l = self.layout;
        let s = &l.shape;
        let heads = s.dims.kv_heads;
        let [t0, t1, ..] = reg::T;
        let cache = self.by_layer(l.kv.k_at(self.layer.first, 0), reg::KV);
        let rope = l.vmem.rope + self.row() * s.rope_row();
        let shift = self.consts().rot_shift_k;
        let sync = Sync { wait: sem::M2V, signal: sem::KEYS };
        self.b.tokens(sync, &[(t0, s.k_rows()), (t1, s.rope_row()), (reg::P, 1), (reg::R, 1)], |b| {
            let rotated = Opd(l.vmem.k_rot, t0);
            let d = b.draft(Op::ROPE, "k_rope").a(Opd(l.vmem.k, t0)).b(Opd(rope, t1));
            b.push(d.c(rotated).n(heads));
            hadamard(b, (s.vec, s.hdp), rotated, s.k_rows(), shift, ("k_rotate", &[Tensor::KRot]));
            let d = b.draft(Op::STATK, "k_scale").a(rotated).c(l.scalars.k).n(heads);
            b.push(d.makes(&[Tensor::KScale, Tensor::KBase]));
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
        self.b.tokens(sync, &[(t0, s.v_rows()), (reg::P, 1), (reg::R, 1)], |b| {
            let d = b.draft(Op::QV, "v_append").a(Opd(l.vmem.v, t0)).b(b.ring()).c(cache);
            let d = d.n(s.dims.kv_heads).m(b.position()).k(l.kv.v_head).sh(shift).aux(l.kv.v_blocks);
            b.push(d.makes(&[Tensor::VCodes]));
        });
    }

    /// Rotates and quantizes the queries, for the window and for the sinks.
    fn queries(&mut self) {
        let l = self.layout;
        let s = &l.shape;
        let heads = s.dims.heads;
        let sinks = s.lambda.n_sink > 0;
        let [t0, t1, t2, t3] = reg::T;
        let rope = l.vmem.rope + self.row() * s.rope_row();
        let shift = self.consts().rot_shift_q;
        let sync = Sync { wait: sem::M2V, signal: sem::V2M };
        let strides = [(t0, s.q_rows()), (t1, s.rope_row()), (t2, s.q_rot_row()), (t3, 1)];
        self.b.tokens(sync, &strides, |b| {
            let rotate = |b: &mut Builder, table: usize, to: usize| {
                let d = b.draft(Op::ROPE, "q_rope").a(Opd(l.vmem.q, t0)).b(Opd(table, t1));
                b.push(d.c(Opd(to, t2)).n(heads));
            };
            rotate(b, rope, l.vmem.q_rot);
            if sinks {
                rotate(b, rope + s.hdp, l.vmem.q_rot + s.q_rows());
            }
            let both = [Tensor::QWin, Tensor::QSink];
            let made = &both[..if sinks { 2 } else { 1 }];
            hadamard(b, (s.vec, s.hdp), Opd(l.vmem.q_rot, t2), s.q_rot_row(), shift, ("q_rotate", made));
            let mut codes = |from: usize, scalars: usize, act: usize, made: [Tensor; 3]| {
                let (from, token) = (Opd(from, t2), Opd(0, t3));
                let d = b.draft(Op::STATQ, "q_scale").a(from).c(scalars).n(heads).m(token);
                b.push(d.k(l.scalars.q_stride).makes(&made[..1]));
                let d = b.draft(Op::QQ, "q_codes").a(from).b(scalars).c(act).n(heads).m(token);
                b.push(d.k(l.scalars.q_stride).x(l.act.q_x).makes(&made[1..]));
            };
            let window = [Tensor::QScaleWin, Tensor::Q8Win, Tensor::QSumWin];
            codes(l.vmem.q_rot, l.scalars.q_win, l.act.q_win, window);
            if sinks {
                let sink = [Tensor::QScaleSink, Tensor::Q8Sink, Tensor::QSumSink];
                codes(l.vmem.q_rot + s.q_rows(), l.scalars.q_sink, l.act.q_sink, sink);
            }
        });
    }
}

/// Hadamard transform of all heads at `at`, `n` elements, in place. `(vec, hdp)`: widths of a vector word and a head.
fn hadamard(
    b: &mut Builder,
    (vec, hdp): (usize, usize),
    at: Opd,
    n: usize,
    shift: u8,
    (name, tensors): (&str, &[Tensor]),
) {
    b.push(b.draft(Op::HADW, name).a(at).c(at).n(n));
    let mut distance = vec;
    while distance < hdp {
        let d = b.draft(Op::HADX, name).a(at).c(at).n(n).k(distance);
        let last = 2 * distance == hdp;
        b.push(if last { d.sh(shift).flag(FLAG_FINAL, true).makes(tensors) } else { d });
        distance *= 2;
    }
}
