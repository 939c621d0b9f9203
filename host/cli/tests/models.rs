//! Models that are missing, damaged or of the wrong kind: a clear message, a failing exit, nothing written.

use super::common;

use common::{accllm, arg, checkpoint, checkpoint_copy, fails, json, quantized};
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn no_such_model() {
    for verb in [&["run"][..], &["eval"], &["info"], &["compile", "-o", "never.accllm"]] {
        let args = [verb, &["no/such/model"]].concat();
        fails(&args, &["no model folder no/such/model", "`bundled`"]);
    }
    assert!(!std::path::Path::new("never.accllm").exists());
    let empty = tempfile::tempdir().unwrap();
    fails(&["run", arg(empty.path())], &["no model in", "config.json", "quant.json"]);
}

#[test]
fn damaged_checkpoints() {
    let dir = checkpoint_copy();
    let weights = dir.path().join("model.safetensors");
    let whole = fs::read(&weights).unwrap();
    let out = dir.path().join("out");
    for len in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&weights, &whole[..len]).unwrap();
        fails(&["quantize", arg(dir.path()), arg(&out)], &["model.safetensors"]);
        assert!(!out.exists());
    }
    fs::remove_file(&weights).unwrap();
    fails(&["eval", arg(dir.path())], &["safetensors"]);

    fs::write(&weights, &whole).unwrap();
    fs::write(dir.path().join("tokenizer.json"), "{}").unwrap();
    fails(&["run", arg(dir.path())], &["tokenizer.json"]);
    fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
    fails(&["run", arg(dir.path())], &["cannot read", "tokenizer.json"]);

    let config = dir.path().join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("LlamaForCausalLM", "MambaForCausalLM")).unwrap();
    fails(&["run", arg(dir.path())], &["Mamba", "supported", "LlamaForCausalLM"]);
    fs::write(&config, "{").unwrap();
    fails(&["run", arg(dir.path())], &["config.json", "damaged"]);
}

#[test]
fn quantized_folders() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("w2");
    // Nothing is kept without training, own text or mixture: a folder of the same name is none of its business.
    let work = dir.path().join("w2.work");
    fs::create_dir(&work).unwrap();
    fs::write(work.join("precious.txt"), "keep").unwrap();
    let ran = accllm(&["quantize", "bundled", arg(&model)]);
    assert!(ran.ok, "{}", ran.err);
    assert!(ran.out.contains("28 of 28 linears"), "{}", ran.out);
    assert_eq!(fs::read_dir(&work).unwrap().count(), 1);
    assert_eq!(fs::read(work.join("precious.txt")).unwrap(), b"keep");
    fails(&["eval", arg(&model), "--stage", "float"], &["quantized model has none"]);
    fails(&["quantize", arg(&model), arg(&dir.path().join("again"))], &["quantized model", "checkpoint"]);

    let story = |model: &str| accllm(&["run", model, "--tokens", "5"]).out;
    assert_eq!(story(arg(&model)), story("bundled"));

    let tensors = model.join("quant.safetensors");
    let whole = fs::read(&tensors).unwrap();
    fs::write(&tensors, &whole[..whole.len() / 3]).unwrap();
    fails(&["run", arg(&model)], &["quant.safetensors", "damaged"]);
    let manifest = model.join("quant.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let newer = text.replace("\"version\": 5", "\"version\": 99");
    assert_ne!(newer, text);
    fs::write(&manifest, newer).unwrap();
    fails(&["run", arg(&model)], &["version", "99"]);
}

/// Choices of a quantization, from the option to the program: each gives another model, and the golden device computes
/// what the reference says of all of them together.
#[test]
fn options_of_a_quantization() {
    let dir = tempfile::tempdir().unwrap();
    let (float, model) = (checkpoint().with_file_name("float"), dir.path().join("all"));
    let quantize = |out: &Path, options: &[&str]| {
        let ran = accllm(&[&["quantize", arg(&float), arg(out), "--calib-tokens", "1024"], options].concat());
        assert!(ran.ok, "{}", ran.err);
        fs::read(out.join("quant.safetensors")).unwrap()
    };
    let plain = quantize(&dir.path().join("plain"), &[]);
    let options = [
        ["--keys", "led"],
        ["--rotate", "3"],
        ["--split", "4"],
        ["--prefix", "One day"],
        ["--layer-pruning", "1-2=wanda"],
        ["--layer-passes", "1"],
    ];
    for option in &options {
        assert!(plain != quantize(&dir.path().join(option[0]), option), "{option:?} changes nothing");
    }
    quantize(&model, &options.concat());
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(model.join("quant.json")).unwrap()).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    assert!(layers.iter().any(|l| l["leads"].as_array().is_some_and(|l| l.iter().any(|lead| *lead != 0))));
    let run = ["--device", "golden", "--lockstep", "--tokens", "6", "--sinks", "4", "--window", "8"];
    let ran = accllm(&[&["run", arg(&model)], &run[..]].concat());
    assert!(ran.ok && ran.out.contains(" 0 differ"), "{}{}", ran.out, ran.err);
    // A window and a long text follow the prefix alike.
    let ppl = |verb: &str, how: &[&str]| {
        let ran = accllm(&[&[verb, arg(&model), "--plain", "--stage", "integer", "--json"], how].concat());
        assert!(ran.ok, "{}", ran.err);
        let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        let at = |path: &str| json.pointer(path).and_then(serde_json::Value::as_f64);
        at("/series/0/ppl").or_else(|| at("/rows/0/ppl")).unwrap()
    };
    let window = ppl("eval", &["--window", "100", "--windows", "1"]);
    let long = ppl("eval-long", &["--tokens", "99"]);
    assert_eq!(window, long);
}

