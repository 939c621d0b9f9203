//! Upload of the memory image, checked.

use super::handles::Way;
use super::{PAGE, Xrt};
use crate::progress::Progress;
use crate::{Error, Result};
use accllm_compiler::MemoryImage;

/// Bytes that are moved at once.
const CHUNK: usize = 8 << 20;
/// What the host's copy is filled with before it is read back, xor the data: nothing that was left there can pass.
const MARK: u8 = 0xa5;

/// Bytes of the buffer of each master.
pub fn sizes(image: &MemoryImage) -> Vec<usize> {
    let parts = image.channels.iter().chain([&image.aux]);
    parts.map(|b| b.len().next_multiple_of(PAGE).max(PAGE)).collect()
}

impl Xrt {
    /// Uploads the image to the buffers and, if that is wanted, reads it back and compares.
    pub(super) fn upload(&mut self, image: &MemoryImage, progress: &dyn Progress) -> Result<()> {
        let bytes: usize = image.channels.iter().chain([&image.aux]).map(|b| b.len()).sum();
        progress.begin("uploading", bytes as u64);
        let done = self.move_parts(image, progress);
        progress.end();
        done
    }

    fn move_parts(&mut self, image: &MemoryImage, progress: &dyn Progress) -> Result<()> {
        let parts: Vec<&[u8]> = image.channels.iter().chain([&image.aux]).map(|b| b.as_slice()).collect();
        for (buffer, part) in parts.into_iter().enumerate() {
            for (chunk, at) in part.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
                self.host_copy(buffer, at, chunk.len())?.copy_from_slice(chunk);
                self.sync(buffer, Way::ToCard, at, chunk.len())?;
                if self.verify {
                    self.read_back(buffer, at, chunk)?;
                }
                progress.advance(chunk.len() as u64);
            }
        }
        Ok(())
    }

    fn read_back(&mut self, buffer: usize, at: usize, chunk: &[u8]) -> Result<()> {
        let marked = self.host_copy(buffer, at, chunk.len())?;
        marked.iter_mut().zip(chunk).for_each(|(m, c)| *m = c ^ MARK);
        self.sync(buffer, Way::FromCard, at, chunk.len())?;
        let back = self.host_copy(buffer, at, chunk.len())?;
        if back == chunk {
            return Ok(());
        }
        let first = back.iter().zip(chunk).position(|(b, c)| b != c).unwrap_or(0);
        let wrong = back.iter().zip(chunk).filter(|(b, c)| b != c).count();
        let (is, was) = (back[first], chunk[first]);
        let address = self.places.get(buffer).map_or(0, |p| p.address) + (at + first) as u64;
        let name = &self.kernel.masters[buffer].name;
        Err(Error::Xrt(format!(
            "the upload was damaged: {wrong} bytes differ when read back, the first at byte {} of {name}'s memory \
             (address {address:#x}): {is:#04x}, was {was:#04x}",
            at + first
        )))
    }

    fn host_copy(&mut self, buffer: usize, at: usize, len: usize) -> Result<&mut [u8]> {
        let place = self.places.get_mut(buffer).and_then(|p| p.map.bytes().get_mut(at..at + len));
        place.ok_or_else(|| Error::Xrt(format!("the card's buffer {buffer} ends before byte {}", at + len)))
    }
}
