//! Hashes of the sources that the results of a sweep depend on, so that no record outlives a change of what made it.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// What evaluators are made of, from the repository's root.
const EVALUATORS: [&str; 13] = [
    "hw/src",
    "compiler/src",
    "sim/src",
    "llm/src/model",
    "host/lab/src/bench",
    "host/lab/src/shapes.rs",
    "host/lab/src/cost",
    "hw/synth/fits.json",
    "hw/cost/energy.toml",
    "host/lab/src/explore/bound.rs",
    "host/lab/src/explore/evaluate.rs",
    "host/lab/src/explore/timing.rs",
    "host/lab/src/explore/work.rs",
];

/// What quantizes and scores a model.
const QUANTIZER: [&str; 5] = [
    "hw/src",
    "quant/src",
    "host/text/src/recipe.rs",
    "host/text/src/calibration.rs",
    "host/lab/src/explore/quality.rs",
];

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=ACCLLM_EVALUATORS={}", hash(&root, &EVALUATORS)?);
    println!("cargo:rustc-env=ACCLLM_QUANTIZER={}", hash(&root, &QUANTIZER)?);
    println!("cargo:rustc-env=ACCLLM_RTL={}", hash(&root, &["hw/rtl"])?);
    Ok(())
}

fn hash(root: &Path, folders: &[&str]) -> std::io::Result<String> {
    let mut files = Vec::new();
    for folder in folders {
        println!("cargo:rerun-if-changed={}", root.join(folder).display());
        collect(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
        let bytes = std::fs::read(&file)?;
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    Ok(hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if path.exists() {
        files.push(path.to_owned());
    }
    Ok(())
}
