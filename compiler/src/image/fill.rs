//! Filling an image in memory, on all cores.

use super::{MemoryImage, ModelSource, check_source, code_bytes, embed_row, norm_bytes, stream_bytes};
use crate::error::{Error, Result};
use crate::layout::Stream;
use crate::program::Program;
use accllm_hw::config::BEAT_BYTES;
use rayon::prelude::*;
use std::sync::Arc;

/// The part of a channel that one stream fills.
struct Piece<'a> {
    channel: usize,
    stream: &'a Stream,
    bytes: &'a mut [u8],
}

/// The image of a model; `done` is told of finished bytes, from any thread.
///
/// # Errors
/// The model is not the one the program was compiled for, or a weight cannot be packed.
pub fn fill_image(
    program: &Program,
    source: &dyn ModelSource,
    done: &(dyn Fn(usize) + Sync),
) -> Result<MemoryImage> {
    check_source(program, source)?;
    let l = &program.layout;
    let mut channels = vec![Vec::new(); l.shape.channels];
    channels.iter_mut().for_each(|c| *c = vec![0; l.kv.end * BEAT_BYTES]);
    pieces(program, &mut channels)?.into_par_iter().try_for_each_init(Vec::new, |buffer, piece| {
        buffer.clear();
        stream_bytes(&l.shape, piece.stream, source, piece.channel, buffer)?;
        piece.bytes.copy_from_slice(buffer);
        done(buffer.len());
        Ok::<_, Error>(())
    })?;
    let mut aux = vec![0; l.aux.end * BEAT_BYTES];
    for (beat, bytes) in [(l.aux.program, code_bytes(program)), (l.aux.norms, norm_bytes(program, source)?)] {
        aux[beat * BEAT_BYTES..][..bytes.len()].copy_from_slice(&bytes);
    }
    let row = l.aux.embed_row * BEAT_BYTES;
    let embed = &mut aux[l.aux.embed * BEAT_BYTES..l.aux.ids * BEAT_BYTES];
    embed.par_chunks_exact_mut(row).enumerate().try_for_each(|(token, out)| {
        embed_row(source, token, out)?;
        done(row);
        Ok::<_, Error>(())
    })?;
    Ok(MemoryImage { channels: channels.into_iter().map(Arc::new).collect(), aux: Arc::new(aux) })
}

/// The channels cut up, stream by stream.
fn pieces<'a>(program: &'a Program, channels: &'a mut [Vec<u8>]) -> Result<Vec<Piece<'a>>> {
    let mut rests: Vec<&mut [u8]> = channels.iter_mut().map(Vec::as_mut_slice).collect();
    let (mut out, mut at) = (Vec::new(), 0);
    for stream in program.layout.weights.streams() {
        if stream.beat != at {
            return Err(Error::Internal(format!("{} does not follow the stream before it", stream.name())));
        }
        at += stream.beats;
        for (channel, rest) in rests.iter_mut().enumerate() {
            let (bytes, behind) = std::mem::take(rest)
                .split_at_mut_checked(stream.beats * BEAT_BYTES)
                .ok_or_else(|| Error::Internal(format!("{} passes the channel's end", stream.name())))?;
            *rest = behind;
            out.push(Piece { channel, stream, bytes });
        }
    }
    Ok(out)
}
