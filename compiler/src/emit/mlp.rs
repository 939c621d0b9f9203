//! The MLP half of a layer.

use super::Emitter;
use super::builder::{Opd, sem};
use crate::error::Result;
use crate::label::Tensor;
use crate::lambda::reg;
use crate::spec::Linear;
use accllm_hw::isa::{FLAG_WIDE, Op};

impl Emitter<'_> {
    /// Norm, gate, up, silu, down, with gate and up in chunks.
    pub(super) fn mlp(&mut self) -> Result<()> {
        let l = self.layout;
        let s = &l.shape;
        self.norm(l.vmem.g + s.hidden, self.consts().mlp_norm, "mlp_norm", Tensor::MlpIn);
        self.b.wait_tokens();
        let chunks = &l.vmem.ff;
        // Chunks that need not wait for the buffer of an earlier one.
        let free = if l.vmem.ff_whole { chunks.len() } else { chunks.len().min(2) };
        for i in 0..free {
            self.gate_up(i, i == 0)?;
        }
        // The vector unit's constants for the next layer (after the last one: of the final norm).
        let next = l.aux.norms + (self.run.first + 1) * l.aux.norm_pair;
        let d = self.b.draft(Op::LOAD, "load_norm").a(self.by_layer(next, reg::NORM)).c(l.vmem.g);
        self.b.push(d.n(2 * s.hidden));
        for i in 0..chunks.len() {
            self.silu(i);
            if i + free < chunks.len() {
                self.b.wait_tokens();
                self.gate_up(i + free, true)?;
            }
        }
        // Tokens of the chunks that no later chunk has waited for.
        for i in 0..free {
            if i > 0 {
                self.b.wait_once();
            }
            self.b.wait_tokens();
        }
        let wide = s.h_wide;
        let d = self.matw(self.stream(Linear::Down, 0)?, "down_proj").b(l.act.h).c(l.vmem.delta);
        let d = d.m(Opd(0, reg::NTOK)).x(l.act.h_x).aux(s.hidden).flag(FLAG_WIDE, wide);
        self.b.push(d.makes(&[Tensor::MlpOut]).wait(sem::V2M).signal(sem::M2V));
        self.residual("mlp_residual", Tensor::Resid);
        Ok(())
    }

    /// MATW of a chunk of gate and up; signals once per token.
    fn gate_up(&mut self, i: usize, wait: bool) -> Result<()> {
        let v = &self.layout.vmem;
        let act = &self.layout.act;
        let chunk = v.ff[i];
        let parts = [
            (Linear::Gate, v.gate[i], Tensor::Gate, "gate_proj"),
            (Linear::Up, v.up[i], Tensor::Up, "up_proj"),
        ];
        for (linear, to, tensor, name) in parts {
            let up = linear == Linear::Up;
            let d = self.matw(self.stream(linear, i)?, name).b(act.norm).c(to).m(Opd(0, reg::NTOK));
            let d = d.x(act.norm_x).aux(v.ff_row).makes(&[tensor]).part(chunk.first, chunk.rows);
            self.b.push(d.wait_if(wait && !up, sem::V2M).signal_if(up, sem::M2V));
        }
        self.b.signal_tokens();
        Ok(())
    }

    /// silu(gate) * up of a chunk; waits and signals once per token.
    fn silu(&mut self, i: usize) {
        let l = self.layout;
        let v = &l.vmem;
        let chunk = v.ff[i];
        let hs = self.consts().hs;
        let [t0, t1, _] = reg::T;
        self.b.tokens(&[(t0, v.ff_row), (t1, 1)], |b| {
            let d = b.draft(Op::SILU, "silu").a(Opd(v.gate[i], t0)).b(Opd(v.up[i], t0));
            let d = d.c(l.act.h).n(chunk.rows).m(Opd(0, t1)).sh(hs).x(l.act.h_x).aux(chunk.first);
            let d = d.flag(FLAG_WIDE, l.shape.h_wide).makes(&[Tensor::MlpH]).part(chunk.first, chunk.rows);
            b.push(d.wait(sem::M2V).signal(sem::V2M));
        });
    }
}
