//! A GGUF file: key-value pairs and a directory of tensors, all checked before anything is read.

use super::bad;
use super::block::{ElementType, SUPPORTED};
use super::cursor::Cursor;
use super::metadata::Metadata;
use super::split;
use crate::mapped::MappedFile;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::path::Path;

const MAGIC: &[u8] = b"GGUF";
/// Most tensors that are read.
const MOST: u64 = 1 << 16;

/// A tensor in the file.
#[derive(Debug, Clone)]
struct Tensor {
    kind: ElementType,
    /// Slowest dimension first.
    shape: Vec<usize>,
    /// Its bytes.
    at: Range<usize>,
}

/// An opened file, or the parts that one was split into.
pub(super) struct File {
    parts: Vec<MappedFile>,
    /// With the number of the part that each is in.
    tensors: BTreeMap<String, (usize, Tensor)>,
}

impl File {
    /// Opens `path`, checks its structure, and gives what `read` makes of its key-value pairs. Of a file that was split,
    /// `path` is the first part, and the others lie beside it.
    pub fn open<T>(path: &Path, read: impl FnOnce(&Metadata<'_>) -> Result<T>) -> Result<(Self, T)> {
        let mut all = Self { parts: Vec::new(), tensors: BTreeMap::new() };
        let (paths, made) = all.add(path, |meta| Ok((split::parts(meta)?, read(meta)?)))?;
        let mut others = paths.others.iter().enumerate();
        others.try_for_each(|(i, path)| {
            all.add(path, |meta| split::check(meta, i + 1, paths.others.len() + 1))
        })?;
        match paths.tensors.filter(|n| *n != all.tensors.len() as u64) {
            Some(n) => {
                let why =
                    format!("its {} parts have {} tensors; expected {n}", all.parts.len(), all.tensors.len());
                Err(bad(path, why))
            }
            None => Ok((all, made)),
        }
    }

    /// Adds the tensors of a file.
    fn add<T>(&mut self, path: &Path, read: impl FnOnce(&Metadata<'_>) -> Result<T>) -> Result<T> {
        let map = MappedFile::open(path)?;
        let mut c = Cursor::new(path, map.bytes());
        if c.take(4).ok() != Some(MAGIC) {
            return Err(bad(path, "it does not begin with `GGUF`"));
        }
        match c.u32()? {
            2 | 3 => {}
            v if v.is_multiple_of(1 << 16) => {
                return Err(Error::unsupported(path, "byte order", "big-endian", "little-endian"));
            }
            v => return Err(Error::unsupported(path, "version", v, "2, 3")),
        }
        let (tensors, pairs) = (c.u64()?, c.u64()?);
        let meta = Metadata::read(&mut c, pairs)?;
        let tensors = directory(&mut c, tensors, &meta, map.bytes().len())?;
        let made = read(&meta)?;
        for (name, tensor) in tensors {
            match self.tensors.entry(name) {
                Entry::Occupied(e) => {
                    return Err(bad(path, format!("the tensor `{}` is in another part, too", e.key())));
                }
                Entry::Vacant(e) => {
                    e.insert((self.parts.len(), tensor));
                }
            }
        }
        self.parts.push(map);
        Ok(made)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.parts.first().map_or(Path::new(""), MappedFile::path)
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether the tensor is there.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The tensor as f32, row major, after checking shape and finiteness.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let missing = || Error::MissingTensor {
            path: self.path().to_path_buf(),
            tensor: name.to_string(),
            shape: shape.to_vec(),
        };
        let (part, tensor) = self.tensors.get(name).ok_or_else(missing)?;
        let map = self.parts.get(*part).ok_or_else(missing)?;
        if tensor.shape != shape {
            return Err(Error::Shape {
                path: map.path().to_path_buf(),
                tensor: name.to_string(),
                found: tensor.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        let bytes = &map.bytes()[tensor.at.clone()];
        let data = tensor.kind.decode(bytes);
        map.forget(bytes);
        match data.iter().position(|x| !x.is_finite()) {
            None => Ok(data),
            Some(element) => Err(Error::Value {
                path: map.path().to_path_buf(),
                tensor: name.to_string(),
                element,
                value: data[element].to_string(),
                expected: "weights must be finite; the checkpoint is damaged or diverged in training",
            }),
        }
    }
}

/// Reads the directory of `count` tensors and checks that they lie in the file, aligned and apart.
fn directory(
    c: &mut Cursor<'_>,
    count: u64,
    meta: &Metadata<'_>,
    length: usize,
) -> Result<BTreeMap<String, Tensor>> {
    let path = c.path;
    if count > MOST {
        return Err(bad(path, format!("it claims {count} tensors; at most {MOST} are read")));
    }
    let align = meta.count("general.alignment", 1 << 20)?.unwrap_or(32);
    if !align.is_power_of_two() {
        return Err(Error::config(path, "general.alignment", format!("is {align}; expected a power of two")));
    }
    let mut tensors = BTreeMap::new();
    for _ in 0..count {
        let name = c.text()?;
        let tensor = entry(c, name, align)?;
        if tensors.insert(name.to_string(), tensor).is_some() {
            return Err(bad(path, format!("the tensor `{name}` is there twice")));
        }
    }
    // Offsets count from the end of the directory; now they become places in the file.
    let start = c.at().next_multiple_of(align);
    for (name, t) in &mut tensors {
        match (t.at.start.checked_add(start), t.at.end.checked_add(start)) {
            (Some(first), Some(end)) if end <= length => t.at = first..end,
            _ => {
                let why = format!(
                    "the tensor `{name}` ends {} bytes after the directory, and the file {}",
                    t.at.end,
                    length.saturating_sub(start)
                );
                return Err(bad(path, why));
            }
        }
    }
    let mut order: Vec<_> = tensors.iter().map(|(name, t)| (t.at.start, t.at.end, name)).collect();
    order.sort_unstable();
    match order.windows(2).find(|w| w[0].1 > w[1].0) {
        Some(w) => Err(bad(path, format!("the tensors `{}` and `{}` overlap", w[0].2, w[1].2))),
        None => Ok(tensors),
    }
}

/// One entry of the directory; its place counts from the end of the directory.
fn entry(c: &mut Cursor<'_>, name: &str, align: usize) -> Result<Tensor> {
    let path = c.path;
    let rank = c.u32()?;
    if !(1..=4).contains(&rank) {
        return Err(bad(path, format!("the tensor `{name}` has {rank} dimensions; expected 1 to 4")));
    }
    let mut shape = (0..rank).map(|_| c.u64()).collect::<Result<Vec<_>>>()?;
    // The fastest dimension comes first in the file.
    let row = shape[0];
    shape.reverse();
    let (kind, offset) = (c.u32()?, c.u64()?);
    let kind = ElementType::of(kind).map_err(|found| Error::Dtype {
        path: path.to_path_buf(),
        tensor: name.to_string(),
        found,
        expected: SUPPORTED,
    })?;
    let (weights, bytes) = kind.block();
    let elements = shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d)).filter(|n| *n > 0);
    let size = elements
        .filter(|_| row.is_multiple_of(weights as u64))
        .and_then(|n| (n / weights as u64).checked_mul(bytes as u64));
    let place = size.and_then(|size| {
        let start = usize::try_from(offset).ok()?;
        Some(start..start.checked_add(usize::try_from(size).ok()?)?)
    });
    let Some(at) = place else {
        return Err(bad(
            path,
            format!("the tensor `{name}` cannot have shape {shape:?} as {kind:?} at offset {offset}"),
        ));
    };
    if !at.start.is_multiple_of(align) {
        return Err(bad(
            path,
            format!("the tensor `{name}` is at offset {offset}, not a multiple of {align}"),
        ));
    }
    Ok(Tensor { kind, shape: shape.iter().map(|d| *d as usize).collect(), at })
}
