//! Where Verilator, the C++ compiler, the workspace and the cache are.

use super::VerilateError;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file that only the workspace root has.
const ROOT_MARK: &str = "tools/verilator-requirements.txt";

/// The programs and folders one build uses.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Workspace root.
    pub root: PathBuf,
    /// `VERILATOR_ROOT`: the folder with `bin/verilator_bin` and `include/`.
    pub verilator_root: PathBuf,
    /// The C++ compiler.
    pub compiler: PathBuf,
    /// Whether the compiler is clang.
    pub clang: bool,
    /// First line of the compiler's `--version`.
    pub compiler_version: String,
    /// Cache folder for finished models.
    pub cache: PathBuf,
}

impl Tools {
    /// Finds everything or says what is missing.
    pub fn find() -> Result<Self, VerilateError> {
        let root = workspace_root()?;
        let verilator_root =
            env_path("ACCLLM_VERILATOR_ROOT").unwrap_or_else(|| root.join("tools/vlt/verilator"));
        let binary = verilator_root.join("bin/verilator_bin");
        if !binary.is_file() {
            return Err(VerilateError::NoVerilator(binary));
        }
        let compiler = env_path("ACCLLM_CXX").or_else(find_compiler).ok_or(VerilateError::NoCompiler)?;
        let output = Command::new(&compiler).arg("--version").output().map_err(|source| {
            VerilateError::Io { what: "run the C++ compiler", path: compiler.clone(), source }
        })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let compiler_version = text.lines().next().unwrap_or_default().to_owned();
        let clang = text.contains("clang");
        let cache = env_path("ACCLLM_CACHE").unwrap_or_else(|| root.join("target/verilated"));
        let cache = if cache.is_absolute() { cache } else { root.join(cache) };
        Ok(Self { root, verilator_root, compiler, clang, compiler_version, cache })
    }

    /// The Verilator program.
    pub fn verilator_bin(&self) -> PathBuf {
        self.verilator_root.join("bin/verilator_bin")
    }

    /// The Verilated runtime's sources and headers.
    pub fn include(&self) -> PathBuf {
        self.verilator_root.join("include")
    }

    /// How many compilers run at a time: `ACCLLM_JOBS`, else the number of cores.
    pub fn jobs(&self) -> usize {
        std::env::var("ACCLLM_JOBS")
            .ok()
            .and_then(|v| v.parse().ok())
            .filter(|&n| n > 0)
            .or_else(|| std::thread::available_parallelism().ok().map(Into::into))
            .unwrap_or(1)
    }
}

fn env_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// `ACCLLM_ROOT`, else the nearest folder above the current one that carries the mark, else the
/// folder this crate was compiled in.
fn workspace_root() -> Result<PathBuf, VerilateError> {
    if let Some(root) = env_path("ACCLLM_ROOT") {
        return Ok(root);
    }
    let here = std::env::current_dir().unwrap_or_default();
    let compiled = option_env!("CARGO_MANIFEST_DIR").map(Path::new);
    here.ancestors()
        .chain(compiled.into_iter().flat_map(Path::ancestors))
        .find(|dir| dir.join(ROOT_MARK).is_file())
        .map(Path::to_path_buf)
        .ok_or(VerilateError::NoWorkspace(here))
}

/// clang first: its models run up to twice as fast as those of g++ 12.
fn find_compiler() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let plain = |name: &str| dirs.iter().map(|d| d.join(name)).find(|p| p.is_file());
    plain("clang++").or_else(|| newest_clang(&dirs)).or_else(|| plain("g++")).or_else(|| plain("c++"))
}

fn newest_clang(dirs: &[PathBuf]) -> Option<PathBuf> {
    let mut best: Option<(u32, PathBuf)> = None;
    for dir in dirs {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let version = name.to_str().and_then(|n| n.strip_prefix("clang++-")).and_then(|v| v.parse().ok());
            if let Some(version) = version
                && best.as_ref().is_none_or(|(v, _)| version > *v)
            {
                best = Some((version, entry.path()));
            }
        }
    }
    best.map(|(_, path)| path)
}
