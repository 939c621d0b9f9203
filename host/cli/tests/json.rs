//! `--json` prints one object with the keys of docs/cli.md; the other outputs are there too.

use super::common;

use common::{accllm, arg, json, quantized};

#[test]
fn documented_keys_of_quality() {
    let (dir, model) = quantized();
    let model = model.as_str();

    let report = json(&["eval", model, "--windows", "1", "--window", "64"]);
    let row = &report["rows"][0];
    assert_eq!((&row["stage"], &row["stride"], &row["tokens"]), (&"integer".into(), &64.into(), &63.into()));
    let ppl = row["ppl"].as_f64().unwrap();
    assert!((1.0..100.0).contains(&ppl), "{ppl}");

    let report = json(&["eval", model, "--windows", "3", "--window", "64", "--stride", "16", "--bos", "yes"]);
    assert_eq!((&report["bos"], &report["rows"][0]["tokens"]), (&true.into(), &(63 + 2 * 16).into()));

    let report =
        json(&["ablate", "--only", "input of o", "--window", "64", "--windows", "1", "--calib-windows", "1"]);
    let line = &report["lines"][0];
    assert_eq!((&line["name"], line.as_object().unwrap().len()), (&"input of o".into(), 5));
    let (ppl, change) = (line["ppl"].as_f64().unwrap(), line["change"].as_f64().unwrap());
    assert!((1.0..100.0).contains(&ppl) && (0.0..0.2).contains(&change.abs()) && change != 0.0, "{report}");

    let svg = dir.path().join("long.svg");
    let long = [
        "eval-long",
        model,
        "--tokens",
        "700",
        "--bucket",
        "256",
        "--attention-sinks",
        "2",
        "--attention-window",
        "30",
        "--full",
        "300",
        "--svg",
        arg(&svg),
    ];
    let report = json(&long);
    let series = report["series"].as_array().unwrap();
    assert_eq!(
        series.iter().map(|s| s["attention"].as_str().unwrap()).collect::<Vec<_>>(),
        ["lambda", "window", "full"]
    );
    assert_eq!(series[0]["buckets"].as_array().unwrap().len(), 3);
    assert_eq!(series[2]["buckets"][1]["to"], 300);
    assert!(std::fs::read_to_string(&svg).unwrap().contains("</svg>"));

    let report = json(&["bench-cpu", model, "--threads", "1", "--tokens", "2"]);
    assert!(report["score_tok_per_s"].as_f64().unwrap() > 0.0);
}

#[test]
fn documented_keys_of_programs_and_runs() {
    let (dir, model) = quantized();
    let model = model.as_str();

    let program = dir.path().join("p.accllm");
    let program = arg(&program);
    let report = json(&["compile", model, "-o", program, "--sinks", "4", "--window", "60"]);
    assert_eq!(report["sequences"], 1);
    let instructions = report["instructions"].as_u64().unwrap() as usize;

    let report = json(&["disasm", program]);
    let listed = report["instructions"].as_array().unwrap();
    assert_eq!(listed.len(), instructions);
    assert_eq!(listed.last().unwrap()["text"], "END");
    assert_eq!(accllm(&["disasm", program]).out.lines().count(), instructions);

    let report = json(&["info", model, "--config", "u280"]);
    let token = |id: u32, text: &str| serde_json::json!([{"id": id, "text": text}]);
    assert_eq!((&report["begin"], &report["end"]), (&token(0, "<s>"), &token(1, "</s>")));
    assert_eq!(
        (report["channels"].as_u64(), report["layers"][3]["weights"][6]["name"].as_str()),
        (Some(32), Some("L3.down"))
    );

    // Sizes alone are enough, and give what a model of these sizes does.
    let sizes = dir.path().join("config.json");
    std::fs::copy(common::checkpoint().join("config.json"), &sizes).unwrap();
    let of_sizes = json(&["info", arg(&sizes), "--config", "u280", "--sinks", "4", "--window", "508"]);
    for key in ["kv_bytes", "channels", "block"] {
        assert_eq!(of_sizes[key], report[key], "{key}");
    }
    assert_eq!(of_sizes["layers"][3]["weights"][6]["rows"], report["layers"][3]["weights"][6]["rows"]);
    assert_eq!(of_sizes["begin"], serde_json::json!([]));

    assert_eq!(json(&["devices"])["configs"][2]["peak_bytes_per_second"], 460_800_000_000u64);

    let run = |more: &[&str]| {
        let args = [&["run", model, "--tokens", "6", "--prompt", "The dragon"], more].concat();
        json(&args)
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
