//! The KV cache of one layer: sink slots, then a ring of window slots. Codes lie as the kernels read them.

use super::kernel::KEYS;
use crate::model::{HeadCache, LambdaShape};
use accllm_hw::sizes::Sizes;
use std::ops::Range;

/// Codes, steps and bases of one layer.
pub(super) struct Cache {
    sinks: usize,
    ring: usize,
    /// Slots of a head, a multiple of [`KEYS`].
    slots: usize,
    /// Width of a key (hdp) and of a value (hd).
    widths: (usize, usize),
    /// `[kv_head, slot / KEYS, hdp / 4, KEYS, 4]`: codes + 8.
    k: Vec<u8>,
    /// `[kv_head, slot]`: steps, and bases.
    k_meta: (Vec<i32>, Vec<i32>),
    /// `[kv_head, slot / 2, value_stride, 2]`.
    v: Vec<i8>,
}

impl Cache {
    /// Room for the sinks and for a window under which a block of `block` tokens is appended at once.
    pub fn new(sizes: &Sizes, lambda: LambdaShape, block: usize) -> Self {
        let ring = lambda.n_window + block - 1;
        let slots = (lambda.n_sink + ring).next_multiple_of(KEYS);
        let widths = (sizes.padded_head(), sizes.head_dim);
        let rows = slots * sizes.kv_heads;
        Self {
            sinks: lambda.n_sink,
            ring,
            slots,
            widths,
            k: vec![8; rows * widths.0],
            k_meta: (vec![1; rows], vec![0; rows]),
            v: vec![0; rows * widths.1.next_multiple_of(16)],
        }
    }

    /// Bytes of codes, steps and bases.
    pub fn bytes(&self) -> usize {
        self.k.len() + self.v.len() + 4 * (self.k_meta.0.len() + self.k_meta.1.len())
    }

    /// Slot of position `p`.
    fn slot(&self, p: u64) -> usize {
        match p < self.sinks as u64 {
            true => p as usize,
            false => self.sinks + ((p - self.sinks as u64) % self.ring as u64) as usize,
        }
    }

    /// Slots that a query at `p` sees, in the order of their positions; the first range is the sinks.
    pub fn visible(&self, lambda: LambdaShape, p: u64) -> [Range<usize>; 3] {
        let sinks = (self.sinks as u64).min(p + 1);
        let start = lambda.window_start(p).max(sinks);
        if start > p {
            return [0..sinks as usize, 0..0, 0..0];
        }
        let (a, b) = (self.slot(start), self.slot(p) + 1);
        match a < b {
            true => [0..sinks as usize, a..b, 0..0],
            false => [0..sinks as usize, a..self.sinks + self.ring, self.sinks..b],
        }
    }

    /// Keys of a head, blocks of [`KEYS`] slots.
    pub fn keys(&self, head: usize, blocks: Range<usize>) -> &[u8] {
        let block = KEYS * self.widths.0;
        &self.k[head * self.slots * self.widths.0..][blocks.start * block..blocks.end * block]
    }

    /// Steps and bases of a head's slots.
    pub fn meta(&self, head: usize, slots: Range<usize>) -> (&[i32], &[i32]) {
        let at = head * self.slots + slots.start..head * self.slots + slots.end;
        (&self.k_meta.0[at.clone()], &self.k_meta.1[at])
    }

    /// Values of a head, pairs of slots, `[pairs, value_stride, 2]`.
    pub fn values(&self, head: usize, pairs: Range<usize>) -> &[i8] {
        let pair = 2 * self.value_stride();
        &self.v[head * self.slots * self.value_stride()..][pairs.start * pair..pairs.end * pair]
    }

    /// Width of a value in the cache, a multiple of 16.
    pub fn value_stride(&self) -> usize {
        self.widths.1.next_multiple_of(16)
    }

    /// Width of a value.
    pub fn value_width(&self) -> usize {
        self.widths.1
    }

    /// Where element `d` of a slot's key is.
    fn key_at(&self, head: usize, slot: usize, d: usize) -> usize {
        (head * self.slots + slot / KEYS * KEYS) * self.widths.0 + (d / 4 * KEYS + slot % KEYS) * 4 + d % 4
    }

    /// Where element `d` of a slot's value is.
    fn value_at(&self, head: usize, slot: usize, d: usize) -> usize {
        (head * self.slots + slot / 2 * 2) * self.value_stride() + d * 2 + slot % 2
    }

    /// Stores a key's codes `[hdp]`, step and base.
    pub fn put_key(&mut self, p: u64, head: usize, codes: &[i8], scale: u16, base: i16) {
        let slot = self.slot(p);
        for (i, quad) in codes.chunks_exact(4).enumerate() {
            let at = self.key_at(head, slot, 4 * i);
            for (k, code) in self.k[at..at + 4].iter_mut().zip(quad) {
                *k = (code + 8) as u8;
            }
        }
        let at = head * self.slots + slot;
        (self.k_meta.0[at], self.k_meta.1[at]) = (scale.into(), base.into());
    }

    /// Stores a value's codes `[hd]`.
    pub fn put_value(&mut self, p: u64, head: usize, codes: &[i8]) {
        let at = self.value_at(head, self.slot(p), 0);
        for (v, code) in self.v[at..].iter_mut().step_by(2).zip(codes) {
            *v = *code;
        }
    }

    /// Copies the entries of some positions.
    pub fn head(&self, positions: impl Iterator<Item = u64>, head: usize) -> HeadCache {
        let mut out = HeadCache::default();
        for p in positions {
            let slot = self.slot(p);
            out.k.extend((0..self.widths.0).map(|d| self.k[self.key_at(head, slot, d)] as i8 - 8));
            out.v.extend((0..self.widths.1).map(|d| self.v[self.value_at(head, slot, d)]));
            let at = head * self.slots + slot;
            out.k_meta.push((self.k_meta.0[at] as u16, self.k_meta.1[at] as i16));
        }
        out
    }

    /// Puts entries back in the places of their positions.
    pub fn put_head(&mut self, positions: impl Iterator<Item = u64>, head: usize, from: &HeadCache) {
        let keys = from.k.chunks_exact(self.widths.0).zip(&from.k_meta);
        for (p, ((k, (scale, base)), v)) in positions.zip(keys.zip(from.v.chunks_exact(self.widths.1))) {
            self.put_key(p, head, k, *scale, *base);
            self.put_value(p, head, v);
        }
    }

    /// Slots of the window.
    pub fn ring(&self) -> u64 {
        self.ring as u64
    }
}
