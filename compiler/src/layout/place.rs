//! Places of keys and values in the channels: `docs/formats.md` §2.

use super::Layout;
use accllm_hw::beat::KeyBeats;
use accllm_hw::config::{GROUP, MACS, PARAMS};

/// Where the key of a token is. All of it is in one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPlace {
    /// The channel.
    pub channel: usize,
    /// Beat of its parameter word.
    pub params: usize,
    /// The word.
    pub word: usize,
    /// First beat of its codes.
    pub codes: usize,
    /// Multiplier of its first element; the others follow.
    pub first: usize,
}

impl KeyPlace {
    /// Beat and multiplier of an element.
    pub fn code(&self, element: usize) -> (usize, usize) {
        (self.codes + element / MACS, self.first + element % MACS)
    }
}

/// Where one element of a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValuePlace {
    /// The channel.
    pub channel: usize,
    /// The beat.
    pub beat: usize,
    /// The multiplier whose nibble it is.
    pub multiplier: usize,
}

impl Layout {
    /// The key of a layer and KV head at a position. Beats count from the channel's first.
    pub fn key_place(&self, layer: usize, head: usize, position: u64) -> KeyPlace {
        let (s, kv) = (&self.shape, &self.kv);
        let (sink, slot) = self.slot(position);
        let keys = KeyBeats::of(s.hdp);
        let (step, channel, half) = (slot / s.k_slots, slot / keys.keys % s.channels, slot % keys.keys);
        let region = kv.k_at(layer, head) + if sink { 0 } else { kv.k_window };
        let (params, codes) = keys.at(step);
        KeyPlace {
            channel,
            params: region + params,
            word: (step * keys.keys + half) % PARAMS,
            codes: region + codes,
            first: half * s.hdp,
        }
    }

    /// Element `dim` of the value of a layer and KV head at a position.
    pub fn value_place(&self, layer: usize, head: usize, position: u64, dim: usize) -> ValuePlace {
        let (s, kv) = (&self.shape, &self.kv);
        let (sink, slot) = self.slot(position);
        let slot = if sink { slot } else { s.sink_pad + slot };
        let (step, channel, g) = (dim / (4 * s.channels), dim / 4 % s.channels, dim % 4);
        let beat = kv.v_at(layer, head) + step * kv.v_blocks + slot / GROUP;
        ValuePlace { channel, beat, multiplier: GROUP * g + slot % GROUP }
    }
}
