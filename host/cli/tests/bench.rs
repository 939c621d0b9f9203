//! `accllm bench` on 'tiny': what it reports.

use super::common;

use common::{accllm, fails, json};
use serde_json::Value;

/// One layer of smollm2-135m on 'tiny'.
const SMALL: [&str; 10] =
    ["bench", "smollm2-135m", "--config", "tiny", "--layers", "1", "--window", "60", "--seed", "3"];

fn bench(more: &[&str]) -> Value {
    json(&[&SMALL, more].concat())
}

fn number(v: &Value, key: &str) -> f64 {
    v[key].as_f64().unwrap_or_else(|| panic!("{key}: {}", v[key]))
}

#[test]
fn decode_and_prefill() {
    let r = bench(&["--context", "9", "--prompt", "5", "--tokens", "2"]);
    assert_eq!((&r["phase"], &r["prefill"]["phase"]), (&"decode".into(), &"prefill".into()));
    assert_eq!(
        (r["context"].as_u64(), r["tokens"].as_u64(), r["runs"].as_u64()),
        (Some(9), Some(2), Some(2))
    );
    for r in [&r, &r["prefill"]] {
        assert_eq!((r["elements_different"].as_u64(), &r["difference"]), (Some(0), &Value::Null));
        assert!(number(r, "elements_compared") > 10_000.0);
        let (cycles, tokens) = (number(r, "cycles"), number(r, "tokens"));
        assert_eq!(number(r, "cycles_per_token"), cycles / tokens);
        assert!((number(r, "tokens_per_s") * cycles / tokens / 225e6 - 1.0).abs() < 1e-9);
        // Bytes over cycles, against 2 channels x 64 bytes, and against what the memory model can do.
        let peak = number(r, "bytes_per_token") * tokens / cycles / 128.0;
        assert!((number(r, "hbm_fraction_of_peak") - peak).abs() < 1e-9);
        let model = number(r, "hbm_fraction_of_model") * number(r, "model_bytes_per_s");
        assert!((model - peak * 28.8e9).abs() < 1e3);
        assert!((0.01..=1.0).contains(&number(r, "mac_utilisation")));
        // The matrix unit's operations account for nearly all cycles.
        let own = |keys: &[&str]| -> f64 {
            let all = r["operations"].as_array().unwrap().iter();
            all.flat_map(|o| keys.iter().map(|k| number(o, k))).sum()
        };
        let parts = [
            "computing",
            "parameters",
            "waiting_for_memory",
            "waiting_for_output",
            "waiting_for_vector",
            "ends",
        ];
        let busy = own(&["computing"]);
        assert!(own(&parts) > 0.5 * cycles && own(&parts) <= cycles && own(&["vector_busy"]) <= cycles);
        assert!(busy > 0.3 * cycles);
        assert_eq!((r["layers"].as_u64(), r["estimated"]["layers"].as_u64()), (Some(1), Some(30)));
        assert!(number(&r["estimated"], "tokens_per_s") < number(r, "tokens_per_s"));
    }
    assert_eq!(r["prefill"]["prompt"], 5);
    // The head's streams follow each other, and each is far longer than the FIFO of 'tiny'.
    assert!((0.95..1.01).contains(&number(&r, "streaming_fraction_of_model")));
    assert!(number(&r["prefill"], "mac_utilisation") > number(&r, "mac_utilisation"));
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let simulated = |more: &[&str]| {
        let mut r = bench(more);
        let object = r.as_object_mut().unwrap();
        for measured in ["sim_cycles_per_s", "generate_s", "wall_s", "peak_memory_bytes"] {
            object.remove(measured).unwrap();
        }
        r
    };
    let first = simulated(&["--context", "30"]);
    assert_eq!(first, simulated(&["--context", "30"]));
    // The RTL alone takes the same cycles; narrow probabilities take fewer multiplications.
    let alone = simulated(&["--context", "30", "--no-compare"]);
    assert_eq!((&alone["cycles"], &alone["elements_compared"]), (&first["cycles"], &0.into()));
    let narrow = simulated(&["--context", "30", "--prob-bits", "8"]);
    assert_eq!(&narrow["prob_bits"], 8);
    assert_eq!(narrow["elements_different"], 0);
    let work = |r: &Value| number(r, "mac_utilisation") * number(r, "cycles");
    assert!(work(&narrow) < work(&first));
}

/// A batch counts the tokens of all its sequences, which share the weights' bytes.
#[test]
fn several_sequences_at_once() {
    let one = bench(&["--context", "30", "--tokens", "2"]);
    let two = bench(&["--context", "30", "--tokens", "2", "--batch", "2"]);
    assert_eq!((&one["batch"], &two["batch"], &two["phase"]), (&Value::Null, &2.into(), &"batch".into()));
    assert_eq!((two["tokens"].as_u64(), two["runs"].as_u64()), (Some(4), Some(2)));
    assert_eq!((two["elements_different"].as_u64(), &two["difference"]), (Some(0), &Value::Null));
    assert!(number(&two, "elements_compared") > 1.5 * number(&one, "elements_compared"));
    assert!((0.5..0.7).contains(&(number(&two, "bytes_per_token") / number(&one, "bytes_per_token"))));
    let work = |r: &Value| number(r, "mac_utilisation") * number(r, "cycles");
    assert!((work(&two) / work(&one) - 2.0).abs() < 1e-9);
    // Text whose sequences differ, by way of the golden executor.
    let args =
        ["bench", "tinytales", "--config", "edge", "--sinks", "4", "--window", "60", "--context", "70"];
    let ran = accllm(&[&args[..], &["--memory", "ideal", "--batch", "2"]].concat());
    assert!(ran.ok, "{}", ran.err);
    assert!(ran.out.contains("decode of 2 tokens of 2 sequences at once after 70 each"), "{}", ran.out);
    assert!(ran.out.contains("with the golden executor, 0 differ"), "{}", ran.out);
}

