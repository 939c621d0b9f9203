//! A sweep's folder: its spec with the files that it names, and the records of its points. A process needs nothing else.
//!
//! ```text
//! DIR/sweep.toml          the spec
//! DIR/inputs/             files that it names
//! DIR/points/SHARD.jsonl  records
//! DIR/confirmed.jsonl     the front on the RTL
//! DIR/quality/            quantized models and their perplexities
//! DIR/points.csv, front.csv, report.html, best.toml
//! ```

use super::lock::lock;
use super::name::beside;
use super::spec::Spec;
use super::{quality, record};
use crate::{Error, Result};
use accllm_device::output::write_whole;
use accllm_text::bundled;
use std::fs::{File, create_dir_all};
use std::path::{Path, PathBuf};

/// A folder that belongs to a spec.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
}

impl Folder {
    /// The folder of a sweep that is there.
    ///
    /// # Errors
    /// It is none; its spec cannot be read.
    pub fn open(path: &Path) -> Result<(Self, Spec)> {
        let spec = path.join("sweep.toml");
        if !spec.is_file() {
            let what = format!("{} is no sweep's folder: it has no sweep.toml", path.display());
            return Err(Error::Argument(what));
        }
        let spec = Spec::open(&spec)?;
        spec.quality.iter().for_each(|q| q.keep(path.join("quality")));
        Ok((Self { path: path.to_owned() }, spec))
    }

    /// The folder for a spec: a new one, or one of the same points, whose records are used.
    ///
    /// # Errors
    /// It holds something else, or another sweep.
    pub fn of(path: &Path, spec: &Spec) -> Result<(Self, Spec)> {
        let own = Self { path: path.to_owned() };
        // In this order: another process may put the spec there meanwhile, before all else.
        if holds_others(path) && !path.join("sweep.toml").is_file() {
            let what = format!("{} is not empty and no sweep's folder; give another one", path.display());
            return Err(Error::Argument(what));
        }
        let points = path.join("points");
        create_dir_all(&points).map_err(|e| Error::io("create", &points, e))?;
        {
            let _lock = own.lock()?;
            let text_there = std::fs::read_to_string(path.join("sweep.toml")).ok();
            if text_there.is_some() {
                own.check_same(&Spec::open(&path.join("sweep.toml"))?, spec)?;
            }
            if !same_file(&spec.path, &path.join("sweep.toml")) {
                let text = own.take_in(spec)?;
                if text_there.is_none_or(|there| there != text) {
                    write_whole(&path.join("sweep.toml"), text.as_bytes())?;
                }
            }
        }
        Self::open(path)
    }

    /// Refuses a spec of other points than those that are there.
    fn check_same(&self, there: &Spec, spec: &Spec) -> Result<()> {
        let mut pairs = there.identity().into_iter().zip(spec.identity());
        match pairs.find(|((_, a), (_, b))| a != b) {
            Some(((part, _), _)) => Err(Error::Argument(format!(
                "{} holds the sweep '{}' with another {part}; give '{}' a folder of its own",
                self.path.display(),
                there.name,
                spec.name
            ))),
            None => Ok(()),
        }
    }

