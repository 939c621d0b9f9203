//! Sweeps: the same results whatever is interrupted, shared or repeated, and clear errors for bad input.

use super::common;

use common::{accllm, arg, fails, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const SPEC: &str = include_str!("data/sweep/small.toml");
const SHAPE: &str = include_str!("data/sweep/small.json");
/// Points of the spec.
const POINTS: u64 = 480;

/// A folder with the spec, changed.
fn spec(changes: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut text = SPEC.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let path = folder.path().join("small.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("small.json"), SHAPE).unwrap();
    (folder, path)
}

/// A smaller spec: 48 points.
const FEW: [(&str, &str); 2] = [("mhz = [150, 225, 300, 400]", "mhz = [225, 400]"), ("to = 256", "to = 16")];

fn sweep(spec: &Path, out: &Path, more: &[&str]) -> serde_json::Value {
    json(&[&["sweep", arg(spec), "-o", arg(out), "--confirm", "none"], more].concat())
}

fn start(spec: &Path, out: &Path, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_accllm"))
        .args([&["sweep", arg(spec), "-o", arg(out), "--confirm", "none"], more].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The records of a folder: each line once, whatever its file; and how many lines there are.
fn records(folder: &Path) -> (BTreeSet<String>, usize) {
    let files = std::fs::read_dir(folder.join("points")).unwrap();
    let texts: Vec<_> = files.map(|f| std::fs::read_to_string(f.unwrap().path()).unwrap()).collect();
    let lines: Vec<_> = texts.iter().flat_map(|t| t.lines()).map(str::to_owned).collect();
    (lines.iter().cloned().collect(), lines.len())
}

fn results(folder: &Path) -> Vec<String> {
    let read = |name| std::fs::read_to_string(folder.join(name)).unwrap();
    ["points.csv", "front.csv", "best.toml", "report.html"].map(read).to_vec()
}

#[test]
fn the_same_whatever_is_interrupted_or_shared() {
    let (dir, spec) = spec(&[]);
    let at = |name: &str| dir.path().join(name);

    let report = sweep(&spec, &at("one"), &["--jobs", "1"]);
    let numbers = ["points", "done", "evaluated", "ok", "infeasible", "failed", "stale"];
    let [points, done, evaluated, ok, infeasible, failed, stale] =
        numbers.map(|k| report[k].as_u64().unwrap());
    assert_eq!((points, done, evaluated, failed, stale), (POINTS, POINTS, POINTS, 0, 0), "{report}");
    // A FIFO of 16 beats and bursts of 32: a fifth of the half.
    assert_eq!((ok, infeasible), (POINTS - POINTS / 10, POINTS / 10), "{report}");
    let (want, lines) = records(&at("one"));
    assert_eq!((want.len(), lines), (POINTS as usize, POINTS as usize));
    let files = results(&at("one"));
    assert!(report["front"].as_u64().unwrap() >= 3 && files[1].lines().count() as u64 > 3, "{report}");
    // 400 MHz are more than the card gives: no such point is in the front, and the page says why.
    let fast = csv_rows(&files[1]).iter().any(|row| row[8] == "400");
    assert!(!fast && files[3].contains("the card gives 300"), "{}", files[1]);

    // Again: nothing to do. On other threads: the same bytes.
    assert_eq!(sweep(&spec, &at("one"), &[])["evaluated"], 0);
    sweep(&spec, &at("many"), &["--jobs", "7"]);
    let equal = |folder: &str| {
        let (found, lines) = records(&at(folder));
        assert!(found == want && lines == POINTS as usize, "{folder}: {lines} records");
        let names = ["points.csv", "front.csv", "best.toml", "report.html"];
        for (name, (is, was)) in names.iter().zip(results(&at(folder)).iter().zip(&files)) {
            assert!(is == was, "{folder}: {name} differs");
        }
    };
    equal("many");

    // Killed twenty times.
    let mut kills = 0;
    for n in 0..200u64 {
        let mut child = start(&spec, &at("killed"), &["--jobs", "2"]);
        std::thread::sleep(Duration::from_millis(8 + (n * 7919) % 41));
        let running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        kills += u64::from(running);
        if kills == 20 || (!running && n > 40) {
            break;
        }
    }
    assert!(kills >= 20, "only {kills} kills came before the end");
    sweep(&spec, &at("killed"), &[]);
    equal("killed");

    // Two sweeps of eight shards each in one folder.
    let shards: Vec<String> = (0..16).map(|i| format!("{}/8", i % 8 + 1)).collect();
    let children: Vec<_> =
        shards.iter().map(|s| start(&spec, &at("shards"), &["--shard", s, "--jobs", "1"])).collect();
    for child in children {
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    equal("shards");
}

#[test]
fn bad_specs_are_refused_with_the_reason() {
    for (change, words) in [
        (("lanes = [2, 4]", "lane = [2, 4]"), &["small.toml", "no axis 'lane'", "channels, lanes"][..]),
        (("lanes = [2, 4]", "lanes = [2, 5]"), &["axis lanes: 5 must be a power of two from 2 to 16"]),
        (("lanes = [2, 4]", "window = [8]"), &["axis window has no effect"]),
        (
            ("decode.tokens_per_s", "decode.speed"),
            &["no metric 'decode.speed'", "tokens_per_s", "peak_gb_per_s"],
        ),
        (("\"decode.tokens_per_s\"", "\"prefill.tokens_per_s\""), &["no metric 'prefill.tokens_per_s'"]),
        (("= \"max\"", "= \"most\""), &["must be \"max\" or \"min\""]),
        (("fits = true", "fits = { min = 2, max = 1 }"), &["fits cannot be at least 2 and at most 1"]),
        (("fits = true", "fits = \"yes\""), &["must be true, false, or { min, max }"]),
        (("fits = true", "fit = true"), &["no metric 'fit'"]),
        (("card = \"u280\"\n", ""), &["fits needs a card"]),
        (("card = \"u280\"", "card = \"u281\""), &["no card named 'u281'", "vcu128"]),
        (("base = \"tiny\"", "base = \"mine.toml\""), &["base: cannot read", "mine.toml"]),
        (("base = \"tiny\"", "bases = \"tiny\""), &["unknown field `bases`", "line"]),
        (("\"small.json\"", "\"other.json\""), &["work decode", "other.json"]),
        (("\"decode\"", "\"encode\""), &["phase 'encode' is neither decode nor prefill"]),
        (("context = 20, ", ""), &["no context: give it here or as an axis"]),
        (("rung = \"timing\"", "rung = \"rtl\""), &["rung = 'rtl' must be timing or bound"]),
        (
            ("[objectives]", "[search]\nstrategy = \"best\"\n[objectives]"),
            &["unknown variant `best`", "nsga2"],
        ),
        (("[constraints]", "[search]\npopulation = 1\n[constraints]"), &["population 4 to 10000"]),
        (("name = \"small\"", "name = \"../small\""), &["name = '../small' must be letters"]),
        (("link = [0, 2]", "link = { from = 0, to = 8 }"), &["one of `times` and `step`"]),
    ] {
        let (dir, spec) = spec(&[change]);
        let out = dir.path().join("out");
        fails(&["sweep", arg(&spec), "-o", arg(&out)], words);
        assert!(!out.exists(), "{change:?} left something");
    }
    fails(&["sweep", "nowhere.toml", "-o", "x"], &["cannot read nowhere.toml"]);
    fails(&["sweep", "nowhere", "--status"], &["nowhere is no sweep's folder"]);
}

#[test]
fn folders_that_hold_something_else() {
    let (dir, path) = spec(&FEW);
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("thesis.txt"), "all of it").unwrap();
    fails(&["sweep", arg(&path), "-o", arg(&out)], &["is not empty and no sweep's folder"]);
    std::fs::remove_file(out.join("thesis.txt")).unwrap();
    fails(&["sweep", arg(&path)], &["give -o DIR"]);
    let report = sweep(&path, &out, &[]);
    assert_eq!(report["done"], 48);

    // Another sweep is refused, and the records stay; what is sought of the same points may change.
    let (_other, other) = spec(&[FEW[0], FEW[1], ("lanes = [2, 4]", "lanes = [2, 8]")]);
    fails(&["sweep", arg(&other), "-o", arg(&out)], &["holds the sweep 'small' with another axes"]);
    let (_sought, sought) =
        spec(&[FEW[0], FEW[1], ("\"peak_gb_per_s\" = \"min\"", "\"decode.beats\" = \"min\"")]);
    assert_eq!(sweep(&sought, &out, &[])["evaluated"], 0);
    assert!(std::fs::read_to_string(out.join("report.html")).unwrap().contains("decode.beats"));

    // The folder alone is enough: its spec names its own copies of files.
    drop(dir.path().join("small.json").canonicalize().map(std::fs::remove_file));
    assert_eq!(json(&["sweep", arg(&out), "--status"])["done"], 48);
    let report = json(&["sweep", arg(&out), "--confirm", "none"]);
    assert_eq!((&report["done"], &report["evaluated"]), (&48.into(), &0.into()));

    // A line that is no record is named; a torn one is computed again.
    let file = out.join("points/all.jsonl");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replacen("\"status\":\"ok\"", "\"status\":\"fine\"", 1)).unwrap();
    fails(&["sweep", arg(&out)], &["all.jsonl, line", "is no record", "`fine`", "remove that line"]);
    std::fs::write(&file, &good[..good.len() - 40]).unwrap();
    let report = json(&["sweep", arg(&out), "--confirm", "none"]);
    assert_eq!((&report["done"], &report["evaluated"]), (&48.into(), &1.into()));
    // A record of sources that have changed counts no more.
    std::fs::write(&file, good.replacen("\"key\":\"", "\"key\":\"0", 1)).unwrap();
    let report = json(&["sweep", arg(&out), "--confirm", "none"]);
    assert_eq!((&report["evaluated"], &report["stale"]), (&1.into(), &1.into()));
    assert_eq!(records(&out).0.len(), 49);
}

#[test]
fn a_full_disk_keeps_what_was_written() {
    let (dir, path) = spec(&[]);
    let out = dir.path().join("out");
    // Files of at most 64 blocks of 512 bytes; the signal of that is ignored, so that the write itself fails.
    let command = format!(
        "trap '' XFSZ; ulimit -f 64; exec {} sweep {} -o {} --confirm none --jobs 2",
        env!("CARGO_BIN_EXE_accllm"),
        arg(&path),
        arg(&out)
    );
    let ran = Command::new("sh").args(["-c", &command]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{said}");
    for word in ["cannot write", "all.jsonl", "the points before it are kept", "same command again"] {
        assert!(said.contains(word), "{said}");
    }
    let left = json(&["sweep", arg(&out), "--status"])["done"].as_u64().unwrap();
    assert!((5..POINTS).contains(&left), "{left}");
    assert_eq!(sweep(&path, &out, &[])["evaluated"], POINTS - left);
}

#[test]
fn other_searches_find_the_front_with_fewer_points() {
    let grid = spec(&[]);
    let all = grid.0.path().join("out");
    sweep(&grid.1, &all, &[]);
    let best = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join("front.csv")).unwrap();
        let mut rows = csv_rows(&text);
        rows.sort();
        rows
    };
    let search = |text: &str| {
        let (dir, path) = spec(&[("[constraints]", &format!("[search]\n{text}\n[constraints]"))]);
        let out = dir.path().join("out");
        let report = sweep(&path, &out, &[]);
        (report, best(&out), dir, path)
    };
    let (report, found, dir, path) = search("strategy = \"nsga2\"\npoints = 240\npopulation = 24");
    assert_eq!((&report["done"], &report["failed"]), (&240.into(), &0.into()));
    let want = best(&all);
    let same = want.iter().filter(|row| found.contains(row)).count();
    assert!(same * 4 >= want.len() * 3, "{same} of {} found", want.len());
    // The same seed takes the same way, also after an interruption.
    let again = dir.path().join("again");
    let mut child = start(&path, &again, &["--jobs", "2"]);
    std::thread::sleep(Duration::from_millis(60));
    child.kill().unwrap();
    child.wait().unwrap();
    sweep(&path, &again, &[]);
    assert_eq!(records(&again).0, records(&dir.path().join("out")).0);
    fails(&["sweep", arg(&path), "-o", arg(&again), "--shard", "1/2"], &["nsga2 learns from all points"]);

    let (report, _, dir, path) = search("strategy = \"random\"\npoints = 60\nseed = 3");
    assert_eq!(report["done"], 60);
    let values = csv_rows(&std::fs::read_to_string(dir.path().join("out/points.csv")).unwrap());
    // Channels are the first axis by name after burst: each value about a third of the points.
    for channels in ["2", "4", "8"] {
        let n = values.iter().filter(|row| row[4] == channels).count();
        assert!((15..=25).contains(&n), "{channels}: {n}");
    }
    for shard in ["1/3", "2/3", "3/3"] {
        sweep(&path, &dir.path().join("three"), &["--shard", shard]);
    }
    assert_eq!(records(&dir.path().join("three")).0, records(&dir.path().join("out")).0);
}

fn csv_rows(text: &str) -> Vec<Vec<String>> {
    // Reasons are the only cells with commas, and have none in the front.
    text.lines().skip(1).map(|l| l.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn one_point_and_any_front() {
    let (dir, path) = spec(&FEW);
    let point = json(&["evaluate", arg(&path), "--set", "channels=4", "--set", "link=1"]);
    assert_eq!((&point["status"], &point["parameters"]["link"]), (&"ok".into(), &1.into()));
    let speed = &point["metrics"]["decode.tokens_per_s"];
    assert!(speed["value"].as_f64().unwrap() > 1000.0, "{point}");
    assert_eq!(
        (&speed["unit"], &speed["rung"], &speed["label"]),
        (&"tokens/s".into(), &"timing".into(), &"estimated".into())
    );
    let against = json(&["evaluate", arg(&path), "--set", "burst=32"]);
    assert_eq!((&against["status"], &against["metrics"]), (&"infeasible".into(), &serde_json::json!({})));
    assert!(against["why"].as_str().unwrap().contains("burst = 32 must be at most fifo"), "{against}");
    fails(&["evaluate", arg(&path), "--set", "vec=8"], &["no axis 'vec'", "burst, channels"]);
    fails(&["evaluate", arg(&path), "--set", "lanes=3"], &["--set lanes=3", "power of two"]);
    fails(&["evaluate", arg(&path), "--set", "lanes"], &["give AXIS=VALUE"]);

    let out = dir.path().join("out");
    sweep(&path, &out, &[]);
    let points = out.join("points/all.jsonl");
    let ours = ["--max", "decode.tokens_per_s", "--min", "peak_gb_per_s"];
    let front = json(&[&["pareto", arg(&points)], &ours[..]].concat());
    assert_eq!((&front["points"], &front["without"]), (&24.into(), &24.into()), "{front}");
    let table = out.join("points.csv");
    let same = json(&[&["pareto", arg(&table)], &ours[..]].concat());
    assert_eq!(same["front"].as_array().unwrap().len(), front["front"].as_array().unwrap().len());

    let others = dir.path().join("others.csv");
    std::fs::write(&others, "name,speed [1/s],area\na,5,2\nb,4,3\nc,9,9\nd,,1\n").unwrap();
    let out = dir.path().join("front.csv");
    accllm(&["pareto", arg(&others), "--max", "speed", "--min", "area", "-o", arg(&out)]);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "speed,area,name\n5,2,a\n9,9,c\n");
    fails(&["pareto", arg(&others), "--max", "power"], &["no column 'power'; there are area, name, speed"]);
    fails(&["pareto", arg(&others)], &["give --max COLUMN or --min COLUMN"]);
    std::fs::write(dir.path().join("x.jsonl"), "{\"speed\": 1}\nnot json\n").unwrap();
    fails(&["pareto", arg(&dir.path().join("x.jsonl")), "--max", "speed"], &["line 2 is no JSON object"]);
}

#[test]
fn an_array_job_for_slurm() {
    let (dir, path) = spec(&FEW);
    let out = dir.path().join("out folder");
    let job = ["--slurm", "--partition", "gpu", "--tasks", "3", "--dry-run"];
    let told = sweep(&path, &out, &job);
    let script = told["script"].as_str().unwrap();
    for line in [
        "#SBATCH --array=1-3\n",
        "#SBATCH --partition=gpu\n",
        "#SBATCH --requeue\n",
        "--shard \"$SLURM_ARRAY_TASK_ID/3\" --jobs 1 --confirm none\n",
    ] {
        assert!(script.contains(line), "{script}");
    }
    assert!(told["job"].is_null());
    // The script alone does the work: each task with the number that Slurm gives it.
    for task in ["2", "1", "3"] {
        let ran = Command::new("sh").args(["-c", script]).env("SLURM_ARRAY_TASK_ID", task).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
    assert_eq!(json(&["sweep", arg(&out), "--status"])["done"], 48);
    assert!(out.join("report.html").is_file());
}

/// The example of docs/sweeps.md: an optimizer outside asks for points and finds the grid's best.
#[test]
fn an_optimizer_of_ones_own() {
    let (_dir, path) = spec(&FEW);
    let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/optimizer.py");
    let accllm = ["--accllm", env!("CARGO_BIN_EXE_accllm"), "--maximize", "decode.tokens_per_s"];
    let ran = Command::new("python3").args([tool, arg(&path)]).args(accllm).args(["--trials", "24"]).output();
    let ran = ran.expect("python3 runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let best: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let p = &best["parameters"];
    assert_eq!((&p["burst"], &p["mhz"]), (&16.into(), &225.into()), "{best}");
    assert!(best["value"].as_f64().unwrap() > 1000.0, "{best}");
}

/// `parallel` of docs/sweeps.md, where it is installed.
#[test]
fn shards_by_gnu_parallel() {
    let there = Command::new("parallel").arg("--version").output();
    if !there.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains("GNU parallel")) {
        println!("skipped: no GNU parallel (Debian: parallel)");
        return;
    }
    let (dir, path) = spec(&FEW);
    let (one, out) = (dir.path().join("one"), dir.path().join("out"));
    sweep(&path, &one, &[]);
    let shard = [env!("CARGO_BIN_EXE_accllm"), "sweep", arg(&path), "-o", arg(&out), "--confirm", "none"];
    let ran = Command::new("parallel")
        .args(["-j2", "--will-cite"])
        .args(shard)
        .args(["--jobs", "1", "--shard", "{}/4", ":::", "1", "2", "3", "4"])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(records(&out) == records(&one) && results(&out) == results(&one));
}

/// The front runs on the RTL, every tensor compared, once; the page has estimate and simulation side by side.
#[test]
fn the_front_is_confirmed_on_the_rtl() {
    let axes = SPEC.split_once("[axes]").unwrap().1.split_once("[objectives]").unwrap().0;
    let (dir, path) = spec(&[
        (axes, "\ncontext = [3, 40]\nwindow = [8, 60]\n\n"),
        ("context = 20, sinks = 4, window = 60", "sinks = 4"),
        ("\"peak_gb_per_s\" = \"min\"", "\"decode.kv_beats\" = \"max\""),
    ]);
    let out = dir.path().join("out");
    let report = json(&["sweep", arg(&path), "-o", arg(&out)]);
    let front = report["front"].as_u64().unwrap();
    assert!(front >= 2 && report["confirmed"].as_u64() == Some(front), "{report}");
    let text = std::fs::read_to_string(out.join("confirmed.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let cycles = &first["metrics"]["decode.cycles"];
    assert_eq!((&cycles["rung"], &cycles["label"]), (&"rtl".into(), &"simulated".into()));
    assert!(first["tensors"].as_u64().unwrap() > 20, "{first}");
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Confirmed on the RTL") && page.contains("decode.cycles</td>"), "{page}");
    let table = std::fs::read_to_string(out.join("front.csv")).unwrap();
    let mut lines = table.lines();
    assert!(lines.next().unwrap().contains("decode.cycles [cycles, simulated]"), "{table}");
    assert_eq!(lines.filter(|l| !l.ends_with(',')).count() as u64, front, "{table}");
    assert_eq!(json(&["sweep", arg(&path), "-o", arg(&out)])["confirmed"], front);
    assert_eq!(std::fs::read_to_string(out.join("confirmed.jsonl")).unwrap(), text);
}

/// The text of a sweep whose points have a perplexity, of the bundled float model in that folder.
fn quality(data: &str) -> String {
    format!(
        "name = \"quality\"\nbase = \"tiny\"\n\
         work = [{{ shape = \"{data}/config.json\", phase = \"decode\", context = 64 }}]\n\
         [quality]\nmodel = \"{data}\"\ntokens = 4096\nwindow = 128\nwindows = 4\n\
         [axes]\nformat = [\"w2s\", \"w4\"]\nwindow = [28, 124]\nlanes = [2, 4]\n\
         [objectives]\n\"decode.perplexity\" = \"min\"\n\"decode.tokens_per_s\" = \"max\"\n"
    )
}

fn checkpoint() -> String {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/tinytales/float");
    data.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// Each perplexity is measured once, and kept.
#[test]
fn quality_is_an_axis() {
    let dir = tempfile::tempdir().unwrap();
    let (spec, out) = (dir.path().join("quality.toml"), dir.path().join("out"));
    std::fs::write(&spec, quality(&checkpoint())).unwrap();
    let report = sweep(&spec, &out, &["--jobs", "2"]);
    assert_eq!((report["ok"].as_u64(), report["failed"].as_u64()), (Some(8), Some(0)), "{report}");
    let table = std::fs::read_to_string(out.join("points.csv")).unwrap();
    assert!(table.lines().next().unwrap().contains("decode.perplexity [, measured]"), "{table}");
    let kept = |models: bool| {
        let all = std::fs::read_dir(out.join("quality")).unwrap().map(|e| e.unwrap().path());
        all.filter(|p| if models { p.is_dir() } else { p.extension().is_some_and(|e| e == "json") })
            .collect::<Vec<_>>()
    };
    // Two formats and two windows, whatever the engine.
    assert_eq!((kept(true).len(), kept(false).len()), (2, 4));
    let all = std::fs::read_to_string(out.join("points/all.jsonl")).unwrap();
    let find = |format: &str, window: u64| {
        let lines = all.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
        let of = |r: &serde_json::Value| {
            r["parameters"]["format"] == format && r["parameters"]["window"] == window
        };
        let value = |r: serde_json::Value| r["metrics"]["decode.perplexity"]["value"].as_f64().unwrap();
        let found: Vec<f64> = lines.filter(of).map(value).collect();
        assert!(found.len() == 2 && found[0] == found[1], "{format} {window}: {found:?}");
        found[0]
    };
    let [w2, w4, near] = [find("w2s", 124), find("w4", 124), find("w4", 28)];
    assert!(w4 < w2 && w4 < near && w4 > 5.0, "w2s {w2}, w4 {w4}, w4 with a window of 28 {near}");

    let size = |folder: &PathBuf| std::fs::metadata(folder.join("quant.safetensors")).unwrap().len();
    a_ready_model_is_scored(dir.path(), kept(true).iter().min_by_key(|p| size(p)).unwrap(), w2);

    // What was kept is used again, though records and models are gone.
    std::fs::remove_file(out.join("points/all.jsonl")).unwrap();
    kept(true).iter().for_each(|m| std::fs::remove_dir_all(m).unwrap());
    assert_eq!(sweep(&spec, &out, &[])["evaluated"], 8);
    let again = std::fs::read_to_string(out.join("points/all.jsonl")).unwrap();
    let sorted = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!((sorted(&again), kept(true).len()), (sorted(&all), 0));
}

/// A model in W2 that is there already has the perplexity of the one that was made, and none is made.
fn a_ready_model_is_scored(dir: &Path, model: &Path, perplexity: f64) {
    let text = quality(&checkpoint()).replace("\"w2s\", \"w4\"", "\"w2s\"");
    let text =
        text.replace("windows = 4\n", &format!("windows = 4\nready = {{ w2s = \"{}\" }}\n", arg(model)));
    let (spec, out) = (dir.join("ready.toml"), dir.join("ready"));
    std::fs::write(&spec, text.replace("[28, 124]", "[124]")).unwrap();
    assert_eq!(sweep(&spec, &out, &[])["ok"], 2);
    let records = std::fs::read_to_string(out.join("points/all.jsonl")).unwrap();
    for line in records.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["metrics"]["decode.perplexity"]["value"], perplexity);
    }
    let kept = std::fs::read_dir(out.join("quality")).unwrap();
    assert!(!kept.into_iter().any(|e| e.unwrap().path().is_dir()));
}

#[test]
fn a_wrong_quality_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (data, at) = (checkpoint(), |name: &str| dir.path().join(name));
    let text = quality(&data);
    let whole = &text[text.find("[quality]").unwrap()..text.find("[axes]").unwrap()];
    for (from, to, words) in [
        (&*format!("model = \"{data}\""), "model = \"nowhere\"", "quality: no model folder"),
        ("tokens = 4096", "token = 4096", "unknown field `token`"),
        (&*format!("{data}/config.json"), "llama2-7b", "decode.perplexity: the work's shape is not that"),
        (whole, "", "needs a checkpoint"),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(at("wrong.toml"), text.replace(from, to)).unwrap();
        fails(&["sweep", arg(&at("wrong.toml")), "-o", arg(&at("wrong"))], &[words]);
    }
}

/// The folder and what the spec names are relative to where the command runs, and to the spec.
#[test]
fn a_relative_folder_has_copies_of_files() {
    let (dir, spec) = spec(&FEW);
    let card = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hw/cards/u50.toml");
    std::fs::copy(card, dir.path().join("mine.toml")).unwrap();
    let text = std::fs::read_to_string(&spec).unwrap();
    std::fs::write(&spec, text.replace("card = \"u280\"", "card = \"mine.toml\"")).unwrap();
    let run = |args: &[&str]| {
        let ran =
            Command::new(env!("CARGO_BIN_EXE_accllm")).args(args).current_dir(dir.path()).output().unwrap();
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    run(&["sweep", "small.toml", "-o", "out", "--confirm", "none"]);
    std::fs::remove_file(dir.path().join("mine.toml")).unwrap();
    run(&["sweep", "out", "--status"]);
}
