//! Output files that appear whole or not at all.

use crate::{Error, Result};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path`: first under a temporary name in the same folder, then renamed.
///
/// # Errors
/// The folder does not exist or cannot be written; `path` is then as it was before.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = WholeFile::create(path)?;
    file.write_all(bytes).map_err(|e| Error::io("write", path, e))?;
    file.finish()
}

/// A file that is written piece by piece under a temporary name in its folder, and appears when it is finished; dropped
/// before, it leaves nothing.
pub struct WholeFile {
    path: PathBuf,
    file: BufWriter<tempfile::NamedTempFile>,
}

impl WholeFile {
    /// Begins.
    ///
    /// # Errors
    /// As [`write_whole`].
    pub fn create(path: &Path) -> Result<Self> {
        refuse_folder(path)?;
        let mut builder = tempfile::Builder::new();
        // As other files: what the user's mask leaves of this, not a temporary file's private mode.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder_of(path)).map_err(|e| Error::io("write", path, e))?;
        Ok(Self { path: path.to_path_buf(), file: BufWriter::with_capacity(1 << 16, file) })
    }

    /// The name that it will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// The last piece cannot be written, or the file not be renamed.
    pub fn finish(self) -> Result<()> {
        let Self { path, file } = self;
        let file = file.into_inner().map_err(|e| Error::io("write", &path, e.into_error()))?;
        file.persist(&path).map_err(|e| Error::io("write", &path, e.error))?;
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Makes the folder `path`: `fill` writes into one under a temporary name beside it, which is then renamed.
///
/// # Errors
/// There is something at `path` that is not an empty folder, or it cannot be written; nothing is left then. And what `fill`
/// says.
pub fn whole_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    check_new_folder(path)?;
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let work = builder.tempdir_in(folder_of(path)).map_err(|e| Error::io("write", path, e))?;
    fill(work.path())?;
    std::fs::rename(work.path(), path).map_err(|e| Error::io("rename to", path, e))?;
    // It has its name now, and is not removed.
    let _ = work.keep();
    Ok(())
}

/// Fails early when the folder `path` could not be made.
///
/// # Errors
/// There is something that is not an empty folder, or the folder that would hold it cannot be written.
pub fn check_new_folder(path: &Path) -> Result<()> {
    let empty = std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if path.exists() && !empty {
        let path = path.display();
        return Err(Error::Argument(format!(
            "cannot write {path}: it exists; choose an empty or new folder"
        )));
    }
    check_folder(path)
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
    fn folders_appear_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let wrong = whole_folder(&path, |f| {
            std::fs::write(f.join("x"), "half").unwrap();
            Err(Error::Argument("no more".into()))
        });
        assert!(wrong.unwrap_err().to_string().contains("no more"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let fill = |f: &Path| write_whole(&f.join("x"), b"all");
        std::fs::create_dir(&path).unwrap();
        whole_folder(&path, fill).unwrap();
        assert_eq!(std::fs::read(path.join("x")).unwrap(), b"all");
        assert!(whole_folder(&path, fill).unwrap_err().to_string().contains("empty or new folder"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

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
