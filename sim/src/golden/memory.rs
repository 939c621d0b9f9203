//! Memories that the executor reads and writes, and a plain sparse one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use accllm_hw::beat::Beat;
use accllm_hw::config::BEAT_BYTES;

use crate::memory::{Store, StoreError};

/// One memory port of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// A memory channel.
    Channel(usize),
    /// Auxiliary memory.
    Aux,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(c) => write!(f, "channel {c}"),
            Self::Aux => f.write_str("auxiliary memory"),
        }
    }
}

/// A memory refused an access.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{port}, beat {beat}: {why}")]
pub struct MemoryError {
    /// The port.
    pub port: Port,
    /// The beat, from the port's base.
    pub beat: u64,
    /// What is wrong.
    pub why: String,
}

/// Channel memories and one auxiliary memory, addressed in beats from each port's base.
pub trait Memory: Sync {
    /// At least one and at most `max` (≥ 1) beats that follow each other from `beat`.
    ///
    /// # Errors
    /// The port or the beat does not exist.
    fn beats(&self, port: Port, beat: u64, max: usize) -> Result<&[Beat], MemoryError>;

    /// Writes the bytes of `data` whose bit is set in `strobe`.
    ///
    /// # Errors
    /// The port or the beat does not exist.
    fn write(&mut self, port: Port, beat: u64, data: &Beat, strobe: u64) -> Result<(), MemoryError>;

    /// One beat.
    ///
    /// # Errors
    /// The port or the beat does not exist.
    fn read_beat(&self, port: Port, beat: u64) -> Result<Beat, MemoryError> {
        let got = self.beats(port, beat, 1)?;
        got.first().copied().ok_or_else(|| MemoryError { port, beat, why: "no such beat".into() })
    }
}

/// Beats of a page of [`Image`].
const PAGE: usize = 256;

type Page = Arc<[Beat; PAGE]>;
type Pages = BTreeMap<u64, Page>;

/// A sparse memory image: pages exist once they are written. Clones share pages until one of them writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    channels: Vec<Pages>,
    aux: Pages,
    /// What pages that do not exist read as.
    blank: Page,
}

impl Image {
    /// An image of zeros with that many channels.
    pub fn new(channels: usize) -> Self {
        Self::with_fill(channels, 0)
    }

    /// An image in which memory that was never written reads as `word`, over and over.
    pub fn with_fill(channels: usize, word: u32) -> Self {
        let bytes = word.to_le_bytes();
        let beat = std::array::from_fn(|i| bytes[i % 4]);
        Self { channels: vec![Pages::new(); channels], aux: Pages::new(), blank: Arc::new([beat; PAGE]) }
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// Writes whole beats from `beat` on.
    ///
    /// # Errors
    /// The port does not exist.
    pub fn put(&mut self, port: Port, beat: u64, beats: &[Beat]) -> Result<(), MemoryError> {
        for (i, b) in (beat..).zip(beats) {
            self.write(port, i, b, u64::MAX)?;
        }
        Ok(())
    }

    /// Writes bytes from the start of `beat` on; the rest of the last beat keeps its contents.
    ///
    /// # Errors
    /// The port does not exist.
    pub fn put_bytes(&mut self, port: Port, beat: u64, bytes: &[u8]) -> Result<(), MemoryError> {
        for (i, part) in (beat..).zip(bytes.chunks(BEAT_BYTES)) {
            let mut data = [0; BEAT_BYTES];
            data[..part.len()].copy_from_slice(part);
            self.write(port, i, &data, u64::MAX >> (BEAT_BYTES - part.len()))?;
        }
        Ok(())
    }

    /// Beats of `port` that lie in pages which have been written, in order.
    pub fn written(&self, port: Port) -> impl Iterator<Item = (u64, &Beat)> {
        let pages = match port {
            Port::Aux => Some(&self.aux),
            Port::Channel(c) => self.channels.get(c),
        };
        pages.into_iter().flatten().flat_map(|(page, beats)| (page * PAGE as u64..).zip(beats.iter()))
    }

    /// Copies the written pages of `port` to the memory of a simulated port, from byte address `base` on.
    /// What was never written is the same on both sides if this image is [`Image::with_fill`] of
    /// [`crate::memory::POISON`].
    ///
    /// # Errors
    /// The store is too small.
    pub fn copy_to(&self, port: Port, store: &mut Store, base: u64) -> Result<(), StoreError> {
        self.written(port).try_for_each(|(beat, data)| store.write(base + beat * BEAT_BYTES as u64, data))
    }
}

fn no_channel(port: Port, beat: u64, channels: usize) -> MemoryError {
    MemoryError { port, beat, why: format!("the image has {channels} channels") }
}

impl Memory for Image {
    fn beats(&self, port: Port, beat: u64, max: usize) -> Result<&[Beat], MemoryError> {
        let pages = match port {
            Port::Aux => &self.aux,
            Port::Channel(c) => {
                self.channels.get(c).ok_or_else(|| no_channel(port, beat, self.channels.len()))?
            }
        };
        let page = pages.get(&(beat / PAGE as u64)).unwrap_or(&self.blank);
        let at = (beat % PAGE as u64) as usize;
        Ok(&page[at..PAGE.min(at.saturating_add(max.max(1)))])
    }

    fn write(&mut self, port: Port, beat: u64, data: &Beat, strobe: u64) -> Result<(), MemoryError> {
        let channels = self.channels.len();
        let pages = match port {
            Port::Aux => &mut self.aux,
            Port::Channel(c) => self.channels.get_mut(c).ok_or_else(|| no_channel(port, beat, channels))?,
        };
        let page = pages.entry(beat / PAGE as u64).or_insert_with(|| self.blank.clone());
        let out = &mut Arc::make_mut(page)[(beat % PAGE as u64) as usize];
        for (i, (o, d)) in out.iter_mut().zip(data).enumerate() {
            if strobe >> i & 1 == 1 {
                *o = *d;
            }
        }
        Ok(())
    }
}
