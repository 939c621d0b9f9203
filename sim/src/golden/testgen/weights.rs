//! Random weight matrices and their beat streams, packed as `docs/formats.md` §2 says.

use accllm_hw::beat::{
    Beat, PATTERNS, SCALE_BYTES, WeightFormat, pack_w2d, pack_w2s, pack_w4, row_param, set_param,
};
use accllm_hw::config::{Config, GROUP, PARAMS};

use crate::memory::Rng;

/// A weight matrix: `rows` rows of `cols` columns, levels and scales as in the quantized model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights {
    /// How it is stored.
    pub format: WeightFormat,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Level of row r, column c at `r * cols + c`; 0 = pruned.
    pub levels: Vec<i8>,
    /// Scale of row r, group j at `r * cols.div_ceil(32) + j`.
    pub scales: Vec<u8>,
    /// Its offset, which W4 alone has.
    pub offsets: Vec<i8>,
    /// Multiplier of each row.
    pub mult: Vec<u16>,
    /// Shift of each row.
    pub shift: Vec<u8>,
}

impl Weights {
    /// A random matrix: any level the format has, any scale, multipliers and shifts that give results of all sizes.
    pub fn random(rng: &mut Rng, format: WeightFormat, rows: usize, cols: usize) -> Self {
        let mut pick = |n: usize| rng.range(0, n as u64 - 1) as usize;
        let names = format.levels();
        let mut levels = vec![0; rows * cols];
        for row in levels.chunks_mut(cols) {
            for group in row.chunks_mut(4) {
                // A kept column that is padding must not displace a real one.
                let fits = |p: &&(usize, usize)| p.1 < group.len().max(2);
                let patterns: Vec<_> = PATTERNS.iter().filter(fits).collect();
                let kept = patterns[pick(patterns.len())];
                for (i, l) in group.iter_mut().enumerate() {
                    if format != WeightFormat::W2Sparse || i == kept.0 || i == kept.1 {
                        *l = names[pick(names.len())];
                    }
                }
            }
        }
        let scales = (0..rows * cols.div_ceil(GROUP)).map(|_| match pick(8) {
            0 => 0,
            1 => 255,
            _ => pick(256) as u8,
        });
        let scales = scales.collect();
        let offsets = (0..rows * cols.div_ceil(GROUP)).map(|_| match pick(8) {
            0 => 0,
            1 => i8::MIN,
            2 => i8::MAX,
            _ => pick(256) as u8 as i8,
        });
        let offsets = offsets.collect();
        let mult = (0..rows).map(|_| if pick(8) == 0 { u16::MAX } else { pick(65536) as u16 }).collect();
        let shift = (0..rows).map(|_| if pick(8) == 0 { pick(64) } else { 8 + pick(24) } as u8).collect();
        Self { format, rows, cols, levels, scales, offsets, mult, shift }
    }

    /// Value beats of a row.
    pub fn beats_per_row(&self) -> usize {
        self.cols.div_ceil(self.format.columns())
    }

    /// Steps of `channels` rows.
    pub fn steps(&self, config: &Config) -> usize {
        self.rows.div_ceil(config.channels)
    }

    /// One stream of beats for each channel; padding as in the format's description.
    pub fn streams(&self, config: &Config) -> Vec<Vec<Beat>> {
        (0..config.channels).map(|c| self.stream(config, c)).collect()
    }

    fn stream(&self, config: &Config, channel: usize) -> Vec<Beat> {
        let (mut out, mut value, mut scale_at) = (Vec::new(), 0, 0);
        let chunk = self.format.scale_chunk();
        for step in 0..self.steps(config) {
            if step % PARAMS == 0 {
                let mut beat = [0; 64];
                for i in 0..PARAMS {
                    let row = (step + i) * config.channels + channel;
                    if let (Some(&m), Some(&s)) = (self.mult.get(row), self.shift.get(row)) {
                        set_param(&mut beat, i, row_param(m, s));
                    }
                }
                out.push(beat);
            }
            for v in 0..self.beats_per_row() {
                if chunk > 0 && value % chunk == 0 {
                    scale_at = out.len();
                    out.push([0; 64]);
                }
                let (levels, scales) = self.part(step * config.channels + channel, v);
                out.push(match self.format {
                    WeightFormat::W2Sparse => pack_w2s(&levels, &scales).unwrap_or([0; 64]),
                    WeightFormat::W2Dense => pack_w2d(&levels).unwrap_or([0; 64]),
                    WeightFormat::W4 => pack_w4(&levels).unwrap_or([0; 64]),
                });
                if chunk > 0 {
                    out[scale_at][value % chunk * SCALE_BYTES..][..SCALE_BYTES].copy_from_slice(&scales);
                }
                value += 1;
            }
        }
        out
    }

    /// Levels, scales and offsets of value beat `v` of a row, zeros outside the matrix.
    fn part(&self, row: usize, v: usize) -> (Vec<i8>, Vec<u8>) {
        let columns = self.format.columns();
        let level = |c: usize| {
            let inside = row < self.rows && c < self.cols;
            if inside { self.levels[row * self.cols + c] } else { 0 }
        };
        let groups = self.cols.div_ceil(GROUP);
        let inside = |j: &usize| row < self.rows && *j < groups;
        let here = v * columns / GROUP..(v + 1) * columns / GROUP;
        let scale = |j: usize| Some(j).filter(inside).map_or(0, |j| self.scales[row * groups + j]);
        let offset = |j: usize| Some(j).filter(inside).map_or(0, |j| self.offsets[row * groups + j] as u8);
        let mut scales: Vec<u8> = here.clone().map(scale).collect();
        if self.format == WeightFormat::W4 {
            scales.extend(here.map(offset));
        }
        ((v * columns..(v + 1) * columns).map(level).collect(), scales)
    }
}
