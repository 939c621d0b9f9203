//! Finished parts of a long quantization, kept in a folder so that an interrupted run goes on from them.
//!
//! A part's file is named after a hash of all that it depends on (options, calibration text, weights so far), so that
//! a file of another run is never taken for it. Files are written under a temporary name and renamed.

use crate::file::replace;
use accllm_llm::float::{FloatLayer, FloatModel, Matrix};
use accllm_llm::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// What `make` gives, kept as JSON in `path`, where there is one, and taken from there the next time. What is read is
/// refused where `check` says what is wrong with it; `what` is its name, and `again` what is done anew without it.
///
/// # Errors
/// As `make`; the file cannot be read or written; what was kept is damaged.
pub(crate) fn kept_json<T: Serialize + DeserializeOwned>(
    path: Option<PathBuf>,
    what: &'static str,
    again: &str,
    check: impl FnOnce(&T) -> std::result::Result<(), String>,
    make: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let Some(path) = path else { return make() };
    let read = |json: Vec<u8>| {
        let value: T = serde_json::from_slice(&json).map_err(|e| e.to_string())?;
        check(&value).map(|()| value)
    };
    match std::fs::read(&path) {
        Ok(json) => {
            return read(json)
                .map_err(|e| Error::malformed(&path, what, format!("{e} (delete it to {again} again)")));
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::io("read", &path, e)),
    }
    let value = make()?;
    replace(&path, |partial| std::fs::write(partial, serde_json::json!(value).to_string()))
        .map_err(|e| Error::io("write", &path, e))?;
    Ok(value)
}

/// Where the part `name` is or will be that depends on a whole float model and a choice; `None` without a folder, for
/// which no layer is read.
///
/// # Errors
/// The folder cannot be created, or a layer cannot be read.
pub(crate) fn json_of_model(
    folder: Option<&Path>,
    model: &FloatModel,
    choice: &impl std::fmt::Debug,
    name: &str,
) -> Result<Option<PathBuf>> {
    if folder.is_none() {
        return Ok(None);
    }
    let mut work = Work::open(folder)?;
    work.depend_on_choice(choice);
    work.depend_on_choice(&model.config);
    [&model.embed, model.head()].into_iter().for_each(|m| work.depend_on_matrix(m));
    work.depend_on_values(&model.final_norm);
    for w in model.layers.iter() {
        work.depend_on(&*w?);
    }
    Ok(work.file(name, "json"))
}

/// The folder, and the hash of everything so far.
pub(crate) struct Work {
    folder: Option<PathBuf>,
    hash: Sha256,
}

impl Work {
    /// Creates the folder where one is wanted; without one nothing is kept.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn open(folder: Option<&Path>) -> Result<Self> {
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        }
        let mut this = Self { folder: folder.map(Path::to_path_buf), hash: Sha256::new() };
        this.depend_on_choice(&env!("CARGO_PKG_VERSION"));
        Ok(this)
    }

    /// Notes a choice that all later parts depend on.
    pub fn depend_on_choice(&mut self, choice: &impl std::fmt::Debug) {
        if self.folder.is_some() {
            self.hash.update(format!("{choice:?}"));
        }
    }

    /// Notes a layer that all later parts depend on.
    pub fn depend_on(&mut self, w: &FloatLayer) {
        [&w.q, &w.k, &w.v, &w.o, &w.gate, &w.up, &w.down].into_iter().for_each(|m| self.depend_on_matrix(m));
        let gains = [&w.attn_norm, &w.mlp_norm, &w.q_norm, &w.k_norm];
        gains.into_iter().for_each(|v| self.depend_on_values(v));
        w.biases.iter().for_each(|(_, b)| self.depend_on_values(b));
    }

    /// Notes a matrix that all later parts depend on.
    pub fn depend_on_matrix(&mut self, m: &Matrix) {
        self.depend_on_values(&m.data);
    }

    /// Notes numbers that all later parts depend on.
    pub fn depend_on_values(&mut self, values: &[f32]) {
        if self.folder.is_some() {
            let bytes = |part: &[f32]| part.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
            values.chunks(4096).for_each(|part| self.hash.update(bytes(part)));
        }
    }

    /// Notes tokens that all later parts depend on.
    pub fn depend_on_text(&mut self, text: &[u32]) {
        if self.folder.is_some() {
            let bytes = |part: &[u32]| part.iter().flat_map(|t| t.to_le_bytes()).collect::<Vec<u8>>();
            text.chunks(4096).for_each(|part| self.hash.update(bytes(part)));
        }
    }

    /// Where the part `name` is or will be, a file of the given kind; `None` when nothing is kept.
    pub fn file(&self, name: &str, kind: &str) -> Option<PathBuf> {
        let digest = self.hash.clone().finalize();
        let hex: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
        self.folder.as_ref().map(|f| f.join(format!("{name}-{hex}.{kind}")))
    }
}
