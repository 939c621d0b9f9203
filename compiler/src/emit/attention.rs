//! Attention: scores, softmax, weighted sums, output projection.

use super::Emitter;
use super::builder::{At, Opd, Sync, sem};
use crate::abi::reg;
use crate::error::Result;
use crate::label::Span;
use accllm_hw::isa::{FLAG_WIDE, Op};
use accllm_hw::sizes::Linear;
use accllm_hw::tensor::Tensor;

/// A KV head of a sequence.
struct Head {
    sequence: usize,
    h: usize,
    /// Set of score rows, probabilities and sums.
    set: usize,
    /// First lane row of the sequence in the buffers that hold the queries of all.
    row: usize,
}

impl Emitter<'_> {
    /// KV heads of the step: in a batch those of each sequence.
    fn head_count(&self) -> usize {
        let s = &self.layout.shape;
        s.sizes.kv_heads * if self.b.span == Span::Batch { s.sequences } else { 1 }
    }

    /// KV head number `i` of the step, which the instructions that follow are for.
    fn part(&mut self, i: usize) -> Head {
        let s = &self.layout.shape;
        let (sequence, h) = (i / s.sizes.kv_heads, i % s.sizes.kv_heads);
        self.b.sequence = (self.b.span == Span::Batch).then_some(sequence);
        Head {
            sequence,
            h,
            set: self.layout.sets(self.b.span).of(i),
            row: sequence * s.row_stride() * s.group,
        }
    }

    /// All KV heads. With two sets of score rows the tiles score a head while the vector unit does the softmax of
    /// the one before: matrix K0 K1 V0 K2 V1 K3 V2 .., vector S0 S1 A0 S2 A1 S3 A2 ..; with one set K0 V0 K1 V1 .., S0 A0 S1 A1 ..
    ///
    /// `down`: the group of tokens whose down_proj fills the tiles' waiting times, in pieces between the heads.
    pub(super) fn heads(&mut self, at: At, down: Option<At>) -> Result<()> {
        self.enter(at);
        let heads = self.head_count();
        let ahead = self.layout.sets(at.span).count;
        let pieces = self.layout.weights.pieces(self.layer.first, Linear::Down);
        let mut piece = 0;
        for h in 0..ahead.min(heads) {
            self.scores(h);
        }
        self.softmax(0);
        for h in 0..heads {
            self.weighted_sum(h);
            if h + ahead < heads {
                self.scores(h + ahead);
            }
            if let Some(other) = down {
                while piece * heads < (h + 1) * pieces {
                    self.down(other, piece)?;
                    piece += 1;
                }
                self.enter(at);
            }
            if ahead > 1 && h + 1 < heads {
                self.softmax(h + 1);
            }
            self.attention_out(h);
            if ahead == 1 && h + 1 < heads {
                self.softmax(h + 1);
            }
        }
        self.b.sequence = None;
        Ok(())
    }

    /// MATW of attention's output to delta.
    pub(super) fn output(&mut self, at: At) -> Result<()> {
        self.enter(at);
        let l = self.layout;
        let d = self.matw(self.stream(Linear::O, 0)?, "o_proj").b(l.act.attn).c(self.delta());
        let d = d
            .m(self.b.count())
            .x(l.act.attn_x)
            .aux(l.shape.hidden)
            .makes(&self.made(Linear::O, Tensor::AttnOut));
        self.b.push(d.wait(sem::V2M).signal(sem::M2V));
        Ok(())
    }

    /// MATK over window and sinks.
    fn scores(&mut self, i: usize) {
        let l = self.layout;
        let s = &l.shape;
        let Head { sequence, h, set, row: first } = self.part(i);
        let row = set * l.sets(self.b.span).steps * l.score.row;
        let sinks = s.lambda.n_sink > 0;
        let at = l.kv.k_at(self.layer.first, h) + sequence * l.kv.seq;
        let (scalars, words) = (h * l.scalars.q_stride + first, h * l.act.q_x + first / s.lanes);
        let rows = self.b.rows(s.group);
        let d = self.b.draft(Op::MATK, "score").a(self.by_layer(at + l.kv.k_window, reg::KV));
        let d = d.b(l.act.q_win + words).c(row + s.sink_pad).n(Opd(0, reg::KSTEPS)).m(rows);
        let d = d.aux(l.scalars.q_win + scalars).head(h);
        let first_of_part = sequence == 0 && h % (s.sizes.kv_heads / s.q_parts) == 0;
        let d = d.prefetch_wait_if(i == 0, sem::KEYS).wait_if(first_of_part, sem::QUERIES);
        self.b.push(if sinks { d } else { d.signal(sem::M2V).makes(&[Tensor::Score]) });
        if sinks {
            let d = self.b.draft(Op::MATK, "score").a(self.by_layer(at, reg::KV));
            let d = d.b(l.act.q_sink + words).c(row).n(s.lambda.n_sink.div_ceil(s.k_slots)).m(rows);
            let d = d.aux(l.scalars.q_sink + scalars).head(h).makes(&[Tensor::Score]);
            self.b.push(d.signal(sem::M2V));
        }
    }

    /// Softmax of a KV head's rows.
    fn softmax(&mut self, i: usize) {
        let l = self.layout;
        let s = &l.shape;
        let c = self.consts();
        let Head { h, set, row, .. } = self.part(i);
        let first = set * l.sets(self.b.span).rows;
        let scalar = |base: usize| base + h * l.scalars.q_stride + row - first;
        let scalars = scalar(l.scalars.q_win) | scalar(l.scalars.q_sink) << 16;
        let prob = l.act.prob;
        let [t0, ..] = reg::T;
        let sync = Sync { wait: sem::M2V, signal: sem::V2M };
        self.b.tokens(sync, &[(t0, s.group), (reg::P, 1), (reg::R, 1)], |b| {
            let d = b.draft(Op::SOFTMAX, "softmax").a(b.position()).b(b.ring()).c(prob);
            let d = d.n(Opd(0, reg::WSLOTS)).m(Opd(first, t0)).k(c.zm.into()).sh(c.zs);
            let d = d.x(l.act.prob_x).aux(scalars).flag(FLAG_WIDE, s.prob_wide);
            b.push(d.head(h).makes(&[Tensor::Prob, Tensor::ProbSum]));
        });
    }

    /// MATV of a KV head.
    fn weighted_sum(&mut self, i: usize) {
        let l = self.layout;
        let Head { sequence, h, set, .. } = self.part(i);
        let sets = l.sets(self.b.span);
        let at = self.by_layer(l.kv.v_at(self.layer.first, h) + sequence * l.kv.seq, reg::KV);
        let d = self.b.draft(Op::MATV, "attn").a(at).b(l.act.prob + set * sets.prob);
        let d = d.c(l.vmem.att + set * sets.att).n(Opd(0, reg::VBLOCKS)).m(self.b.rows(l.shape.group));
        let d = d.k(l.kv.v_blocks).sh(l.kv.v_steps as u8).x(l.act.prob_x).aux(l.vmem.att_row);
        let d = d.flag(FLAG_WIDE, l.shape.prob_wide).head(h).makes(&[Tensor::AttnAcc]);
        let d = d.prefetch_wait_if(i == 0, sem::VALUES).wait(sem::V2M);
        self.b.push(d.signal(sem::M2V));
    }

    /// Attention output of a KV head to o_proj's input; signals for the last head.
    fn attention_out(&mut self, i: usize) {
        let l = self.layout;
        let s = &l.shape;
        let c = self.consts();
        let Head { sequence, h, set, row } = self.part(i);
        let sums = l.vmem.att + set * l.sets(self.b.span).att;
        let scalars = l.scalars.q_win + h * l.scalars.q_stride + row;
        let last = i + 1 == self.head_count();
        let [t0, t1, t2, ..] = reg::T;
        let sync = Sync { wait: sem::M2V, signal: if last { sem::V2M } else { 0 } };
        // A row for each token needs no register of its own.
        let (t2, n) = if s.group == 1 { (t1, 2) } else { (t2, 3) };
        let strides = [(t0, s.group * l.vmem.att_row), (t1, 1), (t2, s.group)];
        self.b.tokens(sync, &strides[..n], |b| {
            let d = b.draft(Op::ATTQ, "attn_out").a(Opd(sums, t0)).b(Opd(scalars, t2)).c(l.act.attn);
            let d = d.n(s.hds.min(s.v_dim)).m(Opd(sequence, t1)).k(c.og.into()).sh(c.os).x(l.act.attn_x);
            b.push(d.aux(h * s.group * s.hds).head(h).makes(&[Tensor::AttnO8]));
        });
    }
}
