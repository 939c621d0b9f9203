//! The model card of a quantized model: what it was made of, how, and under which licence.

use crate::model::{Kind, Source};
use crate::{Error, Result};
use accllm_llm::import::gguf;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// How a model was quantized.
#[derive(Debug, Clone, Default)]
pub struct Made {
    /// Weight formats, pruning and the like, as people read them.
    pub method: String,
    /// Bits a weight of the layers' linears.
    pub bits: f64,
    /// Tokens of calibration text.
    pub tokens: usize,
    /// Perplexity and what it was measured on, where it was.
    pub perplexity: Option<String>,
}

/// The card, as `README.md`.
///
/// # Errors
/// The source's files cannot be read.
pub fn card(source: &Source, made: &Made) -> Result<String> {
    let mut hashes = String::new();
    for file in files(source)? {
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        hashes += &format!("| `{name}` | `{}` |\n", hash(&file)?);
    }
    let licence = licence(source)?;
    let front = licence.as_ref().map(|l| format!("license: {l}\n")).unwrap_or_default();
    let name = Path::new(&source.name).file_name().map(|n| n.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| source.name.clone());
    let licence = licence.unwrap_or_else(|| "not stated by the source".into());
    let Made { method, bits, tokens, perplexity } = made;
    let perplexity =
        perplexity.as_deref().unwrap_or("not measured; `accllm eval` on this folder measures it");
    Ok(format!(
        "---\n{front}base_model: {name}\ntags:\n- accllm\n- quantized\n---\n\n# {name}, quantized for accllm\n\n\
         Integer weights, 8-bit activations and a 4-bit KV cache, made by accllm {version}. Not for other programs: \
         `accllm run`, `accllm serve` and `accllm compile` read this folder.\n\n\
         | | |\n|---|---|\n| source | {name} |\n| licence | {licence} |\n| method | {method} |\n\
         | bits a weight | {bits:.2} |\n| calibration | {tokens} tokens |\n\
         | perplexity | {perplexity} |\n\n\
         SHA-256 of the source's files:\n\n| file | SHA-256 |\n|---|---|\n{hashes}",
        version = env!("CARGO_PKG_VERSION")
    ))
}

/// Hash of the files that a source's weights are in. A file is read once by a process, as long as it stays as it is.
///
/// # Errors
/// They cannot be read.
pub fn fingerprint(source: &Source) -> Result<String> {
    let each = files(source)?.iter().map(|f| hash(f)).collect::<Result<Vec<_>>>()?;
    Ok(Sha256::digest(each.concat()).iter().map(|b| format!("{b:02x}")).collect())
}

/// The files that the source's weights are in.
fn files(source: &Source) -> Result<Vec<PathBuf>> {
    let path = source.weights();
    if path.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = std::fs::read_dir(path).map_err(|e| Error::io("read", path, e))?;
    let mut all = Vec::new();
    for entry in entries {
        let file = entry.map_err(|e| Error::io("read", path, e))?.path();
        all.extend(Some(file).filter(|f| f.extension().is_some_and(|e| e == "safetensors")));
    }
    all.sort();
    Ok(all)
}

/// Hashes of files by path, length and time of change.
static HASHES: Mutex<BTreeMap<(PathBuf, u64, SystemTime), String>> = Mutex::new(BTreeMap::new());

fn hash(path: &Path) -> Result<String> {
    let io = |e| Error::io("read", path, e);
    let of = std::fs::metadata(path).map_err(io)?;
    let state = (path.to_path_buf(), of.len(), of.modified().map_err(io)?);
    let known = || HASHES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(hash) = known().get(&state) {
        return Ok(hash.clone());
    }
    let hash = read_hash(path)?;
    known().insert(state, hash.clone());
    Ok(hash)
}

fn read_hash(path: &Path) -> Result<String> {
    let io = |e| Error::io("read", path, e);
    let mut file = std::fs::File::open(path).map_err(io)?;
    let (mut hash, mut part) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut part).map_err(io)? {
            0 => return Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect()),
            n => hash.update(&part[..n]),
        }
    }
}

/// The licence that the source states: `general.license` of a GGUF file, `license` at the head of a `README.md`.
fn licence(source: &Source) -> Result<Option<String>> {
    let path = source.weights();
    let plain = |text: &str| {
        let text = text.trim().trim_matches(['"', '\'']);
        let good = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._+".contains(c));
        good.then(|| text.to_string())
    };
    if source.kind == Kind::Checkpoint && gguf::is_gguf(path) {
        return Ok(gguf::license(path)?.as_deref().and_then(plain));
    }
    let readme = path.join("README.md");
    if !readme.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(&readme).map_err(|e| Error::io("read", &readme, e))?;
    let text = String::from_utf8_lossy(&bytes);
    let front = text.strip_prefix("---").and_then(|rest| rest.split_once("\n---")).map(|(front, _)| front);
    Ok(front.and_then(|front| front.lines().find_map(|l| l.strip_prefix("license:")).and_then(plain)))
}
