//! Runs the `accllm` command.

#![allow(dead_code)] // each test file uses some of these

mod keys;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The command's outcome.
pub struct Ran {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

/// Runs `accllm` with `args` (the verb first), without a terminal. A report has the keys that are documented.
pub fn accllm(args: &[&str]) -> Ran {
    let done = Command::new(env!("CARGO_BIN_EXE_accllm")).args(args).output();
    let Output { status, stdout, stderr } = done.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    // A panic exits with 101, a signal with none: both are bugs whatever the input was.
    assert!(matches!(status.code(), Some(0..=2)), "{args:?}: {status}\n{}", text(stderr.clone()));
    let ran = Ran { ok: status.success(), out: text(stdout), err: text(stderr) };
    if ran.ok && args.contains(&"--json") {
        keys::check(args[0], &serde_json::from_str(&ran.out).unwrap());
    }
    ran
}

/// Expects failure with each of `words` in the message, and nothing on standard output.
pub fn fails(args: &[&str], words: &[&str]) {
    let ran = accllm(args);
    assert!(!ran.ok, "{args:?} succeeded:\n{}", ran.out);
    for word in words {
        assert!(ran.err.contains(word), "{args:?}: no '{word}' in: {}", ran.err);
    }
    assert_eq!(ran.out, "", "{args:?}");
}

/// Expects success, and a report.
pub fn json(args: &[&str]) -> serde_json::Value {
    let ran = accllm(&[args, &["--json"]].concat());
    assert!(ran.ok, "{args:?}: {}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

/// The bundled checkpoint in the source tree.
pub fn checkpoint() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/tinytales/w2")
}

/// A copy of the bundled checkpoint to damage.
pub fn checkpoint_copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(checkpoint()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A quantized copy of the bundled model, so that each call does not quantize again; its folder as an argument.
pub fn quantized() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("w2");
    let report = json(&["quantize", "bundled", arg(&out), "--calib-tokens", "640"]);
    // Whole windows, of 512 tokens.
    assert_eq!((&report["recovered"], &report["calibration_tokens"]), (&28.into(), &512.into()));
    let model = arg(&out).to_string();
    (dir, model)
}
