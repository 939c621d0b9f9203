//! Files that appear under their name complete or not at all.

use std::path::Path;

/// Puts what `write` writes under a temporary name in the place of `path`.
pub(crate) fn replace<E: From<std::io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let partial = path.with_extension("partial");
    let written = write(&partial).and_then(|()| Ok(std::fs::rename(&partial, path)?));
    if written.is_err() {
        // Best effort: the first error is the one to report.
        let _ = std::fs::remove_file(&partial);
    }
    written
}