/// A disk that is full when the result of a long run is written: a clear error, no model, and the next run needs the
/// finished parts only.
#[test]
fn a_full_disk_at_the_end_of_a_training() {
    let dir = tempfile::tempdir().unwrap();
    let [work, whole, lost] = ["work", "whole", "lost"].map(|name| dir.path().join(name));
    let float = checkpoint().with_file_name("float");
    let args = |out: &Path| {
        let train =
            ["--preset", "best", "--calib-tokens", "640", "--train-tokens", "640", "--work", arg(&work)];
        let args = [&["quantize", arg(&float), arg(out)], &train[..]].concat();
        args.into_iter().map(String::from).collect::<Vec<_>>()
    };
    let run = |out: &Path| accllm(&args(out).iter().map(String::as_str).collect::<Vec<_>>());
    let parts = || {
        let all = fs::read_dir(&work).unwrap().map(|e| e.unwrap());
        let mut parts: Vec<_> =
            all.map(|e| (e.file_name(), e.metadata().unwrap().modified().unwrap())).collect();
        parts.sort();
        parts
    };
    assert!(run(&whole).ok);
    let finished = parts();
    assert!(finished.iter().any(|(name, _)| name.to_string_lossy().starts_with("end-at")), "{finished:?}");

    // No file may have a byte: a write fails as on a full disk.
    let full = ["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_accllm")];
    let ran = Command::new("sh").args(full).args(args(&lost)).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write") && said.contains("lost"), "{said}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "something half written was left");
    assert_eq!(parts(), finished);

    assert!(run(&lost).ok);
    assert_eq!(parts(), finished);
    let tensors = |out: &Path| fs::read(out.join("quant.safetensors")).unwrap();
    assert_eq!(tensors(&lost), tensors(&whole));
}

/// A quantized folder says what it was made of, and under which licence.
#[test]
fn model_card() {
    let source = common::checkpoint_copy();
    std::fs::write(
        source.path().join("README.md"),
        "---\nlicense: apache-2.0\nlanguage: en\n---\nA model.\n",
    )
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let card = |source: &Path, out: &str| {
        let out = dir.path().join(out);
        let ran = accllm(&["quantize", arg(source), arg(&out), "--calib-tokens", "640"]);
        assert!(ran.ok, "{}", ran.err);
        std::fs::read_to_string(out.join("README.md")).unwrap()
    };
    let text = card(source.path(), "a");
    let sum = std::process::Command::new("sha256sum")
        .arg(source.path().join("model.safetensors"))
        .output()
        .unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    for word in
        ["license: apache-2.0", "base_model: ", "2-bit weights", "512 tokens", "not measured", &sum[..64]]
    {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
    std::fs::remove_file(source.path().join("README.md")).unwrap();
    let text = card(source.path(), "b");
    assert!(!text.contains("license:") && text.contains("not stated"), "{text}");
    // The perplexity is that of `accllm eval`.
    let (from, out) = (arg(source.path()), dir.path().join("c"));
    let report = json(&["quantize", from, arg(&out), "--calib-tokens", "640", "--measure", "2"]);
    let found = json(&["eval", arg(&out), "--windows", "2", "--stage", "integer"])["rows"][0]["ppl"].clone();
    assert_eq!(report["ppl"], found);
    let text = std::fs::read_to_string(out.join("README.md")).unwrap();
    let said = format!("| perplexity | {:.4} on built-in stories, 2 windows", found.as_f64().unwrap());
    assert!(text.contains(&said), "{text}");
    let short = dir.path().join("short.txt");
    std::fs::write(&short, "Once upon a time.").unwrap();
    let out = dir.path().join("d");
    fails(&["quantize", from, arg(&out), "--measure", "2", "--measure-text", arg(&short)], &["320"]);
    assert!(!out.exists());
}

/// The weights of a quantized model in float score alike inside it and in an exported folder, to the last bit.
#[test]
fn export() {
    let (dir, model) = quantized();
    let out = dir.path().join("float");
    let report = json(&["export", &model, "-o", arg(&out)]);
    assert!(report["bytes"].as_u64().is_some_and(|b| b > 1_000_000), "{report}");
    let score = |model: &str, stage: &str| {
        let short = ["--windows", "2", "--window", "64"];
        json(&[&["eval", model, "--stage", stage], &short[..]].concat())["rows"][0]["ppl"].clone()
    };
    assert_eq!(score(&model, "w2"), score(arg(&out), "float"));
    assert!(std::fs::read_to_string(out.join("README.md")).unwrap().contains("dequantized"));
    let tokenizer = |folder: &Path| fs::read(folder.join("tokenizer.json")).unwrap();
    assert_eq!(tokenizer(&out), tokenizer(Path::new(&model)));
    fails(&["export", &model, "-o", arg(&out)], &["empty or new folder"]);
}
