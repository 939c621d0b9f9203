//! Texts through XRT are those of the direct run.

use super::bench::{Emulation, arg, direct, finish};

#[test]
fn the_same_text_and_cycles_as_without_xrt() {
    let Some(emulation) = Emulation::new(&[]) else { return };
    let ours = emulation.run(&["--json"]).json();
    let want = direct(&["--json", "--device", "verilator"]).json();
    for key in ["text", "tokens", "stop", "prompt_tokens"] {
        assert_eq!(ours[key], want[key], "{key}");
    }
    assert_eq!(ours["tokens"].as_array().unwrap().len(), 6);
    for part in ["prefill", "decode"] {
        let (ours, want) = (&ours["simulated"][part], &want["simulated"][part]);
        assert!(want["cycles"].as_u64() > Some(10_000), "{want}");
        assert_eq!(ours, want, "{part}");
    }
    assert!(ours["measured"].is_null(), "an emulated card is no card");
}

#[test]
fn memory_timing_of_the_emulated_card_changes_cycles_only() {
    let Some(emulation) = Emulation::new(&["--memory", "stalling", "--memory-seed", "3"]) else { return };
    let ours = emulation.run(&["--json"]).json();
    let want =
        direct(&["--json", "--device", "verilator", "--memory", "stalling", "--memory-seed", "3"]).json();
    let ideal = direct(&["--json", "--device", "verilator"]).json();
    assert_eq!(ours["tokens"], want["tokens"]);
    let cycles = |r: &serde_json::Value| r["simulated"]["decode"]["cycles"].as_u64().unwrap();
    assert!(cycles(&ours) > cycles(&ideal), "{} {}", cycles(&ours), cycles(&ideal));
}

#[test]
fn two_hosts_at_once() {
    let Some(emulation) = Emulation::new(&[]) else { return };
    let prompts = ["The dragon", "One day, Tom"];
    let running = prompts.map(|p| emulation.start(&["--json", "--prompt", p], &[]));
    let texts = running.map(|child| finish(child).json());
    emulation.nothing_left();
    for (text, prompt) in texts.iter().zip(prompts) {
        let want = direct(&["--json", "--device", "golden", "--prompt", prompt]).json();
        assert_eq!(text["tokens"], want["tokens"], "{prompt}");
    }
    assert_ne!(texts[0]["tokens"], texts[1]["tokens"]);
}

/// Opening again, another program, and what the driver costs.
#[test]
fn xrt_check() {
    let Some(emulation) = Emulation::new(&[]) else { return };
    let report = emulation.verb(&["xrt-check", "--tokens", "3", "--runs", "10", "--json"]).json();
    assert_eq!((report["tokens"].as_u64(), report["emulated"].as_bool()), (Some(9), Some(true)));
    // HBM[0], HBM[1], DDR[0].
    assert_eq!(report["addresses"], serde_json::json!([0, 0x1000_0000, 0x40_0000_0000u64]));
    let m = &report["measured"];
    assert!(m["bytes"].as_u64() > Some(1_000_000), "{m}");
    for key in [
        "checked_bytes_per_second",
        "upload_bytes_per_second",
        "raw_bytes_per_second",
        "run_seconds",
        "raw_run_seconds",
        "raw_start_seconds",
    ] {
        assert!(m[key].as_f64() > Some(0.0), "{key}: {m}");
    }
}

/// An emulated `edge` card: four channels.
#[test]
fn another_configuration() {
    let Some(emulation) = Emulation::new(&["--config", "edge"]) else { return };
    let xclbin = emulation.path("accllm_edge.xclbin");
    let args =
        ["run", "--device", "xrt", "--config", "edge", "--tokens", "3", "--json", "--xclbin", arg(&xclbin)];
    let ours = emulation.verb(&args).json();
    let want = emulation.verb(&["run", "--tokens", "3", "--json"]).json();
    assert_eq!(ours["tokens"], want["tokens"]);
    assert_eq!(ours["simulated"]["config"], "edge");
}

/// A text that another device began goes on with the same tokens, and the other way round.
#[test]
fn saved_sessions() {
    let Some(emulation) = Emulation::new(&[]) else { return };
    let whole = direct(&["--json", "--device", "golden", "--tokens", "8"]).json();
    let [from, to] = ["golden.session", "xrt.session"].map(|n| emulation.path(n));
    let begun = ["--json", "--device", "golden", "--tokens", "4", "--save-session", arg(&from)];
    let first = direct(&begun).json();
    let middle = ["--json", "--tokens", "2", "--session", arg(&from), "--save-session", arg(&to)];
    let middle = emulation.run(&middle).json();
    let last = direct(&["--json", "--device", "verilator", "--tokens", "2", "--session", arg(&to)]).json();
    let parts = [first, middle, last];
    let tokens: Vec<_> = parts.iter().flat_map(|p| p["tokens"].as_array().unwrap().clone()).collect();
    assert_eq!(&tokens, whole["tokens"].as_array().unwrap());
}
