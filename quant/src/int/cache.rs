//! The KV cache of one layer: sink slots, then a ring of window slots.

use super::HeadCache;
use crate::model::{Arch, LambdaShape};
use accllm_hw::fixed::{k_code, k_step, v_code};
use accllm_hw::tables;

/// Codes, steps and bases of one layer.
pub(super) struct Cache {
    sinks: usize,
    ring: usize,
    kv_heads: usize,
    /// Width of a key (hdp) and of a value (hd).
    widths: (usize, usize),
    /// `[slot, kv_head, hdp]`.
    k: Vec<i8>,
    /// `[slot, kv_head]`: step and base.
    k_meta: Vec<(u16, i16)>,
    /// `[slot, kv_head, hd]`.
    v: Vec<i8>,
}

impl Cache {
    /// Room for the sinks and for a window under which a block of `block` tokens is appended at once.
    pub fn new(arch: &Arch, lambda: LambdaShape, block: usize) -> Self {
        let ring = lambda.n_window + block - 1;
        let rows = (lambda.n_sink + ring) * arch.kv_heads;
        let widths = (arch.padded_head(), arch.head_dim);
        Self {
            sinks: lambda.n_sink,
            ring,
            kv_heads: arch.kv_heads,
            widths,
            k: vec![0; rows * widths.0],
            k_meta: vec![(1, 0); rows],
            v: vec![0; rows * widths.1],
        }
    }

    /// Row of position `p` and KV head `head`.
    fn row(&self, p: u64, head: usize) -> usize {
        let slot = match p < self.sinks as u64 {
            true => p as usize,
            false => self.sinks + ((p - self.sinks as u64) % self.ring as u64) as usize,
        };
        slot * self.kv_heads + head
    }

    /// Quantizes and stores a rotated key `[hdp]`; returns its step and base.
    pub fn put_key(&mut self, p: u64, head: usize, rot: &[i32]) -> (u16, i16) {
        let (scale, base) = k_step(rot);
        let inverse = tables::recip(u32::from(scale));
        let row = self.row(p, head);
        for (code, v) in self.k[row * self.widths.0..].iter_mut().zip(rot) {
            *code = k_code(*v, base, inverse);
        }
        self.k_meta[row] = (scale, base);
        (scale, base)
    }

    /// Quantizes and stores a value `[hd]`.
    pub fn put_value(&mut self, p: u64, head: usize, v: &[i32], shift: u32) {
        let row = self.row(p, head);
        for (code, v) in self.v[row * self.widths.1..].iter_mut().zip(v) {
            *code = v_code(*v, shift);
        }
    }

    /// Key codes, step and base.
    pub fn key(&self, p: u64, head: usize) -> (&[i8], u16, i16) {
        let row = self.row(p, head);
        let (scale, base) = self.k_meta[row];
        (&self.k[row * self.widths.0..][..self.widths.0], scale, base)
    }

    /// Copies the entries of some positions.
    pub fn head(&self, positions: impl Iterator<Item = u64>, head: usize) -> HeadCache {
        let mut out = HeadCache::default();
        for p in positions {
            let (codes, scale, base) = self.key(p, head);
            out.k.extend_from_slice(codes);
            out.k_meta.push((scale, base));
            out.v.extend_from_slice(self.value(p, head));
        }
        out
    }

    /// Puts entries back in the places of their positions.
    pub fn put_head(&mut self, positions: impl Iterator<Item = u64>, head: usize, from: &HeadCache) {
        let keys = from.k.chunks_exact(self.widths.0).zip(&from.k_meta);
        for (p, ((k, meta), v)) in positions.zip(keys.zip(from.v.chunks_exact(self.widths.1))) {
            let row = self.row(p, head);
            self.k[row * self.widths.0..][..self.widths.0].copy_from_slice(k);
            self.k_meta[row] = *meta;
            self.v[row * self.widths.1..][..self.widths.1].copy_from_slice(v);
        }
    }

    /// Slots of the window.
    pub fn ring(&self) -> u64 {
        self.ring as u64
    }

    /// Value codes.
    pub fn value(&self, p: u64, head: usize) -> &[i8] {
        let row = self.row(p, head);
        &self.v[row * self.widths.1..][..self.widths.1]
    }
}
