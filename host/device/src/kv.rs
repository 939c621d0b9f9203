//! The KV cache in a device's channels, head by head: from and to the form that all devices share.

use super::Device;
use crate::Result;
use accllm_compiler::Layout;
use accllm_hw::beat::{Beat, get_nibble, get_param, key_of_param, key_param, set_nibble, set_param};
use accllm_hw::config::BEAT_BYTES;
use accllm_llm::model::HeadCache;
use std::ops::Range;

/// Reads what is kept of a text of `position` tokens.
///
/// # Errors
/// The device's.
pub fn read_head(
    device: &mut dyn Device,
    layout: &Layout,
    position: u64,
    layer: usize,
    head: usize,
) -> Result<HeadCache> {
    let [mut keys, mut values] = Region::of(layout, layer, head);
    keys.read(device)?;
    values.read(device)?;
    let mut out = HeadCache::default();
    for p in layout.shape.lambda.kept(position) {
        let at = layout.key_place(layer, head, p);
        out.k.extend((0..layout.shape.hdp).map(|d| {
            let (beat, multiplier) = at.code(d);
            get_nibble(keys.beat(at.channel, beat), multiplier)
        }));
        out.k_meta.push(key_of_param(get_param(keys.beat(at.channel, at.params), at.word)));
        out.v.extend((0..layout.shape.sizes.head_dim).map(|d| {
            let at = layout.value_place(layer, head, p, d);
            get_nibble(values.beat(at.channel, at.beat), at.multiplier)
        }));
    }
    Ok(out)
}

/// Writes what is kept of a text of `position` tokens; everything else of the head becomes zero.
///
/// # Errors
/// The device's.
pub fn write_head(
    device: &mut dyn Device,
    layout: &Layout,
    position: u64,
    layer: usize,
    head: usize,
    from: &HeadCache,
) -> Result<()> {
    let [mut keys, mut values] = Region::of(layout, layer, head);
    let parts = from.k.chunks_exact(layout.shape.hdp).zip(&from.k_meta);
    let parts = parts.zip(from.v.chunks_exact(layout.shape.sizes.head_dim));
    for (p, ((k, (step, base)), v)) in layout.shape.lambda.kept(position).zip(parts) {
        let at = layout.key_place(layer, head, p);
        set_param(keys.beat_mut(at.channel, at.params), at.word, key_param(*step, *base));
        for (d, code) in k.iter().enumerate() {
            let (beat, multiplier) = at.code(d);
            set_nibble(keys.beat_mut(at.channel, beat), multiplier, *code);
        }
        for (d, code) in v.iter().enumerate() {
            let at = layout.value_place(layer, head, p, d);
            set_nibble(values.beat_mut(at.channel, at.beat), at.multiplier, *code);
        }
    }
    keys.write(device)?;
    values.write(device)
}

/// The same beats of every channel.
struct Region {
    first: usize,
    channels: Vec<Vec<Beat>>,
}

impl Region {
    /// Keys and values of a head, zero.
    fn of(layout: &Layout, layer: usize, head: usize) -> [Self; 2] {
        let kv = &layout.kv;
        let (k, v) = (kv.k_at(layer, head), kv.v_at(layer, head));
        [k..k + kv.k_head, v..v + kv.v_head].map(|beats: Range<usize>| Self {
            first: beats.start,
            channels: vec![vec![[0; BEAT_BYTES]; beats.len()]; layout.shape.channels],
        })
    }

    fn read(&mut self, device: &mut dyn Device) -> Result<()> {
        let first = self.first;
        let each = self.channels.iter_mut().enumerate();
        each.into_iter().try_for_each(|(c, b)| device.read_channel(c, first, b.as_flattened_mut()))
    }

    fn write(&self, device: &mut dyn Device) -> Result<()> {
        let each = self.channels.iter().enumerate();
        each.into_iter().try_for_each(|(c, b)| device.write_channel(c, self.first, b.as_flattened()))
    }

    fn beat(&self, channel: usize, beat: usize) -> &Beat {
        &self.channels[channel][beat - self.first]
    }

    fn beat_mut(&mut self, channel: usize, beat: usize) -> &mut Beat {
        &mut self.channels[channel][beat - self.first]
    }
}
