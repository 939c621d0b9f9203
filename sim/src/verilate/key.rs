//! Cache keys: a hash of everything the result of a build depends on.

use super::VerilateError;
use super::spec::VerilateSpec;
use super::tools::Tools;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Collects length-prefixed fields, so that no two different inputs give the same stream.
#[derive(Default)]
pub struct Key(Sha256);

impl Key {
    /// Adds one field.
    pub fn field(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a file's contents.
    pub fn file(&mut self, path: &Path) -> Result<&mut Self, VerilateError> {
        let bytes = std::fs::read(path).map_err(|source| VerilateError::Io {
            what: "read",
            path: path.to_path_buf(),
            source,
        })?;
        Ok(self.field(bytes))
    }

    /// The first 32 hexadecimal digits of the hash.
    pub fn finish(self) -> String {
        self.0.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect()
    }
}

/// Everything that identifies compiler, processor and Verilator.
pub fn toolchain(tools: &Tools, key: &mut Key) -> Result<(), VerilateError> {
    key.field(tools.compiler.as_os_str().as_encoded_bytes()).field(&tools.compiler_version);
    key.field(processor());
    // The pinned package is identified by its hash, wherever the checkout is; a Verilator from elsewhere by place and size.
    let requirement = tools.root.join("tools/verilator-requirements.txt");
    key.field(std::fs::read(requirement).unwrap_or_default());
    let binary = tools.verilator_bin();
    let meta = std::fs::metadata(&binary).map_err(|source| VerilateError::Io {
        what: "inspect",
        path: binary.clone(),
        source,
    })?;
    let place = binary.strip_prefix(&tools.root).unwrap_or(&binary);
    key.field(place.as_os_str().as_encoded_bytes()).field(meta.len().to_le_bytes());
    Ok(())
}

/// `-march=native` ties an object to the processor, which matters when a cache is shared.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines().filter(|l| l.starts_with("model name") || l.starts_with("flags")).take(2).collect()
}

/// Everything about the design: sources by content and name, include folders by content, options.
pub fn design(
    spec: &VerilateSpec,
    tools: &Tools,
    args: &[String],
    key: &mut Key,
) -> Result<(), VerilateError> {
    for arg in args {
        key.field(arg);
    }
    for source in &spec.sources {
        key.field(source.as_os_str().as_encoded_bytes()).file(&tools.root.join(source))?;
    }
    for dir in &spec.include_dirs {
        for file in hdl_files(&tools.root.join(dir))? {
            key.field(file.as_os_str().as_encoded_bytes()).file(&file)?;
        }
    }
    Ok(())
}

fn hdl_files(dir: &Path) -> Result<Vec<PathBuf>, VerilateError> {
    let entries = std::fs::read_dir(dir).map_err(|source| VerilateError::Io {
        what: "list",
        path: dir.to_path_buf(),
        source,
    })?;
    let hdl = |p: &PathBuf| {
        p.is_file() && p.extension().is_some_and(|e| ["sv", "svh", "v", "vh", "vlt"].iter().any(|x| e == *x))
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(hdl).collect();
    files.sort();
    Ok(files)
}
