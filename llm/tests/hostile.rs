//! Damaged and hostile files: always an error value (or a model that happens to be whole), never a panic, never an
//! allocation by a number that the file states.

use super::support;

use accllm_llm::float::NoTap;
use accllm_llm::import::gguf::tokenizer_files;
use accllm_llm::import::load_model;
use proptest::prelude::*;
use std::path::Path;
use support::gguf::{self as writer, file, small_pairs, small_tensors};
use support::{CONFIG, Outcome, small_text, tensors, write_folder};

/// Opens model and tokenizer; where both are whole, computes with them.
fn open(path: &Path) -> Result<(), String> {
    let tokenizer = tokenizer_files(path).map(|_| ()).map_err(|e| e.to_string());
    let model = load_model(path).map_err(|e| e.to_string())?;
    // Changed weights may overflow; they may not panic.
    let _ = model.logits(&small_text(4), None, &mut NoTap);
    tokenizer
}

fn gguf(bytes: &[u8]) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let path = folder.path().join("a.gguf");
    std::fs::write(&path, bytes).map_err(|e| e.to_string())?;
    open(&path)
}

/// What a number of the file is replaced with.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(32),
        Just(u64::from(u32::MAX)),
        Just(1 << 40),
        Just(1 << 62),
        Just(u64::MAX),
        Just(u64::MAX - 31),
        any::<u64>()
    ]
}

#[test]
fn a_truncated_gguf_file_is_an_error_at_every_length() {
    let whole = file(&small_pairs(), &small_tensors());
    assert_eq!(gguf(&whole), Ok(()));
    let directory = whole.len() - 4 * 40 * 400;
    for length in (0..directory.min(6000)).step_by(7).chain((directory..whole.len()).step_by(1009)) {
        assert!(gguf(&whole[..length]).is_err(), "{length} of {} bytes are taken", whole.len());
    }
    assert!(gguf(&whole[..whole.len() - 1]).is_err());
}

#[test]
fn hostile_gguf_directories_are_named() {
    let whole = file(&small_pairs(), &small_tensors());
    let edited = |name: &str, from: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        let needle = writer::text(name);
        let at =
            file.windows(needle.len()).position(|w| w == needle).unwrap_or_default() + needle.len() + from;
        file[at..at + bytes.len()].copy_from_slice(bytes);
        gguf(&file).err().unwrap_or_default()
    };
    // Behind the name: dimensions u32, two sizes u64, type u32, offset u64.
    let q = "blk.0.attn_q.weight";
    for (from, bytes, word) in [
        (24, &0u64.to_le_bytes()[..], "overlap"),
        (24, &33u64.to_le_bytes(), "multiple of 32"),
        (24, &(1u64 << 50).to_le_bytes(), q),
        (24, &(u64::MAX - 31).to_le_bytes(), q),
        (4, &u64::MAX.to_le_bytes(), q),
        (4, &0u64.to_le_bytes(), q),
        (12, &(1u64 << 61).to_le_bytes(), q),
        (0, &0u32.to_le_bytes(), "dimensions"),
        (0, &9u32.to_le_bytes(), "dimensions"),
        (20, &2u32.to_le_bytes(), q),
        (20, &77u32.to_le_bytes(), "77"),
    ] {
        let text = edited(q, from, bytes);
        assert!(text.contains(word), "{text:?} does not mention {word:?}");
    }
    let twice = edited("blk.0.attn_k.weight", 0, &[]);
    assert_eq!(twice, "");
    let mut file = whole.clone();
    let (k, v) = (writer::text("blk.0.attn_k.weight"), writer::text("blk.0.attn_v.weight"));
    let at = file.windows(k.len()).position(|w| w == k).unwrap_or_default();
    file[at..at + v.len()].copy_from_slice(&v);
    assert!(gguf(&file).err().unwrap_or_default().contains("twice"));
    for at in [8, 16, 24] {
        let mut file = whole.clone();
        file[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(gguf(&file).is_err(), "a count of u64::MAX at byte {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_gguf_bytes(at in 0usize..4000, byte in any::<u8>()) {
        let mut file = file(&small_pairs(), &small_tensors());
        file[at] = byte;
        let _ = gguf(&file);
    }

    #[test]
    fn changed_gguf_numbers(at in 0usize..4000, number in numbers(), short in any::<bool>()) {
        let mut file = file(&small_pairs(), &small_tensors());
        let bytes = number.to_le_bytes();
        let n = if short { 4 } else { 8 };
        file[at..at + n].copy_from_slice(&bytes[..n]);
        let _ = gguf(&file);
    }

    #[test]
    fn changed_safetensors(at in 0usize..3000, byte in any::<u8>(), number in prop::option::of(numbers()), cut in prop::option::of(0usize..90_000)) {
        let folder = tempfile::tempdir().map_err(|e| TestCaseError::fail(e.to_string()))?;
        write_folder(folder.path(), CONFIG, &tensors()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let path = folder.path().join("model.safetensors");
        let mut bytes = std::fs::read(&path)?;
        bytes[at] = byte;
        if let Some(n) = number {
            bytes[..8].copy_from_slice(&n.to_le_bytes());
        }
        bytes.truncate(cut.unwrap_or(usize::MAX));
        std::fs::write(&path, bytes)?;
        let _ = load_model(folder.path());
    }

    #[test]
    fn changed_configurations(at in 0usize..400, text in "[ -~]{0,4}", index in any::<bool>()) {
        let folder = tempfile::tempdir().map_err(|e| TestCaseError::fail(e.to_string()))?;
        write_folder(folder.path(), CONFIG, &tensors()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let edit = |json: &str| {
            let at = at % json.len();
            json.get(..at).zip(json.get((at + text.len()).min(json.len())..)).map(|(a, b)| format!("{a}{text}{b}"))
        };
        if index {
            let (from, to) = ("model.safetensors", "a.safetensors");
            std::fs::rename(folder.path().join(from), folder.path().join(to))?;
            let map: serde_json::Map<_, _> = tensors().into_iter().map(|t| (t.name, to.into())).collect();
            let json = serde_json::json!({"weight_map": map}).to_string();
            std::fs::write(folder.path().join("model.safetensors.index.json"), edit(&json).unwrap_or_default())?;
        } else {
            std::fs::write(folder.path().join("config.json"), edit(CONFIG).unwrap_or_default())?;
        }
        let _ = load_model(folder.path());
    }
}

#[test]
fn huge_configurations_do_not_allocate() -> Outcome {
    for (from, to) in [
        ("\"vocab_size\": 50", "\"vocab_size\": 4194304"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1024"),
        ("\"intermediate_size\": 72", "\"intermediate_size\": 1048576"),
        ("\"hidden_size\": 40", "\"hidden_size\": 65536"),
    ] {
        let config = CONFIG.replace(from, to);
        assert_ne!(config, CONFIG);
        let folder = tempfile::tempdir()?;
        write_folder(folder.path(), &config, &tensors())?;
        assert!(load_model(folder.path()).is_err(), "{to}");
    }
    Ok(())
}
