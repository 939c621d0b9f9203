//! Sparse memory contents: pages appear when they are written. What is below may be shared with others.

use super::signals::{BEAT_BYTES, Beat};
use std::sync::Arc;

/// Bytes in a page.
const PAGE: usize = 64 << 10;
/// Beats in a page.
const PAGE_BEATS: usize = PAGE / BEAT_BYTES;
/// The largest store.
const MAX_SIZE: u64 = 1 << 40;

/// What never-written memory reads as, in every 32-bit word.
pub const POISON: u32 = 0xbadc_0ffe;

/// A request outside the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The range does not lie inside the memory.
    #[error("{len} bytes at {addr:#x} do not lie inside a memory of {size:#x} bytes")]
    Range {
        /// First byte.
        addr: u64,
        /// Number of bytes.
        len: u64,
        /// Size of the memory.
        size: u64,
    },
    /// The size is not a positive multiple of 64 bytes up to 1 TiB.
    #[error("a memory of {0:#x} bytes is not possible: give a multiple of 64 bytes up to 1 TiB")]
    Size(u64),
}

struct Page {
    bytes: Box<[u8; PAGE]>,
    /// One bit per beat that has been written, in whole or in part.
    written: [u64; PAGE_BEATS / 64],
}

impl Page {
    /// A page that begins with the bytes of `below`.
    fn new(below: &[u8]) -> Box<Self> {
        let mut bytes = Box::new([0; PAGE]);
        for word in bytes.chunks_exact_mut(4) {
            word.copy_from_slice(&POISON.to_le_bytes());
        }
        let below = &below[..below.len().min(PAGE)];
        bytes[..below.len()].copy_from_slice(below);
        let mut page = Box::new(Self { bytes, written: [0; PAGE_BEATS / 64] });
        (0..below.len() / BEAT_BYTES).for_each(|b| page.mark(b));
        page
    }

    fn mark(&mut self, beat: usize) {
        self.written[beat / 64] |= 1 << (beat % 64);
    }

    fn is_written(&self, beat: usize) -> bool {
        self.written[beat / 64] >> (beat % 64) & 1 != 0
    }
}

/// The contents behind one memory port.
pub struct Store {
    size: u64,
    /// Contents from address 0 on where there is no page.
    below: Arc<Vec<u8>>,
    pages: Vec<Option<Box<Page>>>,
    unwritten_reads: u64,
    /// Counts the writes.
    version: u64,
    ahead: Ahead,
}

/// Beats that are copied at once for the port: one of them alone would wait for this computer's memory, and all channels
/// have their own.
const AHEAD: usize = 8;

/// A copy of a few beats, the next that a port is likely to read.
struct Ahead {
    /// Address of the first.
    addr: u64,
    count: usize,
    beats: [Beat; AHEAD],
    /// One bit for each that nobody has written.
    blank: u64,
    /// The copy is good for this version of the contents.
    version: u64,
}

impl Store {
    /// An empty memory of `size` bytes; host memory is only taken for pages that are written.
    pub fn new(size: u64) -> Result<Self, StoreError> {
        if size == 0 || size > MAX_SIZE || !size.is_multiple_of(BEAT_BYTES as u64) {
            return Err(StoreError::Size(size));
        }
        let ahead = Ahead { addr: 0, count: 0, beats: [[0; 16]; AHEAD], blank: 0, version: 0 };
        Ok(Self { size, below: Arc::default(), pages: Vec::new(), unwritten_reads: 0, version: 0, ahead })
    }

