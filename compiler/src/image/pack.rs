//! Packing the weight stream of one instruction and channel.

use super::source_row;
use crate::error::{Error, Result};
use crate::layout::{Shape, Stream};
use crate::spec::Linear;
use accllm_hw::beat::{Beat, WeightFormat, pack_w2d, pack_w2s, pack_w4, row_param, set_param};
use accllm_hw::config::{BEAT_BYTES, GROUP, PARAMS};
use accllm_quant::model::Linear as Weight;

/// Appends the stream of `channel` to `out` (docs/formats.md §2).
///
/// # Errors
/// The tensor has another size than the layout, or levels that its format cannot hold.
pub fn stream_bytes(
    shape: &Shape,
    stream: &Stream,
    weight: &Weight,
    channel: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    let cols = shape.cols(stream.linear);
    let groups = cols / GROUP;
    let rows = weight.rows;
    let fits = weight.level.len() == rows * cols
        && weight.scale.len() == rows * groups
        && weight.mult.len() == rows
        && weight.shift.len() == rows
        && rows == shape.checkpoint_size(stream.linear).0;
    if !fits {
        let what = format!("the tensor has {rows} rows of {} levels", weight.level.len() / rows.max(1));
        return Err(Error::Weights { tensor: stream.name(), row: 0, what });
    }
    let source =
        |step: usize| source_row(shape, stream.linear, stream.chunk.first + step * shape.channels + channel);
    let padding = Padding::of(shape, stream.linear);
    let mut packer = Packer { format: stream.weight_format(), padding, scale_at: None, values: 0, out };
    for step in 0..stream.steps {
        if step % PARAMS == 0 {
            let mut beat = [0; BEAT_BYTES];
            for i in 0..PARAMS.min(stream.steps - step) {
                if let Some(r) = source(step + i) {
                    set_param(&mut beat, i, row_param(weight.mult[r], weight.shift[r]));
                }
            }
            packer.out.extend_from_slice(&beat);
        }
        let row = source(step);
        let (levels, scales) = match row {
            Some(r) => (&weight.level[r * cols..][..cols], &weight.scale[r * groups..][..groups]),
            None => (&[][..], &[][..]),
        };
        let bad = |what| Error::Weights { tensor: stream.name(), row: row.unwrap_or(0), what };
        packer.row(levels, scales, stream.row_beats).map_err(bad)?;
    }
    Ok(())
}

/// Columns that hold no weight: from `used` on, in every `block`. Their activations are 0.
struct Padding {
    block: usize,
    used: usize,
}

impl Padding {
    fn of(shape: &Shape, linear: Linear) -> Self {
        match linear {
            Linear::O => Self { block: shape.hds, used: shape.dims.head_dim },
            _ => Self { block: usize::MAX, used: shape.checkpoint_size(linear).1 },
        }
    }

    fn contains(&self, column: usize) -> bool {
        column % self.block >= self.used
    }

    /// A 2:4 group always keeps two columns. Where it has fewer levels, padding columns must be the others.
    fn complete(&self, first: usize, level: &mut [i8], scale: &[u8]) -> bool {
        level.chunks_exact_mut(4).enumerate().all(|(i, quad)| {
            let mut kept = quad.iter().filter(|l| **l != 0).count();
            for (c, l) in quad.iter_mut().enumerate() {
                if kept < 2 && *l == 0 && self.contains(first + 4 * i + c) {
                    *l = WeightFormat::W2Sparse.levels()[0];
                    kept += 1;
                }
            }
            kept == 2 || kept < 2 && scale[4 * i / GROUP] == 0
        })
    }
}

struct Packer<'o> {
    format: WeightFormat,
    padding: Padding,
    /// Where the scale beat in use begins.
    scale_at: Option<usize>,
    /// Value beats so far.
    values: usize,
    out: &'o mut Vec<u8>,
}

impl Packer<'_> {
    /// One row: `beats` value beats, with scale beats where they are due.
    fn row(&mut self, levels: &[i8], scales: &[u8], beats: usize) -> std::result::Result<(), String> {
        let columns = self.format.columns();
        let per_beat = columns / GROUP;
        for v in 0..beats {
            let mut level = [0i8; 256];
            let part = levels.get(v * columns..).unwrap_or(&[]);
            let part = &part[..part.len().min(columns)];
            level[..part.len()].copy_from_slice(part);
            let mut scale = [0u8; 8];
            let part = scales.get(v * per_beat..).unwrap_or(&[]);
            let part = &part[..part.len().min(per_beat)];
            scale[..part.len()].copy_from_slice(part);
            let sparse = self.format == WeightFormat::W2Sparse;
            let complete = !sparse || self.padding.complete(v * columns, &mut level, &scale);
            let beat =
                self.beat(&level[..columns], &scale[..per_beat]).filter(|_| complete).ok_or_else(|| {
                    format!("columns {}.. do not fit the format {}", v * columns, self.format.name())
                })?;
            let chunk = self.format.scale_chunk();
            if chunk > 0 {
                let nth = self.values % chunk;
                if nth == 0 {
                    self.scale_at = Some(self.out.len());
                    self.out.extend_from_slice(&[0; BEAT_BYTES]);
                }
                let at = self.scale_at.unwrap_or(0) + nth * per_beat;
                self.out[at..at + per_beat].copy_from_slice(&scale[..per_beat]);
            }
            self.out.extend_from_slice(&beat);
            self.values += 1;
        }
        Ok(())
    }

    fn beat(&self, level: &[i8], scale: &[u8]) -> Option<Beat> {
        match self.format {
            WeightFormat::W2Sparse => pack_w2s(level, scale),
            WeightFormat::W2Dense => pack_w2d(level),
            WeightFormat::W4 => pack_w4(level),
        }
    }
}
