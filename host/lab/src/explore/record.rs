//! Records: one JSON line a point, appended and flushed; a line that was torn off is dropped.

use super::evaluate::{Evaluated, Status};
use super::metric::Metrics;
use super::point::{Candidate, RTL, TOOL};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Longest line that is read; real ones have some thousand bytes.
const LONGEST: usize = 1 << 20;

/// Hashes of what made a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hashes {
    /// Instructions of the works' programs.
    pub program: String,
    /// Sources of the RTL.
    pub rtl: String,
    /// Sources of compiler, models and formulas.
    pub tool: String,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Hash of what was evaluated.
    pub key: String,
    /// What became of it.
    pub status: Status,
    /// The rule, the error, or what does not fit.
    #[serde(default)]
    pub why: String,
    /// Values of the axes.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Metrics; none unless the status is ok.
    #[serde(default)]
    pub metrics: Metrics,
    /// What made it.
    pub hashes: Hashes,
}

impl Record {
    /// Of an evaluated point.
    pub fn new(candidate: &Candidate, key: String, done: Evaluated) -> Self {
        let values = candidate.parameters.iter();
        let hashes = Hashes { program: done.program, rtl: RTL.into(), tool: TOOL.into() };
        Self {
            key,
            status: done.status,
            why: done.why,
            parameters: values
                .map(|(k, v)| (k.clone(), serde_json::to_value(v).unwrap_or_default()))
                .collect(),
            metrics: done.metrics,
            hashes,
        }
    }
}

/// A file of records, open for more, locked against other processes.
pub struct Writer {
    path: PathBuf,
    file: File,
    /// A line was torn: nothing may follow it.
    torn: bool,
}

impl Writer {
    /// Opens or creates it; a torn last line is cut off. Where another process writes it, `waits` is told once, and this
    /// one waits until that ends.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path, waits: &dyn Fn(&Path)) -> Result<Self> {
        let io = |e| Error::io("write", path, e);
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waits(path);
                file.lock().map_err(io)?;
            }
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
        let whole = whole(&mut file).map_err(io)?;
        file.set_len(whole).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        Ok(Self { path: path.to_owned(), file, torn: false })
    }

    /// Appends a record in one piece.
    ///
    /// # Errors
    /// It cannot be written; what was written before stays.
    pub fn append(&mut self, record: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(record).map_err(|e| Error::io("write", &self.path, e.into()))?;
        let done = match self.torn {
            true => Err(std::io::Error::other("a line before it was torn")),
            false => self.file.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.file.flush()),
        };
        done.map_err(|e| {
            self.torn = true;
            let what = "the points before it are kept: make room and give the same command again";
            Error::Argument(format!("cannot write {}: {e}; {what}", self.path.display()))
        })
    }
}

/// Bytes up to the end of the last whole line.
fn whole(file: &mut File) -> std::io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut piece = vec![0; 1 << 12];
    while end > 0 {
        let from = end.saturating_sub(piece.len() as u64);
        file.seek(SeekFrom::Start(from))?;
        let n = (end - from) as usize;
        std::io::Read::read_exact(file, &mut piece[..n])?;
        if let Some(at) = piece[..n].iter().rposition(|b| *b == b'\n') {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

/// Calls `each` with every record of a file, in order, one in memory at a time.
///
/// # Errors
/// The file cannot be read; a line in it is no record; what `each` returns.
pub fn read<R: for<'a> Deserialize<'a>>(path: &Path, mut each: impl FnMut(R) -> Result<()>) -> Result<()> {
    let io = |e| Error::io("read", path, e);
    let mut file = BufReader::new(File::open(path).map_err(io)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let n = std::io::Read::take(&mut file, LONGEST as u64).read_until(b'\n', &mut line).map_err(io)?;
        // What has no end of line is torn off, or being written by another process.
        if n == 0 || (line.last() != Some(&b'\n') && n < LONGEST) {
            return Ok(());
        }
        let record = serde_json::from_slice(&line).map_err(|e| {
            let path = path.display();
            let what = "remove that line, or the file; what is missing then is computed again";
            Error::Argument(format!("{path}, line {number} is no record: {e}; {what}"))
        })?;
        each(record)?;
    }
    Ok(())
}

/// The files of records in a folder, by name.
///
/// # Errors
/// The folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("read", folder, e)),
    };
    let mut all: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    all.retain(|p| p.extension().is_some_and(|e| e == "jsonl"));
    all.sort();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(path: &Path) -> Result<Vec<u32>> {
        let mut all = Vec::new();
        read(path, |n: u32| {
            all.push(n);
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn a_torn_line_is_dropped_and_garbage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        for text in ["", "1\n2\n", "1\n2\n3", "1\n2\n{\"k", "1\n2\n\u{fffd}"] {
            std::fs::write(&path, text).unwrap();
            let before = if text.is_empty() { vec![] } else { vec![1, 2] };
            assert_eq!(numbers(&path).unwrap(), before, "{text:?}");
            let mut writer = Writer::open(&path, &|_| unreachable!()).unwrap();
            writer.append(&7).unwrap();
            assert_eq!(numbers(&path).unwrap(), [before, vec![7]].concat(), "{text:?}");
        }
        std::fs::write(&path, "1\nx\n3\n").unwrap();
        let said = numbers(&path).unwrap_err().to_string();
        assert!(said.contains("x.jsonl, line 2 is no record") && said.contains("remove that line"), "{said}");
        std::fs::write(&path, "1".repeat(LONGEST + 5)).unwrap();
        assert!(numbers(&path).unwrap_err().to_string().contains("line 1"));
        std::fs::write(&path, [b"9".repeat(5000), b"\n1".to_vec()].concat()).unwrap();
        drop(Writer::open(&path, &|_| unreachable!()).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 5001);
    }
}
