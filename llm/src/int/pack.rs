//! Weights in the order in which the kernels read them: half a byte a weight, beside the model's own levels.

use super::kernel::{GROUP_BYTES, ROWS, Simd, Weights};
use crate::model::{GROUP, QuantModel, Weight};
use rayon::prelude::*;

/// One linear layer, or several of the same input, row after row.
pub(super) struct Packed {
    /// Rows of all.
    pub rows: usize,
    /// Columns, padded to whole groups.
    pub width: usize,
    /// `[blocks, groups, GROUP_BYTES]`; see [`Weights::level`].
    level: Vec<u8>,
    /// `[blocks, groups, ROWS]`.
    scale: Vec<u8>,
    /// Offsets of pairs of groups, `[blocks, groups / 2, ROWS, 2]`, rounded up; empty where all are 0.
    offset: Vec<i8>,
    /// `[blocks]` multipliers and shifts.
    out: Vec<([u16; ROWS], [u8; ROWS])>,
}

impl Packed {
    /// Packs linears that have the same columns.
    pub fn new(linears: &[&Weight]) -> Self {
        let rows: usize = linears.iter().map(|w| w.grid.rows).sum();
        let width = linears.first().map_or(0, |w| w.grid.cols_padded());
        let (blocks, groups) = (rows.div_ceil(ROWS), width / GROUP);
        // Row `r` of all: its linear, and the row there.
        let find = |r: usize| {
            let mut first = 0;
            linears.iter().find_map(|w| {
                let at = r - first;
                first += w.grid.rows;
                (r < first).then_some((*w, at))
            })
        };
        // Level 0 is 8 in each nibble; rows of the padding have scale 0.
        let mut level = vec![0x88u8; blocks * groups * GROUP_BYTES];
        let mut scale = vec![0u8; blocks * groups * ROWS];
        let mut out = vec![([0u16; ROWS], [0u8; ROWS]); blocks];
        let mut offset = Vec::new();
        if linears.iter().any(|w| w.grid.offset.iter().any(|o| *o != 0)) {
            let padded = groups.next_multiple_of(2);
            offset = vec![0i8; blocks * padded * ROWS];
            for (r, (w, row)) in (0..rows).filter_map(|r| Some((r, find(r)?))) {
                for (g, o) in w.grid.offset.iter().skip(row * groups).take(groups).enumerate() {
                    offset[(r / ROWS * padded + g / 2 * 2) * ROWS + r % ROWS * 2 + g % 2] = *o;
                }
            }
        }
        let parts = level
            .par_chunks_exact_mut((groups * GROUP_BYTES).max(1))
            .zip(scale.par_chunks_exact_mut((groups * ROWS).max(1)))
            .zip(&mut out);
        parts.enumerate().for_each(|(block, ((level, scale), out))| {
            for i in 0..ROWS {
                let Some((w, r)) = find(block * ROWS + i) else { break };
                (out.0[i], out.1[i]) = (w.mult[r], w.shift[r]);
                for (g, s) in w.grid.scale[r * groups..][..groups].iter().enumerate() {
                    scale[g * ROWS + i] = *s;
                }
                for (eight, l) in w.grid.level[r * width..][..width].chunks_exact(8).enumerate() {
                    let (g, part) = (eight / 4, eight % 4);
                    let at = g * GROUP_BYTES + (i / 16 * 4 + part) * 64 + i % 16 * 4;
                    for (c, byte) in level[at..at + 4].iter_mut().enumerate() {
                        let nibble = |l: i8| (l + 8) as u8 & 15;
                        *byte = nibble(l[c]) | nibble(l[c + 4]) << 4;
                    }
                }
            }
        });
        Self { rows, width, level, scale, offset, out }
    }

    /// Blocks of [`ROWS`] rows.
    pub fn blocks(&self) -> usize {
        self.out.len()
    }

    /// Groups `from..to` of a block of rows.
    pub fn weights(&self, block: usize, from: usize, to: usize) -> Weights<'_> {
        let first = block * (self.width / GROUP);
        Weights {
            level: &self.level[(first + from) * GROUP_BYTES..(first + to) * GROUP_BYTES],
            scale: &self.scale[(first + from) * ROWS..(first + to) * ROWS],
        }
    }

    /// Offsets of groups `from..to`, made even, of a block of rows, `[groups / 2, ROWS, 2]`; none where all are 0. `from` is
    /// even.
    pub fn offsets(&self, block: usize, from: usize, to: usize) -> &[i8] {
        let first = block * (self.width / GROUP).next_multiple_of(2);
        self.offset.get((first + from) * ROWS..(first + to.next_multiple_of(2)) * ROWS).unwrap_or(&[])
    }

    /// Multipliers and shifts of a block of rows.
    pub fn requant(&self, block: usize) -> &([u16; ROWS], [u8; ROWS]) {
        &self.out[block]
    }
}

/// Weights of a layer.
pub(super) struct PackedLayer {
    /// Index of each KV head's order of RoPE pairs in [`Prepared::leads`].
    pub orders: Vec<usize>,
    /// q, k and v.
    pub qkv: Packed,
    pub o: Packed,
    /// gate and up.
    pub gate_up: Packed,
    pub down: Packed,
}

/// A model made ready to be run: half a byte a weight beside the model itself. Sessions share it.
pub struct Prepared<'m> {
    pub(super) model: &'m QuantModel,
    pub(super) simd: Simd,
    /// Leading RoPE pairs.
    pub(super) leads: Vec<u8>,
    pub(super) layers: Vec<PackedLayer>,
    pub(super) head: Packed,
}

impl<'m> Prepared<'m> {
    /// Packs the weights of `model`, which must have passed [`QuantModel::check`], as every loaded or quantized one
    /// has.
    pub fn new(model: &'m QuantModel) -> Self {
        Self::with(model, Simd::best())
    }

    /// The same for a certain set of instructions, which this computer must have ([`Simd::all`]).
    pub fn with(model: &'m QuantModel, simd: Simd) -> Self {
        let leads = model.leads();
        let order = |lead: u8| leads.binary_search(&lead).unwrap_or(0);
        let layer = |l: &crate::model::Layer| PackedLayer {
            orders: (0..model.arch.sizes.kv_heads).map(|kv| order(l.lead(kv))).collect(),
            qkv: Packed::new(&[&l.q, &l.k, &l.v]),
            o: Packed::new(&[&l.o]),
            gate_up: Packed::new(&[&l.gate, &l.up]),
            down: Packed::new(&[&l.down]),
        };
        let layers = model.layers.iter().map(layer).collect();
        Self { model, simd, leads, layers, head: Packed::new(&[&model.head]) }
    }

    /// The model.
    pub fn model(&self) -> &'m QuantModel {
        self.model
    }
}
