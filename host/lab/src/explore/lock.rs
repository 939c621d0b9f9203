//! A lock on a folder.

use crate::{Error, Result};
use std::fs::File;
use std::path::Path;

/// Keeps other processes that ask for it from `folder` while the value lives.
///
/// # Errors
/// The lock's file cannot be made.
pub fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(".lock");
    let io = |e| Error::io("write", &path, e);
    let file = File::options().create(true).append(true).open(&path).map_err(io)?;
    file.lock().map_err(io)?;
    Ok(file)
}
