//! The memory image: what the host writes to the channels and to auxiliary memory before the first run.

mod fill;
mod pack;
mod rows;
mod source;

pub use fill::fill_image;
pub use pack::stream_bytes;
pub use rows::source_row;
pub use source::{ModelSource, Row, RowSpace};

use crate::error::{Result, model};
use crate::program::Program;
use accllm_hw::config::{BEAT_BYTES, GROUP};
use accllm_hw::sizes::Linear;
use std::borrow::Cow;
use std::sync::Arc;

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

/// An image in memory. The KV cache is zero. Clones share their bytes, and so do devices that load it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryImage {
    /// Bytes of each channel.
    pub channels: Vec<Arc<Vec<u8>>>,
    /// Bytes of auxiliary memory.
    pub aux: Arc<Vec<u8>>,
}

impl MemoryImage {
    /// Zeros of a program's size.
    pub fn zeros(program: &Program) -> Self {
        let l = &program.layout;
        let zeros = |beats: usize| Arc::new(vec![0; beats * BEAT_BYTES]);
        Self { channels: (0..l.shape.channels).map(|_| zeros(l.kv.end)).collect(), aux: zeros(l.aux.end) }
    }

    /// The program, and zeros for everything else: for what does not depend on data, as cycles.
    pub fn blank(program: &Program) -> Self {
        let mut image = Self::zeros(program);
        let (at, code) = (program.layout.aux.program * BEAT_BYTES, code_bytes(program));
        if let Some(aux) = Arc::make_mut(&mut image.aux).get_mut(at..at + code.len()) {
            aux.copy_from_slice(&code);
        }
        image
    }

    /// The image of a model.
    ///
    /// # Errors
    /// As [`fill_image`].
    pub fn new(program: &Program, model: &dyn ModelSource) -> Result<Self> {
        fill_image(program, model, &|_| {})
    }

    /// The bytes of a channel, or of auxiliary memory at index `channels`, to write; no longer shared.
    pub fn port_mut(&mut self, port: usize) -> &mut Vec<u8> {
        Arc::make_mut(self.channels.get_mut(port).unwrap_or(&mut self.aux))
    }
}

/// Writes the image of a model piece by piece.
///
/// # Errors
/// The model is not the one the program was compiled for, or a weight cannot be packed.
pub fn write_image(program: &Program, source: &dyn ModelSource, sink: &mut dyn ImageSink) -> Result<()> {
    check_source(program, source)?;
    let l = &program.layout;
    let mut bytes = Vec::new();
    for channel in 0..l.shape.channels {
        for stream in l.weights.streams() {
            bytes.clear();
            stream_bytes(&l.shape, stream, source, channel, &mut bytes)?;
            sink.write(Port::Channel(channel), stream.beat, &bytes)?;
        }
    }
    /// Embedding rows written at once.
    const ROWS: usize = 256;
    let (code, norms) = (code_bytes(program), norm_bytes(program, source)?);
    sink.write(Port::Aux, l.aux.program, &code)?;
    sink.write(Port::Aux, l.aux.norms, &norms)?;
    let mut out = vec![0; ROWS * l.aux.embed_row * BEAT_BYTES];
    for first in (0..l.shape.sizes.vocab).step_by(ROWS) {
        let rows = ROWS.min(l.shape.sizes.vocab - first);
        for (i, row) in out.chunks_exact_mut(l.aux.embed_row * BEAT_BYTES).take(rows).enumerate() {
            embed_row(source, first + i, row)?;
        }
        let bytes = &out[..rows * l.aux.embed_row * BEAT_BYTES];
        sink.write(Port::Aux, l.aux.embed + first * l.aux.embed_row, bytes)?;
    }
    Ok(())
}

fn check_source(program: &Program, source: &dyn ModelSource) -> Result<()> {
    if source.spec() != program.spec {
        return Err(model("not the model that the program was compiled for", "compile this one"));
    }
    Ok(())
}

/// The program in whole beats.
fn code_bytes(program: &Program) -> Vec<u8> {
    let mut code: Vec<u8> = program.code.iter().flat_map(|i| i.encode()).collect();
    code.resize(code.len().next_multiple_of(BEAT_BYTES), 0);
    code
}

