//! Random K and V cache contents and their beats, packed as `docs/formats.md` §2 says.

use accllm_hw::beat::{Beat, KeyBeats, key_param, set_nibble, set_param};
use accllm_hw::config::{Config, GROUP, MACS, PARAMS};

use crate::memory::Rng;

/// One region (sinks or window) of the keys of a KV head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Padded head dimension.
    pub hdp: usize,
    /// Code of slot w, element d at `w * hdp + d`.
    pub codes: Vec<i8>,
    /// Scale and base of each slot.
    pub params: Vec<(u16, i16)>,
}

impl Keys {
    /// Random keys with scales up to 4369, the largest that a key can have.
    pub fn random(rng: &mut Rng, hdp: usize, slots: usize) -> Self {
        let codes = (0..slots * hdp).map(|_| rng.range(0, 15) as i8 - 8).collect();
        let params = (0..slots)
            .map(|_| match rng.range(0, 7) {
                0 => (4369, i16::MIN),
                1 => (1, i16::MAX),
                _ => (rng.range(1, 4369) as u16, rng.next_u64() as i16),
            })
            .collect();
        Self { hdp, codes, params }
    }

    /// One stream of beats for each channel. Slots are filled up to whole steps with zeros.
    pub fn streams(&self, config: &Config) -> Vec<Vec<Beat>> {
        let keys = KeyBeats::of(self.hdp);
        let steps = self.params.len().div_ceil(config.channels * keys.keys);
        let mut out = vec![vec![[0; 64]; keys.total(steps)]; config.channels];
        for (w, &(scale, base)) in self.params.iter().enumerate() {
            let (all, half) = (w / keys.keys, w % keys.keys);
            let (step, channel) = (all / config.channels, all % config.channels);
            let (params, codes) = keys.at(step);
            let beats = &mut out[channel];
            set_param(&mut beats[params], (step * keys.keys + half) % PARAMS, key_param(scale, base));
            for d in 0..self.hdp {
                let code = self.codes[w * self.hdp + d];
                set_nibble(&mut beats[codes + d / MACS], half * self.hdp + d % MACS, code);
            }
        }
        out
    }
}

/// The values of a KV head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    /// Dims, a multiple of 4 times the channels.
    pub dims: usize,
    /// Slots, a multiple of 32.
    pub slots: usize,
    /// Code of slot s, dim d at `s * dims + d`.
    pub codes: Vec<i8>,
}

impl Values {
    /// Random values.
    pub fn random(rng: &mut Rng, dims: usize, slots: usize) -> Self {
        Self { dims, slots, codes: (0..slots * dims).map(|_| rng.range(0, 15) as i8 - 8).collect() }
    }

    /// One stream of beats for each channel: step j, block b at `j * slots/32 + b`.
    pub fn streams(&self, config: &Config) -> Vec<Vec<Beat>> {
        let blocks = self.slots / GROUP;
        let mut out = vec![vec![[0; 64]; self.dims / (4 * config.channels) * blocks]; config.channels];
        for (i, &code) in self.codes.iter().enumerate() {
            let (slot, d) = (i / self.dims, i % self.dims);
            let (step, channel, g) = (d / (4 * config.channels), d / 4 % config.channels, d % 4);
            let beat = &mut out[channel][step * blocks + slot / GROUP];
            set_nibble(beat, GROUP * g + slot % GROUP, code);
        }
        out
    }
}
