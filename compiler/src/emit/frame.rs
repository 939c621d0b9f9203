//! Before and after the layers: constants, embedding, norms, head.

use super::Emitter;
use super::builder::{Opd, sem};
use crate::label::Tensor;
use crate::lambda::reg;
use crate::layout::Chunk;
use crate::spec::Norm;
use accllm_hw::isa::{FLAG_FIRST, FLAG_I32, Op};

impl Emitter<'_> {
    /// Constants, IO block, first norm constants, embedding.
    pub(super) fn start(&mut self) {
        let l = self.layout;
        let s = &l.shape;
        for (i, v) in l.constants().into_iter().enumerate() {
            let d = self.b.draft(Op::SETC, "control").a(v).x(i);
            self.b.push(d);
        }
        for (to, from) in [(reg::P, reg::POS), (reg::R, reg::RING)] {
            self.b.set(to, Opd(0, from));
        }
        let ids = self.b.draft(Op::LOAD, "load_ids").a(l.aux.ids).c(l.vmem.ids);
        self.b.push(ids.n(s.block.next_multiple_of(32)).flag(FLAG_I32, true));
        let rope = self.b.draft(Op::LOAD, "load_rope").a(l.aux.rope).c(l.vmem.rope).n(Opd(0, reg::ROPE));
        self.b.push(rope);
        let g = self.b.draft(Op::LOAD, "load_norm").a(l.aux.norms).c(l.vmem.g).n(2 * s.hidden);
        self.b.push(g);
        let [t0, t1, _] = reg::T;
        self.b.tokens(&[(t0, 1), (t1, s.hidden)], |b| {
            let d = b.draft(Op::EMBED, "embed").a(l.aux.embed).b(Opd(l.vmem.ids, t0));
            let d = d.c(Opd(l.vmem.resid, t1)).n(s.hidden).k(l.aux.embed_row).aux(s.dims.vocab);
            b.push(d.sh(self.spec.embed_shift).makes(&[Tensor::Embed]));
        });
    }

    /// RMSNorm of all tokens with the constants at `g`; signals once per token.
    pub(super) fn norm(&mut self, g: usize, norm: Norm, name: &str, tensor: Tensor) {
        let l = self.layout;
        let s = &l.shape;
        let [t0, t1, _] = reg::T;
        self.b.tokens(&[(t0, s.hidden), (t1, 1)], |b| {
            let at = Opd(l.vmem.resid, t0);
            let sum = b.draft(Op::SUMSQ, name).a(at).c(l.scalars.norm).n(s.hidden).aux(norm.eps as usize);
            b.push(sum);
            let d = b.draft(Op::NORMQ, name).a(at).b(g).c(l.act.norm).n(s.hidden).m(Opd(0, t1));
            let d = d.sh(norm.gs).x(l.act.norm_x).aux(l.scalars.norm).makes(&[tensor]);
            b.push(d.signal(sem::V2M));
        });
    }

    /// `resid += delta` for all tokens, once the matrix unit has made delta.
    pub(super) fn residual(&mut self, name: &str, tensor: Tensor) {
        let v = &self.layout.vmem;
        let d = self.b.draft(Op::RADD, name).a(v.resid).b(v.delta).c(v.resid).n(Opd(0, reg::HIDDEN));
        self.b.push(d.wait(sem::M2V).makes(&[tensor]));
    }

    /// Final norm and head of the last token, skipped where the host does not want them.
    pub(super) fn head(&mut self) {
        let l = self.layout;
        let s = &l.shape;
        self.b.open(Opd(0, reg::HEAD));
        let norm = self.spec.final_norm;
        let at = Opd(l.vmem.resid, reg::LASTROW);
        let sum = self.b.draft(Op::SUMSQ, "final_norm").a(at).c(l.scalars.norm).n(s.hidden);
        self.b.push(sum.aux(norm.eps as usize));
        let d = self.b.draft(Op::NORMQ, "final_norm").a(at).b(l.vmem.g).c(l.act.norm).n(s.hidden);
        let d = d.sh(norm.gs).x(l.act.norm_x).aux(l.scalars.norm).makes(&[Tensor::HeadIn]);
        self.b.push(d.signal(sem::V2M));
        let streams = &l.weights.head;
        let buffers = l.vmem.logits.len();
        for (i, stream) in streams.iter().enumerate() {
            let Chunk { first, rows } = stream.chunk;
            let buffer = l.vmem.logits[i % buffers];
            let d = self.matw(stream, "head").b(l.act.norm).c(buffer).m(1).x(l.act.norm_x).aux(rows);
            // The first waits for the norm, later ones for the store that read their buffer.
            let d = d.wait_if(i == 0 || i >= buffers, sem::V2M).signal(sem::M2V);
            self.b.push(d.makes(&[Tensor::Logits]).part(first, rows));
            let best =
                self.b.draft(Op::ARGMAX, "argmax").a(buffer).n(rows.min(s.dims.vocab - first)).aux(first);
            let last = i + 1 == streams.len();
            let best = best.flag(FLAG_FIRST, i == 0).wait(sem::M2V);
            self.b.push(best.makes(if last { &[Tensor::Argmax] } else { &[] }));
            let store = self.b.draft(Op::STORE, "store_logits").a(buffer).n(rows);
            let store = store.c(l.aux.logits + first / crate::layout::AUX_I32);
            self.b.push(store.signal_if(i + buffers < streams.len(), sem::V2M));
        }
        self.b.close();
    }
}
