//! Memory-mapped input files.

use crate::{Error, Result};
use memmap2::Mmap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A file that is read where it is.
pub(crate) struct MappedFile {
    path: PathBuf,
    map: Mmap,
}

impl MappedFile {
    /// Maps `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        // SAFETY: the map is read-only and private to this value. A file that another process truncates
        // while it is mapped can still fault; that is the accepted limit of memory-mapped input.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io("map", path, e))?;
        Ok(Self { path: path.to_path_buf(), map })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its contents.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Gives the memory behind `part` of [`MappedFile::bytes`] back; it is read again when it is needed.
    pub fn forget(&self, part: &[u8]) {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.map.as_ptr() as usize);
        if offset > self.map.len() || part.len() > self.map.len() - offset {
            return;
        }
        // SAFETY: the map is of a file and never written to, so that dropping pages loses nothing. A refusal of
        // the operating system changes only how much memory is in use.
        #[cfg(unix)]
        let _ = unsafe {
            self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, part.len())
        };
    }
}
