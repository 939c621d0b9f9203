//! Program files that are missing, damaged, or of another model.

use super::common;

use common::{accllm, arg, checkpoint_copy, fails};
use std::fs;

#[test]
fn damaged_programs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.accllm");
    let file = arg(&path);
    fails(&["disasm", file], &["cannot open", "p.accllm"]);
    for content in [&b""[..], b"not a program", &[0; 4096]] {
        fs::write(&path, content).unwrap();
        fails(&["disasm", file], &["not a usable program file"]);
    }
    fails(&["disasm", arg(dir.path())], &[file.trim_end_matches("/p.accllm")]);

    assert!(accllm(&["compile", "-o", file]).ok);
    let whole = fs::read(&path).unwrap();
    for at in [0, 9, 20, 40, whole.len() / 2, whole.len() - 1] {
        let mut bad = whole.clone();
        bad[at] ^= 0x10;
        fs::write(&path, &bad).unwrap();
        fails(&["disasm", file], &["not a usable program file"]);
    }
    for len in [3, 30, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..len]).unwrap();
        fails(&["disasm", file], &["not a usable program file"]);
    }
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    fails(&["run", "--device", "golden", "--program", file], &["not a usable program file"]);

    // Another model: one with other constants.
    fs::write(&path, &whole).unwrap();
    let other = checkpoint_copy();
    let config = other.path().join("config.json");
    let text = fs::read_to_string(&config).unwrap().replace("10000", "20000");
    fs::write(&config, text).unwrap();
    let args = ["run", arg(other.path()), "--device", "golden", "--program", file];
    fails(&args, &["compiled from another model"]);
    fails(&["run", "--program", file], &["--program", "golden"]);
    fails(&["run", "--device", "golden", "--program", file, "--config", "tiny"], &["--config"]);
}

#[test]
fn models_that_do_not_fit() {
    fails(&["info", "--block", "9"], &["--block is 9", "'tiny'", "8"]);
    fails(&["run", "--device", "golden", "--window", "8000"], &["tiny"]);
}