#[test]
fn the_bundled_model_on_real_text() {
    let args = ["bench", "tinytales", "--config", "tiny", "--sinks", "4", "--window", "60"];
    let ran = accllm(&[&args[..], &["--context", "70", "--memory", "ideal"]].concat());
    assert!(ran.ok, "{}", ran.err);
    assert!(ran.out.contains("tinytales on 'tiny', decode of 1 tokens after 70"), "{}", ran.out);
    assert!(ran.out.contains("with the golden executor, 0 differ"), "{}", ran.out);
    fails(&[&args[..], &["--layers", "1"]].concat(), &["--layers", "random weights"]);
    fails(&[&args[..], &["--context", "99999999"]].concat(), &["99999999", "the text of tinytales has"]);
}

#[test]
fn a_config_json_is_a_shape() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, broken) = (folder.path().join("config.json"), folder.path().join("odd.json"));
    let write = |path, width: usize| {
        let sizes =
            r#""hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 2, "vocab_size": 101"#;
        let heads = format!(r#""num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": {width}"#);
        std::fs::write(path, format!(r#"{{"model_type": "llama", {sizes}, {heads}}}"#)).expect("written");
    };
    write(&file, 8);
    write(&broken, 258);
    let small = |path: &std::path::Path| path.to_str().expect("UTF-8").to_string();
    let args = ["--config", "tiny", "--memory", "ideal", "--context", "3", "--window", "60"];
    let r = json(&[&["bench", &small(&file)], &args[..]].concat());
    assert_eq!((r["layers"].as_u64(), r["model_layers"].as_u64()), (Some(2), Some(2)));
    assert_eq!((r["elements_different"].as_u64(), &r["difference"]), (Some(0), &Value::Null));
    fails(&[&["bench", &small(&broken)], &args[..]].concat(), &["odd.json", "head_dim is 258", "1 to 256"]);
    fails(&["bench", "none/config.json"], &["none/config.json"]);
}

#[test]
fn nonsense_is_refused() {
    fails(&["bench", "llama9"], &["no shape 'llama9'", "llama2-7b", "tinytales"]);
    fails(&["bench"], &["<SHAPE>"]);
    fails(&["bench", "llama2-7b", "--config", "u9"], &["no configuration named 'u9'"]);
    fails(&["bench", "llama2-7b", "--layers", "33"], &["--layers is 33", "32"]);
    fails(&["bench", "llama2-7b", "--config", "tiny", "--window", "8000"], &["tiny", "score buffer"]);
    fails(&["bench", "llama2-7b", "--tokens", "0"], &["--tokens is 0"]);
    fails(&["bench", "llama2-7b", "--prompt", "0"], &["--prompt is 0"]);
    fails(&["bench", "llama2-7b", "--batch", "1"], &["--batch is 1", "2 or more"]);
    fails(&["bench", "llama2-7b", "--batch", "5"], &["sequences", "1..=4"]);
    fails(&["bench", "llama2-7b", "--batch", "2", "--prompt", "9"], &["--prompt"]);
    fails(&["bench", "llama2-7b", "--context", "4294967296"], &["positions end at"]);
    fails(&["bench", "llama2-7b", "--prob-bits", "9"], &["8, 16"]);
    fails(&["bench-page", "/no/such/folder/page.md"], &["/no/such/folder"]);
}

#[test]
fn an_estimate_has_area_and_with_a_shape_power() {
    let report = json(&["estimate"]);
    assert_eq!(
        (&report["config"], &report["card"], &report["power"]),
        (&"u280".into(), &"u280".into(), &Value::Null)
    );
    let units = report["units"].as_array().unwrap();
    let tiles = units.iter().find(|u| u["unit"] == "tile").unwrap();
    assert_eq!((tiles["count"].as_u64(), tiles["part"].as_str()), (Some(32), Some("matrix")));
    let sum = |name: &str| units.iter().map(|u| u["total"][name].as_f64().unwrap()).sum::<f64>();
    assert!((sum("lut") - report["total"]["lut"].as_f64().unwrap()).abs() < 1.0);
    assert!(report["fits"] == true && report["misfits"] == Value::Array(vec![]), "{report}");

    let report = json(&["estimate", "llama2-7b", "--context", "128"]);
    let power = &report["power"];
    assert_eq!(
        (&power["phase"], &power["tokens"], &power["context"]),
        (&"decode".into(), &1.into(), &128.into())
    );
    let range = |name: &str| ["low", "value", "high"].map(|end| power[name][end].as_f64().unwrap());
    let ([low, watts, high], [_, joules, _]) = (range("watts"), range("joules_per_token"));
    assert!(22.0 < low && low < watts && watts < high && high < 100.0, "{power}");
    let seconds = power["cycles_per_token"].as_f64().unwrap() / 225e6;
    assert!((joules - watts * seconds).abs() < 1e-9 * joules);

    // A card that is too small says what does not fit.
    let report = json(&["estimate", "--card", "zcu104"]);
    let misfits = report["misfits"].as_array().unwrap();
    assert!(
        report["fits"] == false && misfits.iter().any(|m| m.as_str().unwrap().contains("LUT")),
        "{report}"
    );
    fails(&["estimate", "--card", "u999"], &["u999"]);
    fails(&["estimate", "no-such-model"], &["no-such-model"]);
    fails(&["estimate", "llama2-7b", "--prompt", "0"], &["--prompt is 0"]);
    fails(&["estimate", "--page", "/no/such/page.md"], &["/no/such/page.md"]);
}
