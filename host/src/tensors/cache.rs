//! Codes in the KV cache, as `docs/formats.md` lays them out over the channels.

use super::{Context, Found};
use accllm_compiler::label::Tensor;
use accllm_hw::beat::{Beat, get_nibble, get_param};
use accllm_hw::config::{BEAT_BYTES, GROUP, MACS, PARAMS};
use accllm_quant::int::Point;
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
    for head in 0..c.layout.shape.dims.kv_heads {
        match tensor {
            Tensor::KCodes => keys(c, &beats, layer, head, out),
            _ => values(c, &beats, layer, head, out),
        }
    }
}

fn keys(c: &Context<'_>, beats: &Beats, layer: usize, head: usize, out: &mut Vec<Found>) {
    let (s, kv) = (&c.layout.shape, &c.layout.kv);
    let token = c.tokens.start;
    let (sink, slot) = c.layout.slot(c.position + token as u64);
    let tpb = MACS / s.hdp;
    let (step, channel, half) = (slot / s.k_slots, slot / tpb % s.channels, slot % tpb);
    let chunk = PARAMS / tpb;
    let region = if sink { 0 } else { kv.k_window };
    let params = kv.k_at(layer, head) + region + step / chunk * (1 + chunk);
    let codes = params + 1 + step % chunk;
    let mut push = |point, element, value| out.push(Found { point, token, head: Some(head), element, value });
    if let Some(beat) = beats.get(&(channel, codes)) {
        for d in 0..s.hdp {
            push(Point::KCodes, d, get_nibble(beat, half * s.hdp + d).into());
        }
    }
    if let Some(beat) = beats.get(&(channel, params)) {
        let word = get_param(beat, (step * tpb + half) % PARAMS);
        let (scale, base) = (word as u16, (word >> 16) as u16);
        push(Point::KScale, 0, scale.into());
        push(Point::KBase, 0, base.cast_signed().into());
    }
}

fn values(c: &Context<'_>, beats: &Beats, layer: usize, head: usize, out: &mut Vec<Found>) {
    let (s, kv) = (&c.layout.shape, &c.layout.kv);
    let token = c.tokens.start;
    let (sink, slot) = c.layout.slot(c.position + token as u64);
    let slot = if sink { slot } else { s.sink_pad + slot };
    for d in 0..s.dims.head_dim {
        let (step, channel, g) = (d / (4 * s.channels), d / 4 % s.channels, d % 4);
        let at = kv.v_at(layer, head) + step * kv.v_blocks + slot / GROUP;
        if let Some(beat) = beats.get(&(channel, at)) {
            let value = get_nibble(beat, GROUP * g + slot % GROUP).into();
            out.push(Found { point: Point::VCodes, token, head: Some(head), element: d, value });
        }
    }
}
