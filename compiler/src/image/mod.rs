//! The memory image: what the host writes to the channels and to auxiliary memory before the first run.

mod pack;
mod rows;

pub use pack::stream_bytes;
pub use rows::source_row;

use crate::error::{Error, Result, model};
use crate::program::Program;
use crate::spec::{Linear, ModelSpec};
use accllm_hw::config::{BEAT_BYTES, GROUP};
use accllm_quant::model::{Linear as Weight, Norm, QuantModel};

/// Which memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// A channel.
    Channel(usize),
    /// Auxiliary memory.
    Aux,
}

/// Receives the image in pieces of whole beats: channel by channel in ascending order, then auxiliary memory.
pub trait ImageSink {
    /// Writes `bytes` at `beat`.
    ///
    /// # Errors
    /// Whatever the sink cannot do.
    fn write(&mut self, port: Port, beat: usize, bytes: &[u8]) -> Result<()>;
}

/// An image in memory. The KV cache is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryImage {
    /// Bytes of each channel.
    pub channels: Vec<Vec<u8>>,
    /// Bytes of auxiliary memory.
    pub aux: Vec<u8>,
}

impl MemoryImage {
    /// Zeros of a program's size.
    pub fn zeros(program: &Program) -> Self {
        let l = &program.layout;
        Self {
            channels: vec![vec![0; l.kv.end * BEAT_BYTES]; l.shape.channels],
            aux: vec![0; l.aux.end * BEAT_BYTES],
        }
    }

    /// The image of a model.
    ///
    /// # Errors
    /// As [`write_image`].
    pub fn new(program: &Program, model: &QuantModel) -> Result<Self> {
        let mut image = Self::zeros(program);
        write_image(program, model, &mut image)?;
        Ok(image)
    }
}

impl ImageSink for MemoryImage {
    fn write(&mut self, port: Port, beat: usize, bytes: &[u8]) -> Result<()> {
        let memory = match port {
            Port::Channel(c) => self.channels.get_mut(c),
            Port::Aux => Some(&mut self.aux),
        };
        let at = beat * BEAT_BYTES;
        let Some(to) = memory.and_then(|m| m.get_mut(at..at + bytes.len())) else {
            return Err(Error::Internal(format!("image write to {port:?} beat {beat} outside the map")));
        };
        to.copy_from_slice(bytes);
        Ok(())
    }
}

/// Writes the image of a model piece by piece.
///
/// # Errors
/// The model is not the one the program was compiled for, or a weight cannot be packed.
pub fn write_image(program: &Program, quant: &QuantModel, sink: &mut dyn ImageSink) -> Result<()> {
    if ModelSpec::from(quant) != program.spec {
        return Err(model("not the model that the program was compiled for", "compile this one"));
    }
    let l = &program.layout;
    let mut bytes = Vec::new();
    for channel in 0..l.shape.channels {
        for stream in l.weights.streams() {
            bytes.clear();
            stream_bytes(&l.shape, stream, weight(quant, stream.layer, stream.linear), channel, &mut bytes)?;
            if bytes.len() != stream.beats * BEAT_BYTES {
                let what = format!("{}: {} bytes for {} beats", stream.name(), bytes.len(), stream.beats);
                return Err(Error::Internal(what));
            }
            sink.write(Port::Channel(channel), stream.beat, &bytes)?;
        }
    }
    write_aux(program, quant, sink)
}

fn weight(quant: &QuantModel, layer: Option<usize>, linear: Linear) -> &Weight {
    let Some(layer) = layer.and_then(|l| quant.layers.get(l)) else {
        return &quant.head;
    };
    match linear {
        Linear::Q => &layer.q,
        Linear::K => &layer.k,
        Linear::V => &layer.v,
        Linear::O => &layer.o,
        Linear::Gate => &layer.gate,
        Linear::Up => &layer.up,
        Linear::Down => &layer.down,
        Linear::Head => &quant.head,
    }
}

fn write_aux(program: &Program, quant: &QuantModel, sink: &mut dyn ImageSink) -> Result<()> {
    let (aux, hidden) = (&program.layout.aux, quant.arch.hidden);
    let mut code: Vec<u8> = program.code.iter().flat_map(|i| i.encode()).collect();
    code.resize(code.len().next_multiple_of(BEAT_BYTES), 0);
    sink.write(Port::Aux, aux.program, &code)?;
    let padded = hidden.next_multiple_of(GROUP) - hidden;
    let row = |values: &[i16], out: &mut Vec<u8>| {
        out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        out.resize(out.len() + 2 * padded, 0);
    };
    let norms = quant.layers.iter().flat_map(|l| [&l.attn_norm, &l.mlp_norm]).chain([&quant.final_norm]);
    let mut out = Vec::new();
    for Norm { g, .. } in norms {
        row(g, &mut out);
    }
    out.resize(aux.norm_pair * (quant.layers.len() + 1) * BEAT_BYTES, 0);
    sink.write(Port::Aux, aux.norms, &out)?;
    /// Embedding rows written at once.
    const ROWS: usize = 256;
    for (i, rows) in quant.embed.chunks(hidden * ROWS).enumerate() {
        out.clear();
        for values in rows.chunks_exact(hidden) {
            row(values, &mut out);
        }
        sink.write(Port::Aux, aux.embed + i * ROWS * aux.embed_row, &out)?;
    }
    Ok(())
}
