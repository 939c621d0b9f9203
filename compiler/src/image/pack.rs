//! Packing the weight stream of one instruction and channel.

use super::{ModelSource, Row, RowSpace, source_row};
use crate::error::{Error, Result};
use crate::layout::{Shape, Stream};
use accllm_hw::beat::{Beat, SCALE_BYTES, WeightFormat, group_w2s, pack_w2d, pack_w2s, pack_w4, row_param};
use accllm_hw::config::{BEAT_BYTES, GROUP, PARAMS};
use accllm_hw::sizes::Linear;

/// Appends the stream of `channel` to `out` (docs/formats.md §2).
///
/// # Errors
/// The tensor has another size than the layout, or levels that its format cannot hold.
pub fn stream_bytes(
    shape: &Shape,
    stream: &Stream,
    model: &dyn ModelSource,
    channel: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    let cols = shape.cols(stream.linear);
    let start = out.len();
    let source =
        |step: usize| source_row(shape, stream.linear, stream.chunk.first + step * shape.channels + channel);
    let padding = Padding::of(shape, stream.linear);
    let mut packer =
        Packer { format: stream.weight_format(), padding, params_at: 0, scale_at: None, values: 0, out };
    let mut space = RowSpace::default();
    for step in 0..stream.steps {
        if step % PARAMS == 0 {
            packer.params_at = packer.out.len();
            packer.out.extend_from_slice(&[0; BEAT_BYTES]);
        }
        let Some(r) = source(step) else {
            let padding = Row { level: &[], scale: &[], offset: &[], mult: 0, shift: 0 };
            packer.row(&padding, stream.row_beats).map_err(Error::Internal)?;
            continue;
        };
        let bad = |what| Error::Weights { tensor: stream.name(), row: r, what };
        let row = model.row(stream.layer, stream.linear, r, &mut space);
        let groups = cols / GROUP;
        let offsets = if stream.weight_format() == WeightFormat::W4 { groups } else { 0 };
        let sizes = |row: &Row<'_>| [row.level.len(), row.scale.len(), row.offset.len()];
        let row = row.filter(|row| sizes(row) == [cols, groups, offsets]);
        let row = row.ok_or_else(|| {
            bad(format!("it is missing, or does not have {cols} levels with their scales and offsets"))
        })?;
        packer.param(step % PARAMS, row_param(row.mult, row.shift));
        packer.row(&row, stream.row_beats).map_err(bad)?;
    }
    let bytes = packer.out.len() - start;
    if bytes != stream.beats * BEAT_BYTES {
        return Err(Error::Internal(format!("{}: {bytes} bytes for {} beats", stream.name(), stream.beats)));
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
            Linear::O => Self { block: shape.hds, used: shape.sizes.head_dim },
            _ => Self { block: usize::MAX, used: shape.sizes.linear(linear).1 },
        }
    }

    fn contains(&self, column: usize) -> bool {
        column % self.block >= self.used
    }

    /// A 2:4 group always keeps two columns. Where it has fewer levels, padding columns must be the others.
    fn complete(&self, first: usize, level: &mut [i8], scale: &[u8]) -> bool {
        level.as_chunks_mut::<4>().0.iter_mut().enumerate().all(|(i, quad)| {
            let Some((_, kept)) = group_w2s(quad) else { return false };
            let mut kept = usize::from(kept);
            if kept == 2 {
                return true;
            }
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
    /// Where the parameter beat in use begins.
    params_at: usize,
    /// Where the scale beat in use begins.
    scale_at: Option<usize>,
    /// Value beats so far.
    values: usize,
    out: &'o mut Vec<u8>,
}

impl Packer<'_> {
    /// Word `i` of the parameter beat in use.
    fn param(&mut self, i: usize, word: u32) {
        self.out[self.params_at + 4 * i..][..4].copy_from_slice(&word.to_le_bytes());
    }

    /// One row: `beats` value beats, with scale beats where they are due.
    fn row(&mut self, row: &Row<'_>, beats: usize) -> std::result::Result<(), String> {
        let columns = self.format.columns();
        let per_beat = columns / GROUP;
        for v in 0..beats {
            let mut level = [0i8; 256];
            let part = row.level.get(v * columns..).unwrap_or(&[]);
            let part = &part[..part.len().min(columns)];
            level[..part.len()].copy_from_slice(part);
            let mut scale = [0u8; SCALE_BYTES];
            let part = row.scale.get(v * per_beat..).unwrap_or(&[]);
            scale.iter_mut().zip(part).take(per_beat).for_each(|(to, s)| *to = *s);
            let part = row.offset.get(v * per_beat..).unwrap_or(&[]);
            scale[per_beat..].iter_mut().zip(part).for_each(|(to, o)| *to = o.cast_unsigned());
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
                let at = self.scale_at.unwrap_or(0) + nth * SCALE_BYTES;
                self.out[at..at + SCALE_BYTES].copy_from_slice(&scale);
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
