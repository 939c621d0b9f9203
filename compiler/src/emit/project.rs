//! Projections of attention and what the vector unit does with them: rotation, KV append, query codes.

use super::Emitter;
use super::builder::{Builder, Opd, sem};
use crate::error::Result;
use crate::label::Tensor;
use crate::lambda::reg;
use crate::spec::Linear;
use accllm_hw::isa::{FLAG_FINAL, Op};

impl Emitter<'_> {
    /// MATW of q, k or v to vector memory; signals once per token.
    pub(super) fn projection(&mut self, linear: Linear, first: bool) -> Result<()> {
        let l = self.layout;
        let (to, rows, tensor, name) = match linear {
            Linear::K => (l.vmem.k, l.shape.k_rows(), Tensor::K, "k_proj"),
            Linear::V => (l.vmem.v, l.shape.v_rows(), Tensor::V, "v_proj"),
            _ => (l.vmem.q, l.shape.q_rows(), Tensor::Q, "q_proj"),
        };
        let d = self.matw(self.stream(linear, 0)?, name).b(l.act.norm).c(to).m(Opd(0, reg::NTOK));
        let d = d.x(l.act.norm_x).aux(rows).makes(&[tensor]);
        self.b.push(d.wait_if(first, sem::V2M).signal(sem::M2V));
        self.b.signal_tokens();
        Ok(())
    }

    /// Hadamard transform of all heads at `at`, `n` elements, in place.
    fn hadamard(&mut self, at: usize, n: u8, shift: u8, name: &str, tensors: &[Tensor]) {
        let s = &self.layout.shape;
        let d = self.b.draft(Op::HADW, name).a(at).c(at).n(Opd(0, n));
        self.b.push(d);
        let mut distance = s.vec;
        while distance < s.hdp {
            let last = 2 * distance == s.hdp;
            let d = self.b.draft(Op::HADX, name).a(at).c(at).n(Opd(0, n)).k(distance);
            let d = if last { d.sh(shift).flag(FLAG_FINAL, true).makes(tensors) } else { d };
            self.b.push(d);
            distance *= 2;
        }
    }

    /// Rotates, quantizes and appends the keys of the block.
    pub(super) fn keys(&mut self) {
        let l = self.layout;
        let s = &l.shape;
        let heads = s.dims.kv_heads;
        let [t0, t1, _] = reg::T;
        self.b.tokens(&[(t0, s.k_rows()), (t1, s.rope_row())], |b| {
            let d = b.draft(Op::ROPE, "k_rope").a(Opd(l.vmem.k, t0)).b(Opd(l.vmem.rope, t1));
            b.push(d.c(Opd(l.vmem.k_rot, t0)).n(heads).wait(sem::M2V));
        });
        self.hadamard(l.vmem.k_rot, reg::KROT, self.consts().rot_shift_k, "k_rotate", &[Tensor::KRot]);
        let cache = self.by_layer(l.kv.k_at(self.run.first, 0), reg::KV);
        self.b.tokens_last(&[(t0, s.k_rows()), (reg::P, 1), (reg::R, 1)], |b, last| {
            let at = Opd(l.vmem.k_rot, t0);
            let d = b.draft(Op::STATK, "k_scale").a(at).c(l.scalars.k).n(heads);
            b.push(d.makes(&[Tensor::KScale, Tensor::KBase]));
            let d = b.draft(Op::QK, "k_append").a(at).b(Opd(0, reg::R)).c(cache).n(heads);
            let d = d.m(Opd(0, reg::P)).k(l.kv.k_head).aux(l.scalars.k).makes(&[Tensor::KCodes]);
            b.push(d.signal_if(last, sem::KEYS));
        });
    }

    /// Quantizes and appends the values of the block.
    pub(super) fn values(&mut self) {
        let l = self.layout;
        let s = &l.shape;
        let [t0, ..] = reg::T;
        let cache = self.by_layer(l.kv.v_at(self.run.first, 0), reg::KV);
        let shift = self.consts().v_shift;
        self.b.tokens_last(&[(t0, s.v_rows()), (reg::P, 1), (reg::R, 1)], |b, last| {
            let d = b.draft(Op::QV, "v_append").a(Opd(l.vmem.v, t0)).b(Opd(0, reg::R)).c(cache);
            let d = d.n(s.dims.kv_heads).m(Opd(0, reg::P)).k(l.kv.v_head).sh(shift).aux(l.kv.v_blocks);
            let d = d.makes(&[Tensor::VCodes]).wait(sem::M2V);
            b.push(d.signal_if(last, sem::VALUES));
        });
    }

    /// Rotates and quantizes the queries, for the window and for the sinks; signals once per token.
    pub(super) fn queries(&mut self) {
        let l = self.layout;
        let s = &l.shape;
        let heads = s.dims.heads;
        let sinks = s.lambda.n_sink > 0;
        let [t0, t1, t2] = reg::T;
        self.b.tokens(&[(t0, s.q_rows()), (t1, s.rope_row()), (t2, s.q_rot_row())], |b| {
            let rope = |b: &Builder, table: usize, to: usize| {
                let d = b.draft(Op::ROPE, "q_rope").a(Opd(l.vmem.q, t0)).b(Opd(table, t1));
                d.c(Opd(to, t2)).n(heads)
            };
            let d = rope(b, l.vmem.rope, l.vmem.q_rot).wait(sem::M2V);
            b.push(d);
            if sinks {
                let d = rope(b, l.vmem.rope + s.hdp, l.vmem.q_rot + s.q_rows());
                b.push(d);
            }
        });
        let both = [Tensor::QWin, Tensor::QSink];
        let made = &both[..if sinks { 2 } else { 1 }];
        self.hadamard(l.vmem.q_rot, reg::QROT, self.consts().rot_shift_q, "q_rotate", made);
        self.b.tokens(&[(t0, 1), (t2, s.q_rot_row())], |b| {
            let mut codes = |from: usize, scalars: usize, act: usize, made: [Tensor; 3], last: bool| {
                let at = Opd(from, t2);
                let d = b.draft(Op::STATQ, "q_scale").a(at).c(scalars).n(heads).m(Opd(0, t0));
                b.push(d.k(l.scalars.q_stride).makes(&made[..1]));
                let d = b.draft(Op::QQ, "q_codes").a(at).b(scalars).c(act).n(heads).m(Opd(0, t0));
                let d = d.k(l.scalars.q_stride).x(l.act.q_x).makes(&made[1..]);
                b.push(d.signal_if(last, sem::V2M));
            };
            let window = [Tensor::QScaleWin, Tensor::Q8Win, Tensor::QSumWin];
            codes(l.vmem.q_rot, l.scalars.q_win, l.act.q_win, window, !sinks);
            if sinks {
                let sink = [Tensor::QScaleSink, Tensor::Q8Sink, Tensor::QSumSink];
                codes(l.vmem.q_rot + s.q_rows(), l.scalars.q_sink, l.act.q_sink, sink, true);
            }
        });
    }
}