    /// Copies the files that a spec names, and gives its text with the copies' names.
    fn take_in(&self, spec: &Spec) -> Result<String> {
        let said = |e: &dyn std::fmt::Display| Error::Argument(format!("{}: {e}", spec.path.display()));
        let text = std::fs::read_to_string(&spec.path).map_err(|e| Error::io("read", &spec.path, e))?;
        let mut table: toml::Table = toml::from_str(&text).map_err(|e| said(&e))?;
        let from = spec.path.parent().unwrap_or(Path::new(""));
        let mut failed = None;
        let mut take = |value: &mut toml::Value| {
            if let toml::Value::String(name) = value {
                match self.input(from, name) {
                    Ok(new) => *name = new,
                    Err(e) => failed = Some(e),
                }
            }
        };
        for key in ["base", "card"] {
            table.get_mut(key).into_iter().for_each(&mut take);
        }
        for work in table.get_mut("work").and_then(toml::Value::as_array_mut).into_iter().flatten() {
            work.get_mut("shape").into_iter().for_each(&mut take);
        }
        let axes = table.get_mut("axes").and_then(toml::Value::as_table_mut);
        for (_, axis) in axes.into_iter().flatten().filter(|(name, _)| *name == "card" || *name == "shape") {
            axis.as_array_mut().into_iter().flatten().for_each(&mut take);
        }
        let quality = table.get_mut("quality").and_then(toml::Value::as_table_mut);
        let files = quality.into_iter().flatten().filter(|(name, _)| quality::FILES.contains(&name.as_str()));
        files.for_each(|(_, file)| take(file));
        // Too large for a copy.
        let stay = |value: &mut toml::Value| {
            if let toml::Value::String(name) = value
                && name != bundled::NAME
            {
                *name = std::path::absolute(from.join(&*name)).unwrap_or_default().display().to_string();
            }
        };
        let search = table.get_mut("search").and_then(toml::Value::as_table_mut);
        let others = search.and_then(|s| s.get_mut("from")).and_then(toml::Value::as_array_mut);
        others.into_iter().flatten().for_each(stay);
        if let Some(quality) = table.get_mut("quality").and_then(toml::Value::as_table_mut) {
            quality.get_mut("model").into_iter().for_each(stay);
            let ready = quality.get_mut("ready").and_then(toml::Value::as_table_mut);
            ready.into_iter().flatten().for_each(|(_, folder)| stay(folder));
        }
        match failed {
            Some(e) => Err(e),
            None => toml::to_string(&table).map_err(|e| said(&e)),
        }
    }

    /// The name of a copy of a file, or what is built in as it is.
    fn input(&self, from: &Path, name: &str) -> Result<String> {
        let path = PathBuf::from(beside(from, name));
        if !name.contains('/') && path.extension().is_none() {
            return Ok(name.to_owned());
        }
        let bytes = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let inputs = self.path.join("inputs");
        create_dir_all(&inputs).map_err(|e| Error::io("create", &inputs, e))?;
        let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Files of one name from several folders; a configuration's own name is its file's, so it keeps that.
        for n in 0..1000 {
            let sub = if n == 0 { String::new() } else { format!("{n}/") };
            let copy = inputs.join(&sub).join(&own);
            match std::fs::read(&copy) {
                Ok(there) if there == bytes => return Ok(format!("inputs/{sub}{own}")),
                Ok(_) => {}
                Err(_) => {
                    let folder = inputs.join(&sub);
                    create_dir_all(&folder).map_err(|e| Error::io("create", &folder, e))?;
                    write_whole(&copy, &bytes)?;
                    return Ok(format!("inputs/{sub}{own}"));
                }
            }
        }
        Err(Error::Argument(format!("{}: too many files of that name", path.display())))
    }

    /// Keeps other processes from results and spec while the value lives.
    ///
    /// # Errors
    /// The lock's file cannot be made.
    pub fn lock(&self) -> Result<File> {
        lock(&self.path)
    }

    /// The file of records of a shard.
    pub fn shard(&self, shard: Shard) -> PathBuf {
        let name = match shard {
            Shard { of: 1, .. } => "all.jsonl".to_owned(),
            Shard { own, of } => format!("{own}-of-{of}.jsonl"),
        };
        self.path.join("points").join(name)
    }

    /// All files of records.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn records(&self) -> Result<Vec<PathBuf>> {
        record::files(&self.path.join("points"))
    }

    /// Records of the front on the RTL.
    pub fn confirmed(&self) -> PathBuf {
        self.path.join("confirmed.jsonl")
    }
}

/// Whether a folder has something that no beginning sweep puts there.
fn holds_others(path: &Path) -> bool {
    let own = |name: &str| ["points", "inputs", ".lock"].contains(&name) || name.starts_with(".tmp");
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.into_iter().any(|e| !own(&e.file_name().to_string_lossy()))
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// A part of the points: those whose number leaves `own - 1` when divided by `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 1.
    pub own: u64,
    /// Of how many.
    pub of: u64,
}

impl Shard {
    /// All points.
    pub const ALL: Self = Self { own: 1, of: 1 };

    /// Whether a point belongs to it.
    pub fn has(self, index: u64) -> bool {
        index % self.of == self.own - 1
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((own, of)) if (1..=100_000).contains(&of) && (1..=of).contains(&own) => Ok(Self { own, of }),
            _ => Err(format!("'{text}' is no shard: give I/N with I from 1 to N, for example 3/8")),
        }
    }
}
