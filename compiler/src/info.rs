//! Sizes of a compiled program: beats and bytes per layer and per token, padding, instructions.

use crate::layout::Stream;
use crate::program::Program;
use accllm_hw::beat::KeyBeats;
use accllm_hw::config::{BEAT_BYTES, GROUP};
use accllm_hw::isa::INSTR_BYTES;
use std::fmt;

/// Sizes of one weight (all its streams).
#[derive(Debug, Clone, PartialEq)]
pub struct WeightInfo {
    /// Name as in the quantized model.
    pub name: String,
    /// Format.
    pub format: String,
    /// Rows and columns in the checkpoint.
    pub size: (usize, usize),
    /// Beats of each channel.
    pub beats: usize,
    /// Share of the value beats' columns that hold padding, 0..1.
    pub padding: f64,
}

/// Sizes of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// Configuration.
    pub config: String,
    /// Channels.
    pub channels: usize,
    /// Tokens of a block.
    pub block: usize,
    /// Instructions.
    pub instructions: usize,
    /// Weights of each layer.
    pub layers: Vec<Vec<WeightInfo>>,
    /// The head.
    pub head: WeightInfo,
    /// Weight beats of each channel.
    pub weight_beats: usize,
    /// KV cache, beats of each channel.
    pub kv_beats: usize,
    /// Auxiliary memory, beats.
    pub aux_beats: usize,
}

impl Info {
    /// Bytes of the instructions.
    pub fn instruction_bytes(&self) -> usize {
        self.instructions * INSTR_BYTES
    }

    /// Padding of a layer over all its weights, by beats.
    pub fn layer_padding(&self, layer: usize) -> f64 {
        let weights = self.layers.get(layer).map_or(&[][..], Vec::as_slice);
        let beats: usize = weights.iter().map(|w| w.beats).sum();
        let padded: f64 = weights.iter().map(|w| w.beats as f64 * w.padding).sum();
        padded / beats.max(1) as f64
    }
}

impl Program {
    /// Sizes.
    pub fn info(&self) -> Info {
        let l = &self.layout;
        let layers = l.weights.layers.iter().map(|streams| self.weights(streams)).collect();
        let head = self.weights(&l.weights.head).pop().unwrap_or_else(|| WeightInfo {
            name: "head".into(),
            format: self.spec.head.name().into(),
            size: (0, 0),
            beats: 0,
            padding: 0.0,
        });
        Info {
            config: l.shape.config.clone(),
            channels: l.shape.channels,
            block: l.shape.block,
            instructions: self.code.len(),
            layers,
            head,
            weight_beats: l.weights.end,
            kv_beats: l.kv.end - l.kv.start,
            aux_beats: l.aux.end,
        }
    }

    /// Streams gathered by weight.
    fn weights(&self, streams: &[Stream]) -> Vec<WeightInfo> {
        let shape = &self.layout.shape;
        let mut out: Vec<WeightInfo> = Vec::new();
        for s in streams {
            match out.iter_mut().find(|w| w.name == s.name()) {
                Some(w) => w.beats += s.beats,
                None => {
                    let size = shape.sizes.linear(s.linear);
                    let laid_out = shape.rows(s.linear) * s.row_beats * s.weight_format().columns();
                    let padding = 1.0 - (size.0 * size.1) as f64 / laid_out.max(1) as f64;
                    let format = s.format.clone();
                    out.push(WeightInfo { name: s.name(), format, size, beats: s.beats, padding });
                }
            }
        }
        out
    }

    /// KV beats that each channel reads for a token with `context` tokens before it.
    pub fn kv_beats_per_token(&self, context: u64) -> usize {
        let (l, s) = (&self.layout, &self.layout.shape);
        let step = crate::Step { position: context, tokens: 1, head: true };
        let used = l.window_slots(step).max(1);
        let keys = |slots: usize| KeyBeats::of(s.hdp).total(slots.div_ceil(s.k_slots));
        let k = keys(used) + keys(s.lambda.n_sink);
        let v = l.kv.v_steps * (s.sink_pad + used.next_multiple_of(GROUP)) / GROUP;
        s.sizes.layers * s.sizes.kv_heads * (k + v)
    }

    /// Beats that each channel reads for a token of each sequence, all with `context` tokens before it.
    pub fn beats_per_batch(&self, context: u64) -> usize {
        self.layout.weights.end + self.layout.shape.sequences * self.kv_beats_per_token(context)
    }

    /// Beats that each channel reads for a decoded token with `context` tokens before it.
    pub fn beats_per_token(&self, context: u64) -> usize {
        self.layout.weights.end + self.kv_beats_per_token(context)
    }

    /// Bytes that all channels read for a decoded token with `context` tokens before it.
    pub fn bytes_per_token(&self, context: u64) -> usize {
        self.beats_per_token(context) * self.layout.shape.channels * BEAT_BYTES
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |beats: usize| (beats * BEAT_BYTES) as f64 / (1 << 20) as f64;
        writeln!(
            f,
            "configuration {}: {} channels, blocks of up to {} tokens",
            self.config, self.channels, self.block
        )?;
        writeln!(f, "program: {} instructions, {} bytes", self.instructions, self.instruction_bytes())?;
        writeln!(
            f,
            "memory: {} channels x ({:.2} MiB weights + {:.2} MiB KV), auxiliary {:.2} MiB",
            self.channels,
            mib(self.weight_beats),
            mib(self.kv_beats),
            mib(self.aux_beats)
        )?;
        writeln!(
            f,
            "{:<10} {:<4} {:>6} {:>7} {:>10} {:>8}",
            "weight", "fmt", "rows", "cols", "beats/ch", "padding"
        )?;
        let mut previous: Option<&[WeightInfo]> = None;
        for (l, weights) in self.layers.iter().enumerate() {
            let alike = |p: &[WeightInfo]| {
                p.iter().zip(weights).all(|(a, b)| (&a.format, a.beats) == (&b.format, b.beats))
            };
            if previous.is_some_and(alike) {
                continue;
            }
            previous = Some(weights);
            for w in weights {
                writeln!(f, "{w}")?;
            }
            writeln!(f, "L{l}: {:.1}% padding", 100.0 * self.layer_padding(l))?;
        }
        write!(f, "{}", self.head)
    }
}

impl fmt::Display for WeightInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, cols) = self.size;
        let padding = 100.0 * self.padding;
        write!(
            f,
            "{:<10} {:<4} {rows:>6} {cols:>7} {:>10} {padding:>7.1}%",
            self.name, self.format, self.beats
        )
    }
}
