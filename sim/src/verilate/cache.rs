//! Cache folders: built once under a lock, published by a rename.

use super::VerilateError;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Wraps an I/O error with what was being done.
pub fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> VerilateError {
    move |source| VerilateError::Io { what, path: path.to_path_buf(), source }
}

/// Returns the folder `cache/name`, filling it with `build` first if it does not exist.
///
/// `build` gets an empty temporary folder. A second process that wants the same folder waits; a
/// build that fails or is killed leaves no folder under the final name.
pub fn once<E: From<VerilateError>>(
    cache: &Path,
    name: &str,
    build: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<PathBuf, E> {
    let folder = cache.join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(cache).map_err(io("create", cache))?;
    let lock_path = cache.join(format!("{name}.lock"));
    let lock = File::create(&lock_path).map_err(io("create", &lock_path))?;
    lock.lock().map_err(io("lock", &lock_path))?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let temporary = cache.join(format!("{name}.part"));
    if temporary.exists() {
        fs::remove_dir_all(&temporary).map_err(io("clear", &temporary))?;
    }
    fs::create_dir(&temporary).map_err(io("create", &temporary))?;
    match build(&temporary) {
        Ok(()) => {
            fs::rename(&temporary, &folder).map_err(io("publish", &folder))?;
            Ok(folder)
        }
        Err(error) => {
            // The build's own error matters more than a leftover folder, which the next build clears.
            let _ = fs::remove_dir_all(&temporary);
            Err(error)
        }
    }
}
