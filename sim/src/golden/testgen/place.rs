//! Building blocks of cases: random values and places for them.

use accllm_hw::beat::{Beat, KeyBeats};
use accllm_hw::config::{COLS, Config, GROUP};
use accllm_hw::fixed::EXPONENT_MAX;
use accllm_hw::sizes::{PADDED_HEADS, padded_head};

use super::super::{Constant, Image, Limits, Port, State};
use crate::memory::Rng;

/// A case under construction.
pub(super) struct Builder {
    pub config: Config,
    pub rng: Rng,
    pub state: State,
    pub image: Image,
    pub limits: Limits,
    /// Next free element of vector memory.
    vmem: usize,
}

impl Builder {
    /// Random activations and exponents, vector memory and scores of zeros.
    pub(super) fn new(config: &Config, mut rng: Rng, image: Image) -> Self {
        let mut state = State::new(config);
        for x in state.act_mut().chunks_mut(8) {
            let bytes = rng.next_u64().to_le_bytes();
            x.iter_mut().zip(bytes).for_each(|(x, b)| *x = b as i8);
        }
        state.exponents_mut().iter_mut().for_each(|e| *e = rng.range(0, EXPONENT_MAX.into()) as u8);
        Self { config: *config, rng, state, image, limits: Limits::open(0, 0), vmem: 0 }
    }

    pub(super) fn range(&mut self, low: usize, high: usize) -> usize {
        self.rng.range(low as u64, high.max(low) as u64) as usize
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.range(0, from.len() - 1)]
    }

    pub(super) fn chance(&mut self, percent: u8) -> bool {
        self.rng.percent(percent)
    }

    /// A signed number of at most `bits` bits, small, large or extreme.
    pub(super) fn signed(&mut self, bits: u32) -> i64 {
        let (min, max) = (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1);
        match self.range(0, 19) {
            0 => min,
            1 => max,
            2 => 0,
            3 => self.pick(&[1, -1]).clamp(min, max),
            4..=8 => {
                let small = self.range(1, bits as usize) as u32;
                let v = self.rng.next_u64() as i64;
                v << (64 - small) >> (64 - small)
            }
            _ => (self.rng.next_u64() as i64) << (64 - bits) >> (64 - bits),
        }
    }

    /// A row of signed numbers: extremes, or of one common smaller magnitude.
    pub(super) fn row(&mut self, n: usize, bits: u32) -> Vec<i32> {
        let bits = if self.chance(50) { bits } else { self.range(2, bits as usize) as u32 };
        (0..n).map(|_| self.signed(bits) as i32).collect()
    }

    /// Room for `n` elements of vector memory at an aligned address after what is placed already.
    pub(super) fn room(&mut self, n: usize) -> u32 {
        let v = self.config.vec;
        let gap = self.range(0, 4) * v;
        let at = self.vmem + gap;
        self.vmem = at + n.next_multiple_of(v);
        at as u32
    }

    /// Places values in vector memory.
    pub(super) fn put(&mut self, values: &[i32]) -> u32 {
        let at = self.room(values.len());
        // What follows in the last vector word must not matter.
        let v = self.config.vec;
        for i in values.len()..values.len().next_multiple_of(v) {
            let junk = self.signed(16) as i32;
            self.state.vmem_mut()[at as usize + i] = junk;
        }
        self.state.vmem_mut()[at as usize..][..values.len()].copy_from_slice(values);
        at
    }

    /// Places `n` random elements.
    pub(super) fn values(&mut self, n: usize, bits: u32) -> u32 {
        let row = self.row(n, bits);
        self.put(&row)
    }

    /// First word of an activation matrix of `lane_rows` rows and `cols` columns, and its words per 256 columns.
    pub(super) fn act(&mut self, lane_rows: usize, cols: usize) -> (u32, u8) {
        let steps = self.config.lane_steps(lane_rows);
        let x = steps + self.range(0, 2);
        let words = cols.div_ceil(COLS) * x;
        (self.range(0, self.config.act - words) as u32, x as u8)
    }

    /// An element of the activation buffer.
    pub(super) fn set_act(&mut self, word: usize, row: usize, col: usize, value: i8) {
        let lanes = self.config.lanes;
        let index = self.state.act_index(word + row / lanes, row % lanes, col);
        self.state.act_mut()[index] = value;
    }

    /// Places one stream of beats per channel at the same random beat, with the channel limit after it.
    pub(super) fn streams(&mut self, streams: &[Vec<Beat>]) -> u32 {
        let at = self.range(0, 5000) as u64;
        let len = streams.iter().map(Vec::len).max().unwrap_or(0) as u64;
        for (c, beats) in streams.iter().enumerate() {
            // The image has all channels of the configuration.
            let _ = self.image.put(Port::Channel(c), at, beats);
        }
        self.limits.channel_limit = self.limits.channel_limit.max((at + len) as u32);
        at as u32
    }

    /// Places bytes in auxiliary memory, with the limit after them.
    pub(super) fn aux(&mut self, bytes: &[u8]) -> u32 {
        let at = self.range(0, 5000) as u32;
        // The image always has auxiliary memory.
        let _ = self.image.put_bytes(Port::Aux, at.into(), bytes);
        self.limits.aux_limit = at + bytes.len().div_ceil(64) as u32;
        at
    }

    /// Random head dimension, GQA, sinks, window and ring; returns the padded head dimension.
    pub(super) fn attention(&mut self) -> usize {
        let c = self.config;
        let most = self.pick(&PADDED_HEADS);
        let hd = 2 * self.range(8, most / 2);
        let hdp = padded_head(hd);
        let unit = c.slot_block(hdp);
        let n_sink = if self.chance(25) { 0 } else { self.range(1, 8) };
        let sink_pad = n_sink.next_multiple_of(unit);
        let ring = unit * self.range(1, (256 / unit).max(1));
        let n_window = self.range(1, ring);
        let gqa = self.range(1, 4);
        let keys = KeyBeats::of(hdp);
        let sink_steps = sink_pad / (c.channels * keys.keys);
        let k_window = sink_steps.div_ceil(keys.chunk()) * keys.chunk_beats();
        let score_row = (sink_pad + ring).next_multiple_of(c.score_banks());
        for (constant, value) in [
            (Constant::Hdp, hdp),
            (Constant::NSink, n_sink),
            (Constant::NWindow, n_window),
            (Constant::Ring, ring),
            (Constant::SinkPad, sink_pad),
            (Constant::Gqa, gqa),
            (Constant::ScoreRow, score_row),
            (Constant::KWindow, k_window),
            (Constant::VDim, c.v_dim(hd.next_multiple_of(GROUP))),
        ] {
            self.state.set_constant(constant, value as u32);
        }
        hdp
    }

    /// A unit constant.
    pub(super) fn constant(&self, which: Constant) -> usize {
        self.state.constant(which) as usize
    }
}
