//! Places of keys and values in the channels: `docs/formats.md` §2.

use super::Layout;
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
    /// Beat of its codes.
    pub codes: usize,
    /// Multiplier of its first element; the others follow.
    pub first: usize,
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
        let per_beat = MACS / s.hdp;
        let (step, channel, half) = (slot / s.k_slots, slot / per_beat % s.channels, slot % per_beat);
        let chunk = PARAMS / per_beat;
        let region = if sink { 0 } else { kv.k_window };
        let params = kv.k_at(layer, head) + region + step / chunk * (1 + chunk);
        KeyPlace {
            channel,
            params,
            word: (step * per_beat + half) % PARAMS,
            codes: params + 1 + step % chunk,
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
