//! Reads little-endian values off the front of a byte slice. Nothing is allocated by a length that the file states.

use super::bad;
use crate::Result;
use std::path::Path;

/// A position in a file's bytes.
pub(super) struct Cursor<'a> {
    pub path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of `bytes`.
    pub fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self { path, bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: u64) -> Result<&'a [u8]> {
        let left = self.rest();
        match usize::try_from(n).ok().and_then(|n| left.get(..n)) {
            Some(part) => {
                self.at += part.len();
                Ok(part)
            }
            None => Err(bad(
                self.path,
                format!("byte {} wants {n} more bytes, and {} are left", self.at, left.len()),
            )),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64)?);
        Ok(out)
    }

    /// A 32-bit number.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A 64-bit number.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length and that many bytes of text.
    pub fn text(&mut self) -> Result<&'a str> {
        let n = self.u64()?;
        let at = self.at;
        std::str::from_utf8(self.take(n)?)
            .map_err(|e| bad(self.path, format!("the text at byte {at} is not UTF-8: {e}")))
    }
}
