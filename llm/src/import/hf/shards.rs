//! Safetensors files of a checkpoint, memory-mapped, with checked access by tensor name.

use crate::mapped::MappedFile;
use crate::{Error, Result};
use accllm_hw::numbers::numbers;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// An opened checkpoint: one `model.safetensors` or the shards of an index.
pub struct Checkpoint {
    folder: PathBuf,
    shards: Vec<MappedFile>,
    /// Tensor name to shard.
    home: BTreeMap<String, usize>,
}

impl Checkpoint {
    /// Maps the weight files of `folder` and checks their headers.
    pub fn open(folder: &Path) -> Result<Self> {
        let single = folder.join(SINGLE);
        let index = folder.join(INDEX);
        let files = if single.is_file() {
            vec![single]
        } else if index.is_file() {
            index_files(&index, folder)?
        } else {
            let source = std::io::Error::new(
                std::io::ErrorKind::NotFound,
                format!("it holds neither {SINGLE} nor {INDEX}; give a Hugging Face folder with safetensors"),
            );
            return Err(Error::io("find weights in", folder, source));
        };
        let mut this = Self { folder: folder.to_path_buf(), shards: Vec::new(), home: BTreeMap::new() };
        for path in files {
            this.add_file(path)?;
        }
        Ok(this)
    }

    fn add_file(&mut self, path: PathBuf) -> Result<()> {
        let file = MappedFile::open(&path)?;
        let parsed =
            SafeTensors::deserialize(file.bytes()).map_err(|e| Error::malformed(&path, "safetensors", e))?;
        let number = self.shards.len();
        for name in parsed.names() {
            if self.home.insert(name.to_string(), number).is_some() {
                let why = format!("tensor `{name}` is also in another shard");
                return Err(Error::malformed(&path, "safetensors", why));
            }
        }
        self.shards.push(file);
        Ok(())
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.home.keys().map(String::as_str)
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The tensor and its shape, whatever that is.
    pub(super) fn any_tensor(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let file = self.home.get(name).and_then(|i| self.shards.get(*i));
        let parsed = file.and_then(|f| SafeTensors::deserialize(f.bytes()).ok());
        let shape = parsed.and_then(|f| f.tensor(name).ok().map(|v| v.shape().to_vec())).unwrap_or_default();
        let data = self.tensor(name, &shape)?;
        Ok((shape, data))
    }

    /// The tensor as f32, row major, after checking shape, element type and finiteness.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let missing = || Error::MissingTensor {
            path: self.folder.clone(),
            tensor: name.to_string(),
            shape: shape.to_vec(),
        };
        let shard = self.home.get(name).and_then(|i| self.shards.get(*i)).ok_or_else(missing)?;
        let file = SafeTensors::deserialize(shard.bytes())
            .map_err(|e| Error::malformed(shard.path(), "safetensors", e))?;
        let view = file.tensor(name).map_err(|_| missing())?;
        if view.shape() != shape {
            return Err(Error::Shape {
                path: shard.path().to_path_buf(),
                tensor: name.to_string(),
                found: view.shape().to_vec(),
                expected: shape.to_vec(),
            });
        }
        let data = to_f32(view.dtype(), view.data()).ok_or_else(|| Error::Dtype {
            path: shard.path().to_path_buf(),
            tensor: name.to_string(),
            found: format!("{:?}", view.dtype()),
            expected: "F32, F16, BF16",
        })?;
        shard.forget(view.data());
        match data.iter().position(|x| !x.is_finite()) {
            None => Ok(data),
            Some(element) => Err(Error::Value {
                path: shard.path().to_path_buf(),
                tensor: name.to_string(),
                element,
                value: data[element].to_string(),
                expected: "weights must be finite; the checkpoint is damaged or diverged in training",
            }),
        }
    }
}

/// Little-endian bytes to f32; `None` for an unsupported element type.
fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    match dtype {
        Dtype::F32 => Some(numbers(bytes).collect()),
        Dtype::F16 => Some(numbers(bytes).map(half::f16::to_f32).collect()),
        Dtype::BF16 => Some(numbers(bytes).map(half::bf16::to_f32).collect()),
        _ => None,
    }
}

/// Distinct shard files of an index, sorted; refuses names that leave the folder.
fn index_files(index: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let text = std::fs::read_to_string(index).map_err(|e| Error::io("read", index, e))?;
    let json: Value = serde_json::from_str(&text).map_err(|e| Error::malformed(index, "JSON", e))?;
    let Some(map) = json.get("weight_map").and_then(Value::as_object) else {
        return Err(Error::config(index, "weight_map", "is missing; expected an object of tensor: file"));
    };
    let mut names = BTreeSet::new();
    for (tensor, file) in map {
        let plain = file.as_str().filter(|f| {
            !f.is_empty() && Path::new(f).file_name().is_some_and(|n| n == std::ffi::OsStr::new(f))
        });
        match plain {
            Some(f) => names.insert(f.to_string()),
            None => {
                let field = format!("weight_map.{tensor}");
                let why = format!("is {file}; expected a file name without folders");
                return Err(Error::config(index, field, why));
            }
        };
    }
    if names.is_empty() {
        return Err(Error::config(index, "weight_map", "is empty; expected the names of the weight shards"));
    }
    Ok(names.into_iter().map(|n| folder.join(n)).collect())
}
