//! `--trace`: the file opens as JSON, its slices are in order and apart, and bad requests are refused before any work.

use super::common;

use common::{accllm, arg, fails};
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn trace_files_are_whole_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.json");
    let run =
        ["run", "--device", "verilator", "--prompt", "Once upon a time", "--tokens", "2", "--ignore-end"];
    let ran = accllm(&[&run[..], &["--json", "--trace", arg(&path)]].concat());
    assert!(ran.ok, "{}", ran.err);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let trace: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();

    // Slices of a thread do not overlap; times are microseconds with three decimals, cycles are exact.
    let mut threads: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for e in events {
        if e["ph"] == "X" {
            let (start, cycles) =
                (e["args"]["cycle"].as_u64().unwrap(), e["args"]["cycles"].as_u64().unwrap());
            threads.entry(e["tid"].as_u64().unwrap()).or_default().push((start, start + cycles));
            *kinds.entry(e["cat"].as_str().unwrap()).or_default() += 1;
            assert!(e["name"].as_str().is_some_and(|n| !n.is_empty()), "{e}");
        } else {
            *kinds.entry(e["ph"].as_str().unwrap()).or_default() += 1;
        }
    }
    for (thread, slices) in &mut threads {
        slices.sort_unstable();
        assert!(slices.windows(2).all(|w| w[0].1 <= w[1].0), "slices of thread {thread} overlap");
    }
    // Prompt and two tokens but the last one's step; units, waits and counters are all there.
    assert!(kinds["run"] >= 2 && kinds["instruction"] > 500 && kinds["wait"] > 50, "{kinds:?}");
    assert!(kinds["C"] > 10 && kinds["M"] > 5, "{kinds:?}");
    let cycles = report["simulated"]["cycles"].as_u64().unwrap();
    let end = threads.values().flatten().map(|s| s.1).max().unwrap();
    assert!(end <= cycles, "the last slice ends at {end}, the runs took {cycles} cycles");
}

#[test]
fn impossible_traces_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.json");
    fails(&["run", "--device", "golden", "--trace", arg(&path)], &["--trace", "verilator"]);
    let nowhere = dir.path().join("no/such/folder/run.json");
    fails(&["run", "--device", "verilator", "--trace", arg(&nowhere)], &["no/such/folder"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
