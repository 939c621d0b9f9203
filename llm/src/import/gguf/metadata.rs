//! Key-value pairs of a GGUF file.

use super::bad;
use super::cursor::Cursor;
use crate::{Error, Result};
use accllm_hw::numbers::numbers;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most pairs that are read.
const MOST: u64 = 1 << 16;

/// Type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Signed or not, and bytes.
    Integer(bool, u8),
    F32,
    F64,
    Bool,
    Text,
    Array,
}

impl Kind {
    fn of(id: u32) -> Option<Self> {
        Some(match id {
            0 => Self::Integer(false, 1),
            1 => Self::Integer(true, 1),
            2 => Self::Integer(false, 2),
            3 => Self::Integer(true, 2),
            4 => Self::Integer(false, 4),
            5 => Self::Integer(true, 4),
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::Text,
            9 => Self::Array,
            10 => Self::Integer(false, 8),
            11 => Self::Integer(true, 8),
            12 => Self::F64,
            _ => return None,
        })
    }

    /// Bytes of a value of fixed size.
    fn size(self) -> Option<u64> {
        match self {
            Self::Integer(_, n) => Some(n.into()),
            Self::F32 => Some(4),
            Self::F64 => Some(8),
            Self::Bool => Some(1),
            Self::Text | Self::Array => None,
        }
    }
}

/// A value, its bytes still in the file.
#[derive(Clone, Copy)]
enum Value<'a> {
    One(Kind, &'a [u8]),
    Many(Kind, u64, &'a [u8]),
}

/// All pairs.
pub(super) struct Metadata<'a> {
    path: &'a Path,
    pairs: BTreeMap<&'a str, Value<'a>>,
}

impl<'a> Metadata<'a> {
    /// Reads `count` pairs.
    pub fn read(c: &mut Cursor<'a>, count: u64) -> Result<Self> {
        if count > MOST {
            return Err(bad(c.path, format!("it claims {count} key-value pairs; at most {MOST} are read")));
        }
        let mut pairs = BTreeMap::new();
        for _ in 0..count {
            let key = c.text()?;
            let value = value(c, key)?;
            if pairs.insert(key, value).is_some() {
                return Err(bad(c.path, format!("the key `{key}` is there twice")));
            }
        }
        Ok(Self { path: c.path, pairs })
    }

    /// The file, for messages.
    pub fn path(&self) -> PathBuf {
        self.path.to_path_buf()
    }

    /// The value of `key` as `what`, read by `of`; `None` when it is not there.
    fn get<T>(&self, key: &str, what: &str, of: impl Fn(Value<'a>) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.pairs.get(key) else { return Ok(None) };
        match of(*value) {
            Some(v) => Ok(Some(v)),
            None => Err(Error::config(self.path, key, format!("is not {what}"))),
        }
    }

    /// An integer of at least 0.
    pub fn integer(&self, key: &str) -> Result<Option<u64>> {
        self.get(key, "an integer from 0 on", |v| match v {
            Value::One(Kind::Integer(signed, _), bytes) => integer(signed, bytes),
            _ => None,
        })
    }

    /// A positive integer no larger than `max`.
    pub fn count(&self, key: &str, max: usize) -> Result<Option<usize>> {
        match self.integer(key)? {
            None => Ok(None),
            Some(n) if n >= 1 && n <= max as u64 => Ok(Some(n as usize)),
            Some(n) => Err(Error::config(self.path, key, format!("is {n}; expected 1 to {max}"))),
        }
    }

    /// A finite number above zero.
    pub fn positive(&self, key: &str) -> Result<Option<f64>> {
        self.get(key, "a number above 0", |v| number(v).filter(|x| x.is_finite() && *x > 0.0))
    }

    /// A finite number.
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        self.get(key, "a number", |v| number(v).filter(|x| x.is_finite()))
    }

    /// True or false.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.get(key, "a boolean", |v| match v {
            Value::One(Kind::Bool, [b @ (0 | 1)]) => Some(*b == 1),
            _ => None,
        })
    }

    /// Text.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.get(key, "a text", |v| match v {
            Value::One(Kind::Text, bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        })
    }

    /// A list of texts.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&'a str>>> {
        let list = self.get(key, "a list of texts", |v| match v {
            Value::Many(Kind::Text, count, bytes) => Some((count, bytes)),
            _ => None,
        })?;
        let read = |(count, bytes)| {
            let mut c = Cursor::new(self.path, bytes);
            (0..count).map(|_| c.text()).collect::<Result<Vec<_>>>()
        };
        list.map(read).transpose()
    }

    /// A list of integers.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<u64>>> {
        self.get(key, "a list of integers from 0 on", |v| match v {
            Value::Many(Kind::Integer(signed, n), _, bytes) => {
                bytes.chunks_exact(n.into()).map(|b| integer(signed, b)).collect()
            }
            _ => None,
        })
    }

    /// A list of 32-bit floats.
    pub fn floats(&self, key: &str) -> Result<Option<Vec<f32>>> {
        self.get(key, "a list of 32-bit floats", |v| match v {
            Value::Many(Kind::F32, _, bytes) => Some(numbers(bytes).collect()),
            _ => None,
        })
    }
}

fn number(v: Value<'_>) -> Option<f64> {
    match v {
        Value::One(Kind::F32, b) => b.try_into().ok().map(|b| f64::from(f32::from_le_bytes(b))),
        Value::One(Kind::F64, b) => b.try_into().ok().map(f64::from_le_bytes),
        Value::One(Kind::Integer(signed, _), b) => integer(signed, b).map(|n| n as f64),
        _ => None,
    }
}

/// `None` for a negative number.
fn integer(signed: bool, bytes: &[u8]) -> Option<u64> {
    let negative = signed && bytes.last().is_some_and(|b| b & 0x80 != 0);
    let value = bytes.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
    (!negative).then_some(value)
}

fn value<'a>(c: &mut Cursor<'a>, key: &str) -> Result<Value<'a>> {
    let kind = kind(c, key)?;
    if let Some(size) = kind.size() {
        return Ok(Value::One(kind, c.take(size)?));
    }
    if kind == Kind::Text {
        return Ok(Value::One(kind, c.text()?.as_bytes()));
    }
    let (inner, count) = (self::kind(c, key)?, c.u64()?);
    match inner.size() {
        Some(size) => {
            let bytes = count
                .checked_mul(size)
                .ok_or_else(|| bad(c.path, format!("`{key}` claims a list of {count} values")))?;
            Ok(Value::Many(inner, count, c.take(bytes)?))
        }
        None if inner == Kind::Text => {
            let mut ahead = Cursor::new(c.path, c.rest());
            for _ in 0..count {
                ahead.text()?;
            }
            Ok(Value::Many(inner, count, c.take(ahead.at() as u64)?))
        }
        None => Err(bad(c.path, format!("`{key}` is a list of lists"))),
    }
}

fn kind(c: &mut Cursor<'_>, key: &str) -> Result<Kind> {
    let id = c.u32()?;
    Kind::of(id).ok_or_else(|| bad(c.path, format!("`{key}` has the unknown value type {id}")))
}
