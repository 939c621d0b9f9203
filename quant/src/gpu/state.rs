//! The state of a training on a device, kept on disk from time to time: whatever ends the process, the last one is whole.
//!
//! A file of the tensors one after another (f32, little-endian), after a line that says after which step, and after how many
//! seconds, it was kept.

use super::device::{Ptr, fetch, put};
use super::optimizer::{Optimizer, Table};
use super::shape::{flat_gains, flat_layer};
use crate::file::replace;
use accllm_llm::float::FloatModel;
use accllm_llm::{Error, Result};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;

/// Its name as a kind of file.
const KIND: &str = "training state";
const TITLE: &str = "accllm training state 3: after step";

/// What is kept, with its size, in pieces that need little memory of the host.
fn parts(o: &Optimizer<'_>) -> Vec<(Ptr, usize)> {
    let (s, each) = (o.shape, o.shape.layer());
    let layers = |at: Ptr| (0..s.sizes.layers).map(move |l| (at.f32s(l * each), each));
    let gains = [o.gains].into_iter().chain(o.gain_moments).map(|at| (at, s.norms() * s.sizes.hidden));
    let tables = [Some(o.embed), o.own_head].into_iter().flatten();
    let tables = tables.flat_map(|t| [t.weights, t.moments[0], t.moments[1]]).map(|at| (at, s.table()));
    layers(o.layers).chain(layers(o.moment)).chain(gains).chain(tables).collect()
}

/// Keeps the state after `steps` steps and so many seconds.
pub(super) fn keep(o: &Optimizer<'_>, steps: usize, seconds: f64, path: &Path) -> Result<()> {
    let failed = |e| Error::io("write", path, e);
    let mut device_failed = None;
    replace(path, |partial| {
        let mut file = File::create(partial)?;
        writeln!(file, "{TITLE} {steps} {seconds}")?;
        for (at, count) in parts(o) {
            let mut bytes = vec![0u8; 4 * count];
            if let Err(e) = o.device.download(at, &mut bytes) {
                device_failed = Some(e);
                return Err(std::io::Error::other("the device failed"));
            }
            file.write_all(&bytes)?;
        }
        file.sync_all()
    })
    .map_err(|e: std::io::Error| device_failed.unwrap_or_else(|| failed(e)))
}

/// Takes the state from `path`; the steps it has seen and the seconds they took, 0 where there is none.
pub(super) fn take(o: &Optimizer<'_>, path: &Path) -> Result<(usize, f64)> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((0, 0.0)),
        Err(e) => return Err(Error::io("open", path, e)),
    };
    let damaged =
        |why: String| Error::malformed(path, KIND, format!("{why} (delete it to train from the beginning)"));
    let mut file = BufReader::new(file);
    let mut line = String::new();
    file.read_line(&mut line).map_err(|e| damaged(e.to_string()))?;
    let numbers = line.strip_prefix(TITLE).and_then(|s| s.trim().split_once(' '));
    let done = numbers.and_then(|(steps, seconds)| Some((steps.parse().ok()?, seconds.parse().ok()?)));
    let done: (usize, f64) = done.ok_or_else(|| damaged("its first line names no step and time".into()))?;
    for (at, count) in parts(o) {
        let mut bytes = vec![0u8; 4 * count];
        file.read_exact(&mut bytes).map_err(|e| damaged(e.to_string()))?;
        o.device.upload(at, &bytes)?;
    }
    match file.read(&mut [0]) {
        Ok(0) => Ok(done),
        _ => Err(damaged("there is more in it than the weights".into())),
    }
}

/// The text kept in `path`, if there is one of `count` tokens below `vocab`.
pub(super) fn kept_text(path: &Path, count: usize, vocab: usize) -> Result<Option<Vec<u32>>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read", path, e)),
    };
    let (words, rest) = bytes.as_chunks::<4>();
    let text: Vec<u32> = words.iter().map(|w| u32::from_le_bytes(*w)).collect();
    if !rest.is_empty() || text.len() != count || text.iter().any(|t| *t as usize >= vocab) {
        let why = format!(
            "it has {} tokens, not {count} below {vocab} (delete it to write the text again)",
            text.len()
        );
        return Err(Error::malformed(path, "kept text", why));
    }
    Ok(Some(text))
}

/// Keeps a text.
pub(super) fn keep_text(path: &Path, text: &[u32]) -> Result<()> {
    let bytes: Vec<u8> = text.iter().flat_map(|t| t.to_le_bytes()).collect();
    replace(path, |partial| std::fs::write(partial, &bytes))
        .map_err(|e: std::io::Error| Error::io("write", path, e))
}

/// The trained weights of layer `l`.
pub(super) fn layer(o: &Optimizer<'_>, l: usize) -> Result<Vec<f32>> {
    fetch(o.device, o.layers.f32s(l * o.shape.layer()), o.shape.layer())
}

/// What was trained beside the layers.
pub(super) struct Rest {
    pub gains: Vec<f32>,
    pub embed: Vec<f32>,
    /// The head, where it is a weight of its own.
    pub own_head: Option<Vec<f32>>,
}

/// The trained gains, embedding and head.
pub(super) fn rest(o: &Optimizer<'_>) -> Result<Rest> {
    let s = o.shape;
    let table = |t: Table| fetch(o.device, t.weights, s.table());
    let gains = fetch(o.device, o.gains, s.norms() * s.sizes.hidden)?;
    Ok(Rest { gains, embed: table(o.embed)?, own_head: o.own_head.map(table).transpose()? })
}

/// Starts at a model's weights.
pub(super) fn begin(o: &Optimizer<'_>, model: &FloatModel) -> Result<()> {
    for (l, w) in model.layers.iter().enumerate() {
        put(o.device, o.layers.f32s(l * o.shape.layer()), &flat_layer(&*w?))?;
    }
    put(o.device, o.gains, &flat_gains(model)?)?;
    put(o.device, o.embed.weights, &model.embed.data)?;
    o.own_head.map_or(Ok(()), |t| put(o.device, t.weights, &model.head().data))
}
