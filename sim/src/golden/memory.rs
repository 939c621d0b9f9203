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

/// One memory of an [`Image`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Contents {
    /// Whole beats from beat 0 on where there is no page.
    below: Arc<Vec<u8>>,
    pages: Pages,
}

impl Contents {
    /// Beats that are below all pages.
    fn shared(&self) -> &[Beat] {
        self.below.as_chunks().0
    }

    /// Beats from `beat` on that lie together, at most `max`.
    fn beats<'a>(&'a self, blank: &'a Page, beat: u64, max: usize) -> &'a [Beat] {
        let (page, at) = (beat / PAGE as u64, (beat % PAGE as u64) as usize);
        let in_page = |p: &'a Page| &p[at..PAGE.min(at.saturating_add(max))];
        if let Some(page) = self.pages.get(&page) {
            return in_page(page);
        }
        let shared = usize::try_from(beat).ok().and_then(|b| self.shared().get(b..)).unwrap_or(&[]);
        if shared.is_empty() {
            return in_page(blank);
        }
        let next = self.pages.range(page..).next().map_or(u64::MAX, |(next, _)| next * PAGE as u64 - beat);
        &shared[..max.min(shared.len()).min(usize::try_from(next).unwrap_or(usize::MAX))]
    }

    /// The page of a beat, to write.
    fn page(&mut self, blank: &Page, beat: u64) -> &mut [Beat; PAGE] {
        let page = beat / PAGE as u64;
        let Self { below, pages } = self;
        let page = pages.entry(page).or_insert_with(|| {
            let mut new = blank.clone();
            let shared: &[Beat] = below.as_chunks().0;
            let shared =
                usize::try_from(page * PAGE as u64).ok().and_then(|b| shared.get(b..)).unwrap_or(&[]);
            if !shared.is_empty() {
                let count = shared.len().min(PAGE);
                Arc::make_mut(&mut new)[..count].copy_from_slice(&shared[..count]);
            }
            new
        });
        Arc::make_mut(page)
    }
}

/// A sparse memory image: pages exist once they are written; contents below them may be shared with others. Clones
/// share pages until one of them writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    channels: Vec<Contents>,
    aux: Contents,
    /// What reads that find nothing give.
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
        let blank = Arc::new([beat; PAGE]);
        Self { channels: vec![Contents::default(); channels], aux: Contents::default(), blank }
    }

    /// An image with these contents (of whole beats), zeros after them. They are shared: pages are copied when they are
    /// written to.
    pub fn shared(channels: &[Arc<Vec<u8>>], aux: &Arc<Vec<u8>>) -> Self {
        let contents = |below: &Arc<Vec<u8>>| Contents { below: below.clone(), pages: Pages::new() };
        let (channels, aux) = (channels.iter().map(contents).collect(), contents(aux));
        Self { channels, aux, ..Self::new(0) }
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

    fn contents(&self, port: Port) -> Option<&Contents> {
        match port {
            Port::Aux => Some(&self.aux),
            Port::Channel(c) => self.channels.get(c),
        }
    }

    fn contents_mut(&mut self, port: Port, beat: u64) -> Result<(&mut Contents, &Page), MemoryError> {
        let channels = self.channels.len();
        let found = match port {
            Port::Aux => Some(&mut self.aux),
            Port::Channel(c) => self.channels.get_mut(c),
        };
        found.map(|f| (f, &self.blank)).ok_or_else(|| no_channel(port, beat, channels))
    }

    /// Beats of `port` that lie in pages which have been written, in order; not those of shared contents.
    pub fn written(&self, port: Port) -> impl Iterator<Item = (u64, &Beat)> {
        let pages = self.contents(port).into_iter().flat_map(|c| &c.pages);
        pages.flat_map(|(page, beats)| (page * PAGE as u64..).zip(beats.iter()))
    }

    /// Copies shared contents and the written pages of `port` to the memory of a simulated port, from byte address `base` on.
    /// What was never written is the same on both sides if this image is [`Image::with_fill`] of
    /// [`crate::memory::POISON`].
    ///
    /// # Errors
    /// The store is too small.
    pub fn copy_to(&self, port: Port, store: &mut Store, base: u64) -> Result<(), StoreError> {
        self.contents(port).map_or(Ok(()), |c| store.write(base, &c.below))?;
        self.written(port).try_for_each(|(beat, data)| store.write(base + beat * BEAT_BYTES as u64, data))
    }
}

fn no_channel(port: Port, beat: u64, channels: usize) -> MemoryError {
    MemoryError { port, beat, why: format!("the image has {channels} channels") }
}

impl Memory for Image {
    fn beats(&self, port: Port, beat: u64, max: usize) -> Result<&[Beat], MemoryError> {
        let contents = self.contents(port).ok_or_else(|| no_channel(port, beat, self.channels.len()))?;
        Ok(contents.beats(&self.blank, beat, max.max(1)))
    }

    fn write(&mut self, port: Port, beat: u64, data: &Beat, strobe: u64) -> Result<(), MemoryError> {
        let (contents, blank) = self.contents_mut(port, beat)?;
        let out = &mut contents.page(blank, beat)[(beat % PAGE as u64) as usize];
        for (i, (o, d)) in out.iter_mut().zip(data).enumerate() {
            if strobe >> i & 1 == 1 {
                *o = *d;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_contents_are_copied_when_written() -> Result<(), MemoryError> {
        let beats = 3 * PAGE / 2;
        let below = Arc::new((0..beats * BEAT_BYTES).map(|i| (i * 7 / 3) as u8).collect::<Vec<u8>>());
        let mut a = Image::shared(std::slice::from_ref(&below), &Arc::default());
        let b = a.clone();
        let port = Port::Channel(0);
        // Everything lies together until a page is written.
        assert_eq!(a.beats(port, 1, usize::MAX)?.as_flattened(), &below[BEAT_BYTES..]);
        a.write(port, PAGE as u64 + 3, &[0x5a; BEAT_BYTES], 2)?;
        let mut want = below.to_vec();
        want[(PAGE + 3) * BEAT_BYTES + 1] = 0x5a;
        for (image, want) in [(&a, &want), (&b, below.as_ref())] {
            let (mut at, mut found) = (0, Vec::new());
            while at < beats as u64 {
                let part = image.beats(port, at, beats - at as usize)?;
                found.extend_from_slice(part.as_flattened());
                at += part.len() as u64;
            }
            assert!(found == *want);
        }
        assert_eq!((a.written(port).count(), b.written(port).count()), (PAGE, 0));
        // Behind the contents, in a page that exists and in one that does not.
        assert_eq!(a.read_beat(port, beats as u64)?, [0; BEAT_BYTES]);
        assert_eq!(a.read_beat(port, 9 * PAGE as u64)?, [0; BEAT_BYTES]);
        Ok(())
    }
}