    /// A memory with these contents, which count as written. They are shared: pages are copied when they are written
    /// to. The length must be whole beats.
    pub fn shared(contents: Arc<Vec<u8>>) -> Result<Self, StoreError> {
        Ok(Self { below: contents.clone(), ..Self::new(contents.len() as u64)? })
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Beats that the port has read without anybody having written them.
    pub fn unwritten_reads(&self) -> u64 {
        self.unwritten_reads
    }

    /// Host memory held besides shared contents, in bytes.
    pub fn resident(&self) -> u64 {
        (self.pages.iter().flatten().count() * PAGE) as u64
    }

    /// Writes bytes from the host.
    pub fn write(&mut self, addr: u64, data: &[u8]) -> Result<(), StoreError> {
        self.check(addr, data.len())?;
        self.version += 1;
        let (mut at, mut rest) = (addr as usize, data);
        while !rest.is_empty() {
            let (offset, beats) = (at % PAGE, at % PAGE / BEAT_BYTES);
            let count = rest.len().min(PAGE - offset);
            let page = self.page(at / PAGE);
            page.bytes[offset..offset + count].copy_from_slice(&rest[..count]);
            (beats..=(offset + count - 1) / BEAT_BYTES).for_each(|b| page.mark(b));
            at += count;
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Reads bytes to the host; never-written bytes read as [`POISON`] and are not counted.
    pub fn read(&self, addr: u64, data: &mut [u8]) -> Result<(), StoreError> {
        self.check(addr, data.len())?;
        let (mut at, mut rest) = (addr as usize, data);
        while !rest.is_empty() {
            let offset = at % PAGE;
            let count = rest.len().min(PAGE - offset);
            let (now, later) = rest.split_at_mut(count);
            match (self.pages.get(at / PAGE), self.below.get(at..)) {
                (Some(Some(page)), _) => now.copy_from_slice(&page.bytes[offset..offset + count]),
                (_, below) => {
                    let (shared, poison) = now.split_at_mut(below.map_or(0, <[u8]>::len).min(count));
                    shared.copy_from_slice(below.map_or(&[], |b| &b[..shared.len()]));
                    for (i, byte) in (shared.len()..).zip(poison) {
                        *byte = POISON.to_le_bytes()[(offset + i) % 4];
                    }
                }
            }
            at += count;
            rest = later;
        }
        Ok(())
    }

    /// Reads the beat at an address (rounded down to a beat) for the port; `None` beyond the end.
    #[inline]
    pub fn read_beat(&mut self, addr: u64, beat: &mut Beat) -> Option<()> {
        if addr >= self.size {
            return None;
        }
        let mut i = (addr.wrapping_sub(self.ahead.addr) / BEAT_BYTES as u64) as usize;
        if i >= self.ahead.count || self.ahead.version != self.version {
            self.read_ahead(addr - addr % BEAT_BYTES as u64);
            i = 0;
        }
        *beat = self.ahead.beats[i];
        self.unwritten_reads += self.ahead.blank >> i & 1;
        Some(())
    }

    /// Copies the beats from `addr` on, to the end of a page at most.
    fn read_ahead(&mut self, addr: u64) {
        let (number, first) = (addr as usize / PAGE, addr as usize % PAGE / BEAT_BYTES);
        let ahead = &mut self.ahead;
        let most = AHEAD.min(PAGE_BEATS - first);
        let page = self.pages.get(number).and_then(Option::as_ref);
        let from = match page {
            Some(page) => &page.bytes[first * BEAT_BYTES..],
            None => self.below.get(addr as usize..).unwrap_or(&[]),
        };
        let from = from.as_chunks::<BEAT_BYTES>().0;
        (ahead.addr, ahead.version, ahead.blank) = (addr, self.version, 0);
        // What follows shared contents is blank: one such beat at a time.
        ahead.count = most.min(from.len()).max(1);
        for (i, beat) in ahead.beats[..ahead.count].iter_mut().enumerate() {
            let Some(bytes) = from.get(i) else {
                *beat = [POISON; 16];
                ahead.blank = 1;
                return;
            };
            for (word, bytes) in beat.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *word = u32::from_le_bytes(*bytes);
            }
            ahead.blank |= u64::from(page.is_some_and(|p| !p.is_written(first + i))) << i;
        }
    }

    /// Writes the bytes of a beat whose strobe bit is set; `None` beyond the end.
    #[inline]
    pub fn write_beat(&mut self, addr: u64, beat: &Beat, strobe: u64) -> Option<()> {
        if addr >= self.size {
            return None;
        }
        if strobe == 0 {
            return Some(());
        }
        self.version += 1;
        let (page, index) = (addr as usize / PAGE, addr as usize % PAGE / BEAT_BYTES);
        let page = self.page(page);
        page.mark(index);
        let bytes = &mut page.bytes[index * BEAT_BYTES..(index + 1) * BEAT_BYTES];
        for (i, (word, bytes)) in beat.iter().zip(bytes.as_chunks_mut::<4>().0).enumerate() {
            let lanes = strobe >> (4 * i) & 0xf;
            if lanes == 0xf {
                *bytes = word.to_le_bytes();
            } else {
                for (lane, value) in word.to_le_bytes().into_iter().enumerate() {
                    if lanes >> lane & 1 != 0 {
                        bytes[lane] = value;
                    }
                }
            }
        }
        Some(())
    }

    fn check(&self, addr: u64, len: usize) -> Result<(), StoreError> {
        let len = len as u64;
        match addr.checked_add(len) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(StoreError::Range { addr, len, size: self.size }),
        }
    }

    fn page(&mut self, index: usize) -> &mut Page {
        if index >= self.pages.len() {
            self.pages.resize_with(index + 1, || None);
        }
        let below = self.below.get(index * PAGE..).unwrap_or(&[]);
        self.pages[index].get_or_insert_with(|| Page::new(below))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({:#x} bytes, {:#x} resident)", self.size, self.resident())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_poison_and_limits() -> Result<(), StoreError> {
        let mut s = Store::new(1 << 30)?;
        let data: Vec<u8> = (0..200_000u32).map(|i| (i * 7) as u8).collect();
        s.write(PAGE as u64 - 13, &data)?;
        let mut back = vec![0; data.len() + 8];
        s.read(PAGE as u64 - 17, &mut back)?;
        assert_eq!(back[4..4 + data.len()], data);
        assert_eq!(back[3], POISON.to_le_bytes()[(PAGE - 14) % 4]);
        assert_eq!(s.resident(), 5 * PAGE as u64);
        let mut beat = [0; 16];
        assert_eq!(s.read_beat((1 << 30) - 64, &mut beat), Some(()));
        assert_eq!((beat[0], s.unwritten_reads()), (POISON, 1));
        assert_eq!(s.read_beat(0, &mut beat), Some(()));
        assert_eq!((beat[15], s.unwritten_reads()), (POISON, 2), "a page is not written as a whole");
        assert_eq!(s.read_beat(1 << 30, &mut beat), None);
        assert_eq!(s.write_beat(64, &[u32::MAX; 16], 0x10), Some(()));
        assert_eq!(s.read_beat(64, &mut beat), Some(()));
        assert_eq!((beat[0], beat[1], s.unwritten_reads()), (POISON, POISON | 0xff, 2));
        assert!(matches!(s.write(u64::MAX, &[0, 0]), Err(StoreError::Range { .. })));
        assert!(matches!(s.write((1 << 30) - 1, &[0, 0]), Err(StoreError::Range { .. })));
        assert!(matches!(Store::new(65), Err(StoreError::Size(65))));
        Ok(())
    }

    #[test]
    fn shared_contents_are_copied_when_written() -> Result<(), StoreError> {
        let contents: Arc<Vec<u8>> = Arc::new((0..3 * PAGE as u32 / 2).map(|i| (i * 7) as u8).collect());
        let [mut a, b] = [Store::shared(contents.clone())?, Store::shared(contents.clone())?];
        let read = |s: &Store| -> Result<Vec<u8>, StoreError> {
            let mut back = vec![0; contents.len()];
            s.read(0, &mut back)?;
            Ok(back)
        };
        let mut beat = [0; 16];
        assert_eq!((a.resident(), read(&a)?), (0, contents.to_vec()));
        // A strobed beat in the last, shorter page: neighbours keep what is shared, the other memory everything.
        let at = contents.len() - 64;
        assert_eq!(a.write_beat(at as u64, &[0x5a5a_5a5a; 16], 0xf), Some(()));
        let mut want = contents.to_vec();
        want[at..at + 4].fill(0x5a);
        assert_eq!((read(&a)?, read(&b)?), (want.clone(), contents.to_vec()));
        assert_eq!((a.resident(), b.resident()), (PAGE as u64, 0));
        for i in (0..want.len()).step_by(64) {
            assert_eq!(a.read_beat(i as u64, &mut beat), Some(()));
            assert_eq!(beat.map(u32::to_le_bytes).as_flattened(), &want[i..i + 64]);
        }
        assert_eq!((a.unwritten_reads(), a.read_beat(contents.len() as u64, &mut beat)), (0, None));
        assert!(matches!(Store::shared(Arc::new(vec![0; 65])), Err(StoreError::Size(65))));
        Ok(())
    }
}
