//! Files that were split into parts: `NAME-00001-of-00003.gguf` and so on, each with its number (from 0) and their count
//! in its keys.

use super::metadata::Metadata;
use crate::{Error, Result};
use std::path::PathBuf;

const COUNT: &str = "split.count";
const NUMBER: &str = "split.no";

/// The parts after the first.
pub(super) struct Parts {
    pub others: Vec<PathBuf>,
    /// Tensors of all parts, where the file says how many.
    pub tensors: Option<u64>,
}

/// The parts of the file whose first part this is.
pub(super) fn parts(m: &Metadata<'_>) -> Result<Parts> {
    let path = m.path();
    let count = match m.integer(COUNT)? {
        None | Some(0 | 1) => return Ok(Parts { others: Vec::new(), tensors: None }),
        Some(n) if n <= 99_999 => n,
        Some(n) => return Err(Error::config(&path, COUNT, format!("is {n}; expected at most 99999"))),
    };
    let number = m.integer(NUMBER)?.unwrap_or(0);
    let ending = |i: u64| format!("-{i:05}-of-{count:05}.gguf");
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(stem) = name.strip_suffix(&ending(number + 1)) else {
        let why = format!(
            "is {count}, so this is part {} of {count}, and the name does not say where the others are; expected NAME{} \
             with the other parts beside it",
            number + 1,
            ending(number + 1)
        );
        return Err(Error::config(&path, COUNT, why));
    };
    if number != 0 {
        let why = format!("is {number}: give the first part, {stem}{}, with the others beside it", ending(1));
        return Err(Error::config(&path, NUMBER, why));
    }
    let others = (2..=count).map(|i| path.with_file_name(format!("{stem}{}", ending(i)))).collect();
    Ok(Parts { others, tensors: m.integer("split.tensors.count")? })
}

/// Refuses a part that is another than its name says.
pub(super) fn check(m: &Metadata<'_>, number: usize, count: usize) -> Result<()> {
    for (key, expected) in [(NUMBER, number), (COUNT, count)] {
        let found = m.integer(key)?;
        if found != Some(expected as u64) {
            let why = format!("is {found:?}; its name says {expected}");
            return Err(Error::config(&m.path(), key, why));
        }
    }
    Ok(())
}
