//! Channel memory: weight streams, then the KV cache. All channels are alike; units are beats.

use super::{Chunk, Shape, VmemMap, too_small};
use crate::error::{Error, Result};
use crate::spec::ModelSpec;
use accllm_hw::beat::{KeyBeats, WeightFormat};
use accllm_hw::config::{Config, GROUP, PARAMS};
use accllm_hw::sizes::Linear;
use serde::{Deserialize, Serialize};

/// The stream of one MATW instruction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Layer; `None` for the head.
    pub layer: Option<usize>,
    /// Which linear layer.
    pub linear: Linear,
    /// Its rows, in laid-out order.
    pub chunk: Chunk,
    /// Name of the format in manifests.
    pub format: String,
    /// First beat.
    pub beat: usize,
    /// Beats of a channel.
    pub beats: usize,
    /// Steps of one row per channel.
    pub steps: usize,
    /// Value beats of a row.
    pub row_beats: usize,
}

impl Stream {
    fn new(
        shape: &Shape,
        layer: Option<usize>,
        linear: Linear,
        chunk: Chunk,
        format: WeightFormat,
        beat: usize,
    ) -> Self {
        let steps = chunk.rows / shape.channels;
        let row_beats = shape.cols(linear).div_ceil(format.columns());
        let values = steps * row_beats;
        let scales =
            values.checked_div(format.scale_chunk()).map_or(0, |_| values.div_ceil(format.scale_chunk()));
        let beats = steps.div_ceil(PARAMS) + values + scales;
        Self { layer, linear, chunk, format: format.name().to_string(), beat, beats, steps, row_beats }
    }

    /// The weight format.
    pub fn weight_format(&self) -> WeightFormat {
        WeightFormat::from_name(&self.format).unwrap_or(WeightFormat::W4)
    }

    /// Name as in the quantized model.
    pub fn name(&self) -> String {
        match self.layer {
            Some(l) => format!("L{l}.{}", self.linear.name()),
            None => self.linear.name().to_string(),
        }
    }
}

/// Weight streams in the order of their instructions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightMap {
    /// Streams of each layer.
    pub layers: Vec<Vec<Stream>>,
    /// Streams of the head.
    pub head: Vec<Stream>,
    /// First beat after the weights.
    pub end: usize,
}

impl WeightMap {
    /// The projections of attention in the order of their instructions. K and V come first, so that their append hides
    /// behind q; the preparation of each part of q hides behind the next one (docs/decisions/0007).
    pub const ATTENTION: [Linear; 3] = [Linear::K, Linear::V, Linear::Q];

    pub(super) fn new(spec: &ModelSpec, shape: &Shape, vmem: &VmemMap) -> Result<Self> {
        let mut beat = 0;
        let mut add = |layer: Option<usize>, linear: Linear, chunk: Chunk, format: WeightFormat| {
            let s = Stream::new(shape, layer, linear, chunk, format, beat);
            beat += s.beats;
            s
        };
        let whole = |linear| Chunk { first: 0, rows: shape.rows(linear) };
        let mut layers = Vec::with_capacity(spec.layers.len());
        for (l, layer) in spec.layers.iter().enumerate() {
            let mut streams = Vec::new();
            let format = |linear: Linear| layer.format(linear).unwrap_or(WeightFormat::W4);
            let mut push = |linear, chunk| streams.push(add(Some(l), linear, chunk, format(linear)));
            for linear in Self::ATTENTION {
                let rows = shape.rows(linear);
                let parts = if linear == Linear::Q { shape.q_parts } else { 1 };
                VmemMap::chunks(rows, rows / parts).for_each(|chunk| push(linear, chunk));
            }
            push(Linear::O, whole(Linear::O));
            for &chunk in &vmem.ff {
                push(Linear::Gate, chunk);
                push(Linear::Up, chunk);
            }
            for chunk in Self::down_chunks(shape) {
                push(Linear::Down, chunk);
            }
            layers.push(streams);
        }
        let head = vmem.head_chunks(shape).map(|chunk| add(None, Linear::Head, chunk, spec.head)).collect();
        let map = Self { layers, head, end: beat };
        let widest = map.streams().map(|s| s.steps.max(s.row_beats)).max().unwrap_or(0);
        let help = "use a configuration with more channels";
        too_small(shape, "the 16-bit field of a weight instruction", "steps", widest, 65535, help)?;
        Ok(map)
    }

