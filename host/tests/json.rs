//! `--json` prints one object with the keys of docs/cli.md; the other outputs are there too.

mod common;

use common::{accllm, arg, json, quantized};

#[test]
fn documented_keys() {
    let (dir, model) = quantized();
    let model = model.as_str();

    let keys = ["model", "window", "windows", "tokens", "sinks", "attention_window", "rows"];
    let report = json(&["eval", model, "--windows", "1", "--window", "64"], &keys);
    assert_eq!(report["rows"][0]["stage"], "integer");
    let perplexity = report["rows"][0]["perplexity"].as_f64().unwrap();
    assert!((1.0..100.0).contains(&perplexity), "{perplexity}");

    let program = dir.path().join("p.accllm");
    let program = arg(&program);
    let keys = [
        "model",
        "output",
        "bytes",
        "config",
        "sinks",
        "window",
        "block",
        "sequences",
        "instructions",
        "instruction_bytes",
    ];
    let report = json(&["compile", model, "-o", program, "--sinks", "4", "--window", "60"], &keys);
    assert_eq!(report["sequences"], 1);
    let instructions = report["instructions"].as_u64().unwrap() as usize;

    let report = json(&["disasm", program], &["file", "config", "instructions"]);
    let listed = report["instructions"].as_array().unwrap();
    assert_eq!(listed.len(), instructions);
    assert_eq!(listed.last().unwrap()["text"], "END");
    assert_eq!(accllm(&["disasm", program]).out.lines().count(), instructions);

    let keys = [
        "model",
        "config",
        "channels",
        "block",
        "instructions",
        "instruction_bytes",
        "weight_bytes",
        "kv_bytes",
        "aux_bytes",
        "layers",
        "head",
        "tokens",
    ];
    let report = json(&["info", model, "--config", "u280"], &keys);
    assert_eq!(
        (report["channels"].as_u64(), report["layers"][3]["weights"][6]["name"].as_str()),
        (Some(32), Some("L3.down"))
    );

    let keys = ["devices", "configs"];
    assert_eq!(json(&["devices"], &keys)["configs"][2]["peak_bytes_per_second"], 460_800_000_000u64);

    let run_keys = [
        "model",
        "device",
        "sinks",
        "window",
        "position",
        "sampling",
        "prompt",
        "prompt_tokens",
        "text",
        "tokens",
        "stop",
        "seconds",
        "compared",
        "simulated",
        "measured",
    ];
    let run = |more: &[&str]| {
        let args = [&["run", model, "--tokens", "6", "--prompt", "The dragon"], more].concat();
        json(&args, &run_keys)
    };
    let integer = run(&["--sinks", "4", "--window", "60"]);
    assert_eq!(integer["tokens"].as_array().unwrap().len(), 6);
    let golden = run(&["--device", "golden", "--program", program, "--lockstep"]);
    let rtl = run(&["--device", "verilator", "--program", program, "--lockstep"]);
    for device in [&golden, &rtl] {
        assert_eq!((&device["text"], &device["tokens"]), (&integer["text"], &integer["tokens"]));
        assert!(device["compared"]["elements"].as_u64() > Some(10_000));
    }
    assert!(golden["simulated"].is_null());
    let decode = &rtl["simulated"]["decode"];
    assert_eq!(decode["tokens"], 5);
    for key in ["cycles_per_token", "tokens_per_second", "hbm_bytes_per_token", "bandwidth_use"] {
        assert!(decode[key].as_f64() > Some(0.0), "{key}");
    }
    let shares = decode["shares"].as_object().unwrap();
    assert_eq!(shares.len(), 7);
    assert!(shares.values().all(|s| (0.0..=1.0).contains(&s.as_f64().unwrap())), "{shares:?}");
}
