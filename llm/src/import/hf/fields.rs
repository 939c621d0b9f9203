//! Typed access to the fields of a JSON object, with errors that name the field.

use crate::{Error, Result};
use serde_json::{Map, Value};
use std::path::Path;

/// A JSON object together with the file it came from.
pub(super) struct Fields<'a> {
    /// File, for messages.
    pub path: &'a Path,
    /// Its top-level object.
    pub map: &'a Map<String, Value>,
}

impl Fields<'_> {
    /// The value, or `None` when absent or null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name).filter(|v| !v.is_null())
    }

    /// A positive integer no larger than `max`, or `None` when absent or null.
    pub fn count_opt(&self, name: &str, max: usize) -> Result<Option<usize>> {
        let Some(v) = self.get(name) else { return Ok(None) };
        match v.as_u64() {
            Some(n) if n >= 1 && n <= max as u64 => Ok(Some(n as usize)),
            _ => Err(Error::config(self.path, name, format!("is {v}; expected an integer from 1 to {max}"))),
        }
    }

    /// A positive integer no larger than `max`.
    pub fn count(&self, name: &str, max: usize) -> Result<usize> {
        self.count_opt(name, max)?.ok_or_else(|| {
            Error::config(self.path, name, format!("is missing; expected an integer from 1 to {max}"))
        })
    }

    /// A finite number above zero, or `default` when absent or null.
    pub fn positive(&self, name: &str, default: f64) -> Result<f64> {
        let Some(v) = self.get(name) else { return Ok(default) };
        v.as_f64()
            .filter(|x| x.is_finite() && *x > 0.0)
            .ok_or_else(|| Error::config(self.path, name, format!("is {v}; expected a number above 0")))
    }

    /// Finite numbers above zero, one for each of `count`.
    pub fn positives(&self, name: &str, count: usize) -> Result<Vec<f64>> {
        let listed = self.get(name).and_then(serde_json::Value::as_array);
        let numbers: Option<Vec<f64>> = listed.and_then(|a| a.iter().map(Value::as_f64).collect());
        numbers.filter(|n| n.len() == count && n.iter().all(|x| x.is_finite() && *x > 0.0)).ok_or_else(|| {
            let found = self.get(name).map_or_else(|| "missing".into(), Value::to_string);
            Error::config(self.path, name, format!("is {found}; expected {count} numbers above 0"))
        })
    }

    /// A boolean, or `default` when absent or null.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool> {
        let Some(v) = self.get(name) else { return Ok(default) };
        v.as_bool().ok_or_else(|| Error::config(self.path, name, format!("is {v}; expected true or false")))
    }

    /// Refuses a flag that is set.
    pub fn must_be_off(&self, name: &str) -> Result<()> {
        if self.flag(name, false)? {
            return Err(Error::unsupported(self.path, name, "true", "false"));
        }
        Ok(())
    }

    /// Token ids: one integer or a list of integers below `vocab`; empty when absent or null.
    pub fn token_ids(&self, name: &str, vocab: usize) -> Result<Vec<u32>> {
        let bad = |v: &Value| {
            Error::config(
                self.path,
                name,
                format!("is {v}; expected a token id below {vocab} or a list of them"),
            )
        };
        let one = |v: &Value| {
            v.as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .filter(|n| (*n as usize) < vocab)
                .ok_or_else(|| bad(v))
        };
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(one).collect(),
            Some(v) => Ok(vec![one(v)?]),
        }
    }
}