    /// down_proj in pieces of whole parameter beats, which prefill puts between the heads of the other group's attention.
    fn down_chunks(shape: &Shape) -> impl Iterator<Item = Chunk> + use<> {
        const MOST: usize = 8;
        let rows = shape.rows(Linear::Down);
        let pieces = if shape.block == 1 { 1 } else { shape.sizes.kv_heads.min(MOST) };
        let unit = GROUP.max(shape.channels * PARAMS);
        VmemMap::chunks(rows, rows.div_ceil(pieces).next_multiple_of(unit))
    }

    /// All streams in address order.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.layers.iter().flatten().chain(&self.head)
    }

    /// Number of streams of a layer's linear.
    pub fn pieces(&self, layer: usize, linear: Linear) -> usize {
        self.layers.get(layer).map_or(0, |l| l.iter().filter(|s| s.linear == linear).count())
    }

    /// The stream of a layer's linear (its chunk number `n`).
    pub fn of(&self, layer: usize, linear: Linear, n: usize) -> Option<&Stream> {
        self.layers.get(layer)?.iter().filter(|s| s.linear == linear).nth(n)
    }

    /// First beat of a layer.
    pub fn layer_start(&self, layer: usize) -> usize {
        self.layers.get(layer).and_then(|s| s.first()).map_or(self.end, |s| s.beat)
    }
}

/// The KV cache: for each sequence and layer all K heads, then all V heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvMap {
    /// First beat.
    pub start: usize,
    /// Beats of a sequence.
    pub seq: usize,
    /// Beats of a layer.
    pub layer: usize,
    /// Beats of a K head.
    pub k_head: usize,
    /// From a K head's sinks to its window.
    pub k_window: usize,
    /// From a layer's K heads to its V heads.
    pub v: usize,
    /// Beats of a V head.
    pub v_head: usize,
    /// Blocks of 32 slots = beats of a V step.
    pub v_blocks: usize,
    /// Steps of a V head, 4 dims per channel each.
    pub v_steps: usize,
    /// One past the last beat.
    pub end: usize,
}

impl KvMap {
    fn k_region(shape: &Shape, slots: usize) -> usize {
        let keys = KeyBeats::of(shape.hdp);
        (slots / shape.k_slots).div_ceil(keys.chunk()) * keys.chunk_beats()
    }

    pub(super) fn new(shape: &Shape, start: usize, config: &Config) -> Result<Self> {
        let k_window = Self::k_region(shape, shape.sink_pad);
        let k_head = k_window + Self::k_region(shape, shape.ring);
        let v_blocks = shape.slots() / accllm_hw::config::GROUP;
        let v_steps = shape.v_dim / (4 * config.channels);
        let v_head = v_steps * v_blocks;
        let v = shape.sizes.kv_heads * k_head;
        let layer = v + shape.sizes.kv_heads * v_head;
        let help = "use a smaller window, or a configuration with more channels";
        too_small(shape, "the 16-bit stride between KV heads", "beats", k_head.max(v_head), 65535, help)?;
        let seq = layer * shape.sizes.layers;
        let end = start + shape.sequences * seq;
        if u32::try_from(end).is_err() {
            return Err(Error::TooSmall {
                config: shape.config.clone(),
                buffer: "a channel's address",
                needed: end,
                available: u32::MAX as usize,
                unit: "beats",
                help: help.to_string(),
            });
        }
        Ok(Self { start, seq, layer, k_head, k_window, v, v_head, v_blocks, v_steps, end })
    }

    /// Beat of a layer's K head, of the first sequence.
    pub fn k_at(&self, layer: usize, head: usize) -> usize {
        self.start + layer * self.layer + head * self.k_head
    }

    /// Beat of a layer's V head, of the first sequence.
    pub fn v_at(&self, layer: usize, head: usize) -> usize {
        self.start + layer * self.layer + self.v + head * self.v_head
    }
}
