//! Program files: round trip, and refusal of everything that is not one.

use accllm_compiler::{Error, MemoryImage, ModelSpec, Program, Settings, synthetic};
use accllm_hw::config::find;
use std::path::Path;

const TINY: &str = include_str!("../../hw/configs/tiny.toml");

fn saved(folder: &Path) -> (Program, MemoryImage, std::path::PathBuf) {
    let (_, s) = synthetic::shapes().swap_remove(0);
    let model = s.build();
    let config = find("tiny").unwrap_or_else(|e| panic!("{e}"));
    let program = Program::compile(&ModelSpec::from(&model), config, &Settings::new(4, 24))
        .unwrap_or_else(|e| panic!("{e}"));
    let image = MemoryImage::new(&program, &model).unwrap_or_else(|e| panic!("{e}"));
    let path = folder.join("model.accllm");
    program.save(&model, &path).unwrap_or_else(|e| panic!("{e}"));
    (program, image, path)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn round_trip() {
    let folder = folder();
    let (program, image, path) = saved(folder.path());
    let (p, i) = Program::load(&path).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(p, program);
    assert!(i == image, "images differ");
    let names: Vec<_> = std::fs::read_dir(folder.path()).into_iter().flatten().flatten().collect();
    assert_eq!(names.len(), 1, "temporary files are left: {names:?}");
}

#[test]
fn damage_is_refused() {
    let folder = folder();
    let (_, _, path) = saved(folder.path());
    let good = std::fs::read(&path).unwrap_or_default();
    let refused = |bytes: &[u8], what: &str| {
        assert!(std::fs::write(&path, bytes).is_ok());
        match Program::load(&path) {
            Err(Error::File { .. }) => {}
            other => panic!("{what}: {:?}", other.map(|_| ())),
        }
    };
    for keep in [0, 7, 20, 40, 1000, good.len() / 2, good.len() - 1] {
        refused(&good[..keep], &format!("truncated to {keep}"));
    }
    for at in [0, 9, 13, 17, 30, 500, good.len() / 2, good.len() - 3] {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        refused(&bad, &format!("bit flipped in byte {at}"));
    }
    refused(&[good.clone(), vec![0; 64]].concat(), "longer");
}

/// A file whose checksum is right but whose program is not is stopped by the checker.
#[test]
fn forged_programs_are_refused() {
    let folder = folder();
    let (program, _, path) = saved(folder.path());
    let mut bytes = std::fs::read(&path).unwrap_or_default();
    let json = u64::from_le_bytes(std::array::from_fn(|i| bytes[16 + i])) as usize;
    let pc = program.labels.iter().position(|l| l.op == "k_append").unwrap_or(0);
    // Operand c: the KV cache address.
    bytes[32 + json + 32 * pc + 12 + 3] = 0x7f;
    let end = bytes.len() - 4;
    let sum = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    assert!(std::fs::write(&path, &bytes).is_ok());
    assert!(matches!(Program::load(&path), Err(Error::Check { .. })));
}

#[test]
fn another_model_is_refused() {
    let folder = folder();
    let (program, _, path) = saved(folder.path());
    let (_, mut s) = synthetic::shapes().swap_remove(0);
    s.prob_wide = !s.prob_wide;
    assert!(matches!(program.save(&s.build(), &path), Err(Error::Model { .. })));
    assert!(Program::load(&path).is_ok(), "the old file must stay");
}

/// A program for a configuration that has no name here carries it.
#[test]
fn a_program_of_any_configuration_comes_back() {
    let folder = folder();
    let (_, s) = synthetic::shapes().swap_remove(0);
    let model = s.build();
    let config = accllm_hw::config::parse(
        "mine",
        &TINY.replace("channels = 2", "channels = 4").replace("fifo = 64", "fifo = 32"),
    )
    .unwrap_or_else(|e| panic!("{e}"));
    let program = Program::compile(&ModelSpec::from(&model), &config, &Settings::new(4, 24))
        .unwrap_or_else(|e| panic!("{e}"));
    let path = folder.path().join("mine.accllm");
    program.save(&model, &path).unwrap_or_else(|e| panic!("{e}"));
    let (back, _) = Program::load(&path).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(back.config, config);
    assert_eq!(back, program);
}

/// A configuration in a file is taken on trust no more than the rest.
#[test]
fn forged_configurations_are_refused() {
    let folder = folder();
    let (_, _, path) = saved(folder.path());
    let good = std::fs::read(&path).unwrap_or_default();
    for (from, to, words) in [
        (r#""vec":8"#, r#""vec":9"#, "vec = 9 must be a power of two"),
        (r#""channels":2"#, r#""channels":4"#, "memory map"),
        (r#""name":"tiny""#, r#""name":"../x""#, "name = '../x' must be"),
        (r#""vec":8"#, r#""vex":8"#, "unknown field `vex`"),
    ] {
        let json = u64::from_le_bytes(std::array::from_fn(|i| good[16 + i])) as usize;
        let text = String::from_utf8_lossy(&good[32..32 + json]).replacen(from, to, 1);
        assert_eq!(text.len(), json, "{from}");
        let mut bytes = good.clone();
        bytes[32..32 + json].copy_from_slice(text.as_bytes());
        let end = bytes.len() - 4;
        let sum = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&sum.to_le_bytes());
        assert!(std::fs::write(&path, &bytes).is_ok());
        let said = Program::load(&path).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(said.contains(words), "{to}: {said}");
    }
}

/// A file of before configurations were in it.
#[test]
fn old_files_are_refused_by_their_format() {
    let folder = folder();
    let (_, _, path) = saved(folder.path());
    let mut bytes = std::fs::read(&path).unwrap_or_default();
    bytes[8] = 3;
    let end = bytes.len() - 4;
    let sum = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    assert!(std::fs::write(&path, &bytes).is_ok());
    let said = Program::load(&path).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(said.contains("it has format 3") && said.contains("compile the model again"), "{said}");
}
