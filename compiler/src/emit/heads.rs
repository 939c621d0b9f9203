//! Norms of query and key heads: head by head, in place.

use super::Emitter;
use super::builder::{Builder, Opd};
use crate::abi::reg;
use crate::spec::Norm;
use accllm_hw::isa::{FLAG_VMEM, Op};

/// A norm of heads.
#[derive(Clone, Copy)]
pub(super) struct HeadNorm {
    norm: Norm,
    /// Its gains in vector memory.
    gains: usize,
    /// The scalar that it uses.
    scalar: usize,
    /// Width of a head.
    hdp: usize,
}

impl HeadNorm {
    /// Normalizes `n` heads of a token, which begin at `at`.
    pub fn heads(self, b: &mut Builder, at: Opd, n: usize) {
        // A loop cannot wait for the matrix unit; an instruction of the vector unit can.
        b.push(b.draft(Op::RADD, "sync"));
        b.set(reg::H, Opd(0, at.1));
        b.open(n);
        let head = Opd(at.0, reg::H);
        let d = b.draft(Op::SUMSQ, "head_norm").a(head).c(self.scalar).n(self.hdp);
        b.push(d.aux(self.norm.eps as usize));
        let d = b.draft(Op::NORMQ, "head_norm").a(head).b(self.gains).c(head).n(self.hdp);
        b.push(d.sh(self.norm.gs).aux(self.scalar).flag(FLAG_VMEM, true));
        b.add(reg::H, self.hdp);
        b.close();
    }
}

impl Emitter<'_> {
    /// The norm of query heads (0) or key heads (1), where the model has them.
    pub(super) fn head_norm(&self, which: usize) -> Option<HeadNorm> {
        let (l, s) = (self.layout, &self.layout.shape);
        let norm = self.consts().head_norms?[which];
        let gains = l.vmem.g + 2 * s.hidden + s.lead_ids() + which * s.hdp;
        Some(HeadNorm { norm, gains, scalar: l.scalars.norm, hdp: s.hdp })
    }
}
