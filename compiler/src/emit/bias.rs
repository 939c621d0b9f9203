//! Biases: loaded before the outputs of a linear are there, and added by the vector unit.

use super::Emitter;
use super::builder::{Builder, Opd};
use crate::abi::reg;
use crate::layout::{AUX_I32, Chunk, Shape};
use accllm_hw::config::GROUP;
use accllm_hw::isa::{FLAG_I32, Op};
use accllm_hw::sizes::Linear;
use accllm_hw::tensor::Tensor;

/// A bias in vector memory.
#[derive(Clone, Copy)]
pub(super) struct Bias(usize);

impl Bias {
    /// Adds it to these rows of a linear's outputs, which are at `to`; completes `tensor`.
    pub fn add(self, b: &mut Builder, to: Opd, part: Chunk, tensor: Tensor) {
        let d = b.draft(Op::RADD, "bias").a(to).b(self.0 + part.first).c(to).n(part.rows);
        b.push(d.makes(&[tensor]).part(part.first, part.rows));
    }
}

impl Emitter<'_> {
    /// What a linear's MATW completes: its tensor, unless a bias is still to come.
    pub(super) fn made(&self, linear: Linear, tensor: Tensor) -> Vec<Tensor> {
        if self.layout.shape.has_bias(linear) { Vec::new() } else { vec![tensor] }
    }

    /// Loads the biases of q, k and v.
    pub(super) fn load_biases(&mut self) {
        for linear in [Linear::Q, Linear::K, Linear::V] {
            let rows = self.layout.shape.bias_rows(linear);
            self.load_bias(linear, Chunk { first: 0, rows });
        }
    }

    /// Loads these rows of a linear's bias, where it has one.
    pub(super) fn load_bias(&mut self, linear: Linear, part: Chunk) -> Option<Bias> {
        let l = self.layout;
        let bias = self.bias(linear)?;
        let record = l.aux.norms + self.layer.first * l.aux.norm_pair + l.aux.biases;
        let from = record + (l.shape.biases_before(linear) + part.first) / AUX_I32;
        let d = self.b.draft(Op::LOAD, "load_bias").a(self.by_layer(from, reg::NORM)).c(bias.0 + part.first);
        self.b.push(d.n(part.rows.next_multiple_of(GROUP)).flag(FLAG_I32, true));
        Some(bias)
    }

    /// Where a linear's bias is once it is loaded.
    pub(super) fn bias(&self, linear: Linear) -> Option<Bias> {
        let s = &self.layout.shape;
        s.has_bias(linear).then(|| Bias(self.layout.vmem.bias + place(s, linear)))
    }
}

/// Elements before a bias in vector memory: those of q, k and v are there together, and those of gate and up.
fn place(s: &Shape, linear: Linear) -> usize {
    let before: &[Linear] = match linear {
        Linear::K => &[Linear::Q],
        Linear::V => &[Linear::Q, Linear::K],
        Linear::Up => &[Linear::Gate],
        _ => &[],
    };
    before.iter().filter(|l| s.has_bias(**l)).map(|l| s.bias_rows(*l)).sum()
}
