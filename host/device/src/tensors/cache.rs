//! Codes in the KV cache, as `docs/formats.md` lays them out over the channels.

use super::{Context, Found};
use accllm_hw::beat::{Beat, get_nibble, get_param, key_of_param};
use accllm_hw::config::BEAT_BYTES;
use accllm_hw::tensor::Tensor;
use accllm_sim::golden::Space;
use std::collections::BTreeMap;

/// Beats as the instruction wrote them, by channel and address; bytes that it did not write are 0.
type Beats = BTreeMap<(usize, usize), Beat>;

/// Codes of the keys or values that the instruction appended, and the keys' parameters.
pub(super) fn elements(c: &Context<'_>, out: &mut Vec<Found>) {
    let Some(tensor) = c.label.tensors.first().filter(|t| matches!(t, Tensor::KCodes | Tensor::VCodes))
    else {
        return;
    };
    let mut beats = Beats::new();
    for w in &c.record.writes {
        if let Space::Channel(channel) = w.space {
            let at = w.address as usize;
            let beat = beats.entry((channel.into(), at / BEAT_BYTES)).or_insert([0; BEAT_BYTES]);
            beat[at % BEAT_BYTES] = w.value as u8;
        }
    }
    let Some(layer) = c.label.layer_at(&c.record.loop_counters) else { return };
    for head in 0..c.layout.shape.sizes.kv_heads {
        match tensor {
            Tensor::KCodes => keys(c, &beats, layer, head, out),
            _ => values(c, &beats, layer, head, out),
        }
    }
}

fn keys(c: &Context<'_>, beats: &Beats, layer: usize, head: usize, out: &mut Vec<Found>) {
    let token = c.tokens.start;
    let at = c.layout.key_place(layer, head, c.position + token as u64);
    let mut push =
        |tensor, element, value| out.push(Found { tensor, token, head: Some(head), element, value });
    for d in 0..c.layout.shape.hdp {
        let (beat, multiplier) = at.code(d);
        if let Some(beat) = beats.get(&(at.channel, beat)) {
            push(Tensor::KCodes, d, get_nibble(beat, multiplier).into());
        }
    }
    if let Some(beat) = beats.get(&(at.channel, at.params)) {
        let (scale, base) = key_of_param(get_param(beat, at.word));
        push(Tensor::KScale, 0, scale.into());
        push(Tensor::KBase, 0, base.into());
    }
}

fn values(c: &Context<'_>, beats: &Beats, layer: usize, head: usize, out: &mut Vec<Found>) {
    let token = c.tokens.start;
    for d in 0..c.layout.shape.sizes.head_dim {
        let at = c.layout.value_place(layer, head, c.position + token as u64, d);
        if let Some(beat) = beats.get(&(at.channel, at.beat)) {
            let value = get_nibble(beat, at.multiplier).into();
            out.push(Found { tensor: Tensor::VCodes, token, head: Some(head), element: d, value });
        }
    }
}
