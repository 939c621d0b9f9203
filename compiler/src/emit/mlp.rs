//! The MLP half of a layer: gate, up, silu, down, with gate and up in chunks.

use super::Emitter;
use super::builder::{At, Opd, Sync, sem};
use crate::abi::reg;
use crate::error::Result;
use accllm_hw::isa::Op;
use accllm_hw::sizes::Linear;
use accllm_hw::tensor::Tensor;

impl Emitter<'_> {
    /// Chunks of gate and up that need not wait for the buffer of an earlier one.
    fn free_chunks(&self) -> usize {
        let v = &self.layout.vmem;
        if v.ff_whole { v.ff.len() } else { v.ff.len().min(2) }
    }

    /// MATW of the first chunks, once the norm is there.
    pub(super) fn gate_up(&mut self, at: At) -> Result<()> {
        self.enter(at);
        (0..self.free_chunks()).try_for_each(|i| self.chunk(i, i == 0))
    }

    /// silu(gate) * up, and the other chunks of gate and up.
    pub(super) fn activate(&mut self, at: At) -> Result<()> {
        self.enter(at);
        let free = self.free_chunks();
        for i in 0..self.layout.vmem.ff.len() {
            self.silu(i);
            if i + free < self.layout.vmem.ff.len() {
                self.chunk(i + free, true)?;
            }
        }
        Ok(())
    }

    /// All pieces of down_proj, one after the other.
    pub(super) fn whole_down(&mut self, at: At) -> Result<()> {
        (0..self.layout.weights.pieces(at.layer.first, Linear::Down))
            .try_for_each(|piece| self.down(at, piece))
    }

    /// MATW of a piece of down_proj to delta. The first waits for the last silus, the last one signals.
    pub(super) fn down(&mut self, at: At, piece: usize) -> Result<()> {
        self.enter(at);
        let l = self.layout;
        if piece == 0 {
            (1..self.free_chunks()).for_each(|_| self.b.wait_once(sem::MLP_V2M));
        }
        let last = piece + 1 == l.weights.pieces(self.layer.first, Linear::Down);
        let stream = self.stream(Linear::Down, piece)?;
        let d = self.matw(stream, "down_proj").b(l.act.h).c(self.delta() + stream.chunk.first);
        let d = d.m(self.b.count()).x(l.act.h_x).aux(l.shape.hidden);
        let d = d.makes(&self.made(Linear::Down, Tensor::MlpOut)).part(stream.chunk.first, stream.chunk.rows);
        self.b.push(d.wait_if(piece == 0, sem::MLP_V2M).signal_if(last, sem::MLP_M2V));
        Ok(())
    }

    /// MATW of a chunk of gate and up.
    fn chunk(&mut self, i: usize, wait: bool) -> Result<()> {
        let v = &self.layout.vmem;
        let chunk = v.ff[i];
        let parts = [
            (Linear::Gate, v.gate[i], Tensor::Gate, "gate_proj"),
            (Linear::Up, v.up[i], Tensor::Up, "up_proj"),
        ];
        for (linear, to, tensor, name) in parts {
            let up = linear == Linear::Up;
            let d = self.matw(self.stream(linear, i)?, name).b(self.norm_words()).c(to).m(self.b.count());
            let made = self.made(linear, tensor);
            let d = d.x(self.layout.act.norm_x).aux(v.ff_row).makes(&made).part(chunk.first, chunk.rows);
            self.b.push(d.wait_if(wait && !up, sem::MLP_V2M).signal_if(up, sem::MLP_M2V));
        }
        Ok(())
    }

    /// silu(gate) * up of a chunk.
    fn silu(&mut self, i: usize) {
        let l = self.layout;
        let v = &l.vmem;
        let chunk = v.ff[i];
        let hs = self.consts().hs;
        let [t0, t1, ..] = reg::T;
        let gate = (self.load_bias(Linear::Gate, chunk), v.gate[i], Tensor::Gate);
        let up = (self.load_bias(Linear::Up, chunk), v.up[i], Tensor::Up);
        let sync = Sync { wait: sem::MLP_M2V, signal: sem::MLP_V2M };
        self.b.tokens(sync, &[(t0, v.ff_row), (t1, 1)], |b| {
            for (bias, at, tensor) in [gate, up] {
                bias.into_iter().for_each(|bias| bias.add(b, Opd(at, t0), chunk, tensor));
            }
            let d = b.draft(Op::SILU, "silu").a(Opd(v.gate[i], t0)).b(Opd(v.up[i], t0));
            let d = d.c(l.act.h).n(chunk.rows).m(Opd(0, t1)).sh(hs).x(l.act.h_x).aux(chunk.first);
            b.push(d.makes(&[Tensor::MlpH]).part(chunk.first, chunk.rows));
        });
    }
}
