//! Output files that appear whole or not at all.

use crate::{Error, Result};
use std::io::Write as _;
use std::path::Path;

/// Writes `bytes` to `path`: first under a temporary name in the same folder, then renamed.
///
/// # Errors
/// The folder does not exist or cannot be written; `path` is then as it was before.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    refuse_folder(path)?;
    let mut file =
        tempfile::NamedTempFile::new_in(folder_of(path)).map_err(|e| Error::io("write", path, e))?;
    file.write_all(bytes).map_err(|e| Error::io("write", path, e))?;
    file.persist(path).map_err(|e| Error::io("write", path, e.error))?;
    Ok(())
}

/// Fails early, before minutes of work, when the file `path` could not be written at the end.
///
/// # Errors
/// As [`write_whole`].
pub fn check_file(path: &Path) -> Result<()> {
    refuse_folder(path)?;
    check_folder(path)
}

/// Fails early when nothing called `path` could be created.
///
/// # Errors
/// The folder that would hold it does not exist or cannot be written.
pub fn check_folder(path: &Path) -> Result<()> {
    tempfile::NamedTempFile::new_in(folder_of(path)).map(drop).map_err(|e| Error::io("write", path, e))
}

fn refuse_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        let path = path.display();
        return Err(Error::Argument(format!("cannot write {path}: it is a folder; give a file name")));
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let gone = dir.path().join("no/such/folder/a.bin");
        assert!(write_whole(&gone, b"x").unwrap_err().to_string().contains("no/such/folder"));
        assert!(check_file(&gone).is_err() && check_folder(&gone).is_err());
        assert!(check_file(dir.path()).is_err());
        assert!(write_whole(dir.path(), b"x").unwrap_err().to_string().contains("is a folder"));
    }
}