/// Gains of all norms, after each layer's the indices of its leads and its biases.
fn norm_bytes(program: &Program, source: &dyn ModelSource) -> Result<Vec<u8>> {
    let (aux, dims) = (&program.layout.aux, &program.layout.shape.sizes);
    let mut out = Vec::new();
    for index in 0..2 * dims.layers + 1 {
        let g = source.norm(index).filter(|g| g.len() == dims.hidden);
        let g = g.ok_or_else(|| {
            model(format!("norm {index} is missing or has another size"), "quantize it again")
        })?;
        out.extend(g.iter().flat_map(|v| v.to_le_bytes()));
        out.resize(out.len() + 2 * (dims.hidden.next_multiple_of(GROUP) - dims.hidden), 0);
        if index % 2 == 1 {
            let end = out.len() + 2 * program.layout.shape.lead_ids();
            out.extend(lead_ids(program, source, index / 2)?.iter().flat_map(|v| v.to_le_bytes()));
            out.resize(end, 0);
            head_gains(program, source, index / 2, &mut out)?;
            bias_bytes(program, source, index / 2, &mut out)?;
        }
    }
    out.resize(aux.norm_pair * (dims.layers + 1) * BEAT_BYTES, 0);
    Ok(out)
}

/// Appends the gains of the norms of a layer's heads, laid out as a head.
fn head_gains(program: &Program, source: &dyn ModelSource, layer: usize, out: &mut Vec<u8>) -> Result<()> {
    let s = &program.layout.shape;
    for which in (0..2).filter(|_| s.head_norms) {
        let gains = source.head_norm(layer, which).filter(|g| g.len() == s.sizes.head_dim);
        let gains = gains.ok_or_else(|| {
            model(format!("layer {layer} has no norms of heads, or of another width"), "quantize it again")
        })?;
        let at = |o| source_row(s, Linear::K, o).and_then(|i| gains.get(i)).copied().unwrap_or(0);
        out.extend((0..s.hdp).flat_map(|o| at(o).to_le_bytes()));
    }
    Ok(())
}

/// Appends the biases of a layer, laid out as the outputs of its linears.
fn bias_bytes(program: &Program, source: &dyn ModelSource, layer: usize, out: &mut Vec<u8>) -> Result<()> {
    let s = &program.layout.shape;
    for linear in &s.biases {
        let bias = source.bias(layer, *linear);
        if bias.len() != s.sizes.linear(*linear).0 {
            let what = format!("layer {layer} has {} biases of {}", bias.len(), linear.name());
            return Err(model(what, "quantize it again"));
        }
        let row = |o| source_row(s, *linear, o).and_then(|r| bias.get(r)).copied().unwrap_or(0);
        let end = out.len() + 4 * s.bias_rows(*linear);
        out.extend((0..s.rows(*linear)).flat_map(|o| row(o).to_le_bytes()));
        out.resize(end, 0);
    }
    Ok(())
}

/// For each group of KV heads of a layer the index of its leading RoPE pair; nothing where the model has only one.
fn lead_ids(program: &Program, source: &dyn ModelSource, layer: usize) -> Result<Vec<i16>> {
    let s = &program.layout.shape;
    if !s.led() {
        return Ok(Vec::new());
    }
    let bad = || model(format!("layer {layer} has other leading RoPE pairs"), "compile the model again");
    let leads = source.leads(layer);
    let leads = if leads.is_empty() { Cow::Owned(vec![0; s.sizes.kv_heads]) } else { leads };
    if leads.len() != s.sizes.kv_heads {
        return Err(bad());
    }
    let id = |group: &[u8]| {
        let lead = group.first().filter(|lead| group.iter().all(|l| l == *lead));
        let index = lead.and_then(|lead| s.leads.binary_search(lead).ok());
        index.map(|i| i as i16).ok_or_else(bad)
    };
    leads.chunks(s.sizes.kv_heads / s.rope_groups).map(id).collect()
}

/// One embedding row, `out` as laid out.
fn embed_row(source: &dyn ModelSource, token: usize, out: &mut [u8]) -> Result<()> {
    let row = source.embed(token);
    let row =
        row.ok_or_else(|| model(format!("token {token} has no embedding"), "quantize the model again"))?;
    for (to, v) in out.as_chunks_mut::<2>().0.iter_mut().zip(row.iter()) {
        *to = v.to_le_bytes();
    }
    Ok(())
}
