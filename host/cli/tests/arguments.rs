//! Arguments without meaning, and outputs that cannot be written.

use super::common;

use common::{accllm, arg, fails};

#[test]
fn names_that_do_not_exist() {
    fails(&["run", "--device", "tpu"], &["tpu", "integer", "golden", "verilator"]);
    fails(&["run", "--device", "golden", "--config", "huge"], &["huge", "tiny", "edge", "u280"]);
    fails(&["compile", "-o", "never.accllm", "--config", "huge"], &["huge", "tiny, edge, u280"]);
    fails(&["info", "--config", ""], &["tiny, edge, u280"]);
    fails(&["eval", "--stage", "w3"], &["w3", "integer"]);
    fails(&["ablate", "--only", "W3"], &["--list"]);
    fails(&["ablate", "--windows", "1", "--window", "0"], &["window of 0"]);
    fails(&["ablate", "--page", "no-such-page.md"], &["cannot read", "no-such-page.md"]);
    fails(&["frobnicate"], &["frobnicate", "--help"]);
}

/// A message is written at once: nothing that a library prints on another thread can come into its middle.
#[test]
fn an_error_is_one_write() {
    let (here, there) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_accllm"));
    command.args(["info", "--config", "huge"]).stderr(std::os::fd::OwnedFd::from(there));
    assert!(!command.status().unwrap().success());
    let mut write = [0; 4096];
    let bytes = here.recv(&mut write).unwrap();
    let line = std::str::from_utf8(&write[..bytes]).unwrap();
    assert!(
        line.starts_with("error: ") && line.contains("tiny, edge, u280") && line.ends_with('\n'),
        "{line}"
    );
}

#[test]
fn outputs_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("missing/prog.accllm");
    fails(&["compile", "-o", arg(&gone)], &["cannot write", "missing"]);
    fails(&["compile", "-o", arg(dir.path())], &["is a folder"]);
    fails(&["quantize", "bundled", arg(&dir.path().join("missing/out"))], &["cannot write", "missing"]);
    let full = dir.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("precious.txt"), "keep").unwrap();
    fails(&["quantize", "bundled", arg(&full)], &["full"]);
    let out = dir.path().join("out");
    fails(&["quantize", "bundled", arg(&out), "--prefix", "Once upon a time, there"], &["prefix", "4 sinks"]);
    fails(&["quantize", "bundled", arg(&out), "--prefix", ""], &["prefix is empty"]);
    for option in [
        ["--start", "bundled"],
        ["--train-minutes", "5"],
        ["--train-rate", "0.01"],
        ["--train-rows", "256"],
        ["--gpus", "2"],
        ["--freeze-from", "0.9"],
        ["--documents", "64-384"],
        ["--min-p", "0.1"],
        ["--watch", "text.txt"],
    ] {
        fails(&[&["quantize", "bundled", arg(&out)], &option[..]].concat(), &[option[0], "--preset gpu"]);
    }
    for number in ["0", "1000000"] {
        let wrong = ["quantize", "bundled", arg(&out), "--train-minutes", number];
        fails(&wrong, &["give a number above 0 and below 1,000,000"]);
    }
    fails(&["quantize", "bundled", arg(&out), "--freeze-from", "1.5"], &["give a number from 0 to 1"]);
    fails(&["quantize", "bundled", arg(&out), "--train-rows", "10"], &["64"]);
    for wrong in ["64", "384-64", "0-64"] {
        fails(&["quantize", "bundled", arg(&out), "--documents", wrong], &["give two numbers, as 64-384"]);
    }
    for (layers, word) in
        [("2-9=wanda", "layers 2 to 9"), ("3-2=wanda", "layers 3 to 2"), ("4=wanda", "0 to 3")]
    {
        fails(&["quantize", "bundled", arg(&out), "--layer-pruning", layers], &["pruning", word]);
    }
    assert_eq!(std::fs::read(full.join("precious.txt")).unwrap(), b"keep");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "something was left behind");
}

#[test]
fn texts_and_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.txt");
    fails(&["eval", "--text", arg(&text)], &["cannot read", "text.txt"]);
    std::fs::write(&text, "Too short.").unwrap();
    fails(&["eval", "--text", arg(&text)], &["windows"]);
    std::fs::write(&text, [0xff, 0xfe, 0x00]).unwrap();
    fails(&["eval", "--text", arg(&text)], &["text.txt", "UTF-8"]);
    fails(&["eval", "--window", "1", "--stage", "integer"], &["at least 2"]);
    fails(&["eval", "--stride", "0", "--stage", "integer"], &["stride of 0"]);
    fails(&["eval", "--stride", "321", "--stage", "integer"], &["stride of 321", "320"]);
    fails(&["eval", "--stride", "320", "--bos", "yes", "--stage", "integer"], &["stride of 320", "319"]);
    fails(&["eval", "--tokens", "9"], &["--tokens"]);
    fails(&["eval-long", "--stage", "w2"], &["w2", "integer", "float"]);
    fails(&["eval-long", "--stage", "float", "--tokens", "99999999"], &["--tokens 99999999", "longer text"]);
    fails(
        &["eval-long", "--stage", "float", "--svg", arg(&dir.path().join("no/plot.svg"))],
        &["cannot write", "no"],
    );
    fails(&["bench-cpu", "smollm2-135m", "--threads", "0"], &["--threads"]);
    fails(&["run", "--window", "0"], &["n_window", "0"]);
    fails(&["run", "--sinks", "9000"], &["n_sink"]);
    fails(&["run", "--tokens", "-1"], &["--tokens"]);
}

#[test]
fn options_that_do_not_go_together() {
    fails(&["run", "--wave", "w.fst"], &["--wave", "verilator"]);
    fails(&["run", "--memory", "stalling"], &["--memory", "verilator"]);
    fails(&["run", "--lockstep"], &["--lockstep", "golden", "verilator"]);
}

#[test]
fn help_has_examples() {
    for verb in ["quantize", "eval", "compile", "run"] {
        assert!(accllm(&[verb, "--help"]).out.contains("accllm "), "{verb}");
    }
    assert!(accllm(&["--help"]).out.contains("Examples:"));
}
