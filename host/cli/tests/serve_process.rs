//! `accllm serve` as users run it: the port it prints, signals, devices, OpenAI's Python client.

use super::common;

use common::{accllm, arg, fails, json, quantized};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server that ends with the test.
struct Serving {
    process: Child,
    url: String,
}

impl Serving {
    fn new(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_accllm"));
        command.arg("serve").args(args).args(["--port", "0", "--name", "bundled"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("listening on ").and_then(|l| l.split(' ').next());
        let url = url.unwrap_or_else(|| panic!("{line:?}")).to_string();
        Self { process, url }
    }

    fn complete(&self, body: &str) -> Value {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let head =
            "POST /v1/completions HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json";
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(model: &str, more: &[&str]) -> Value {
    let ran = accllm(&[&["run", model, "--tokens", "24", "--json"], more].concat());
    assert!(ran.ok, "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

/// The Python packages that `make TARGET` puts into a folder of `tools`; `None`, and why `test` is skipped, without them.
fn packages(test: &str, folder: &str, target: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools").join(folder);
    if !tools.join(".installed").is_file() {
        // Past the test harness, which shows output of failed tests only.
        let why =
            format!("skipped {test}: its packages are not in tools/{folder}; `make {target}` installs them");
        let mut past = std::io::stderr();
        writeln!(past, "{why}").unwrap();
        return None;
    }
    Some(tools)
}

/// Runs a script of this folder against a server of `model`; it must say `ok` last, and the server must end well.
fn client(packages: &Path, model: &str, script: &str, args: &[&str]) {
    let mut serving = Serving::new(&[model]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    let command = command.arg(script).arg(&serving.url).args(args).env("PYTHONPATH", packages);
    let done = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && out.starts_with("ok"), "{out}{err}");
    serving.signal("TERM");
    assert!(serving.process.wait().unwrap().success());
}

#[test]
fn openai_python_client() {
    let Some(tools) = packages("openai_python_client", "openai", "openai-client") else { return };
    let (_dir, model) = quantized();
    let sampling = ["--temperature", "0.9", "--top-p", "0.95", "--top-k", "40", "--seed", "7"];
    let (greedy, sampled) = (run(&model, &[]), run(&model, &sampling));
    assert_ne!(greedy["text"], sampled["text"]);
    client(&tools, &model, "openai_client.py", &[&greedy.to_string(), &sampled.to_string()]);
}

/// The `llm` command, as a person uses it: its file of models names the server.
#[test]
fn llm_command() {
    let Some(tools) = packages("llm_command", "llm", "llm-client") else { return };
    let (dir, model) = quantized();
    let greedy = run(&model, &[]);
    client(&tools, &model, "llm_command.py", &[&greedy.to_string(), arg(dir.path())]);
}

/// lm-evaluation-harness, unmodified, finds what `accllm eval-choices` does, to the last digit.
#[test]
fn lm_evaluation_harness() {
    let Some(tools) = packages("lm_evaluation_harness", "lm-eval", "lm-eval") else { return };
    let (dir, model) = quantized();
    let questions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lm_eval/tales.jsonl");
    let ours = json(&["eval-choices", &model, "--questions", arg(&questions)]);
    client(&tools, &model, "lm_eval.py", &[&ours.to_string(), arg(dir.path())]);
}

/// All devices give the same log-probabilities, the RTL included: of a prompt, and of an answer with penalties.
#[test]
fn every_device_scores() {
    let (dir, model) = quantized();
    let questions = dir.path().join("q.jsonl");
    std::fs::write(&questions, "{\"context\": \"Once\", \"choices\": [\" upon\", \" a\"], \"gold\": 0}\n")
        .unwrap();
    let shape = ["--sinks", "4", "--window", "60"];
    let body = r#"{"prompt": "The dragon", "max_tokens": 3, "temperature": 1, "seed": 5, "echo": true, "logprobs": 2,
        "repetition_penalty": 1.3, "frequency_penalty": 0.5, "min_p": 0.01, "logit_bias": {"300": 2}}"#;
    let all = ["integer", "golden", "verilator"].map(|device| {
        let args = ["eval-choices", &model, "--questions", arg(&questions), "--device", device];
        let scored = json(&[&args[..], &shape].concat())["logprobs"].clone();
        let mut serving = Serving::new(&[&[&*model, "--device", device], &shape[..]].concat());
        let answer = serving.complete(body)["choices"][0].clone();
        serving.signal("INT");
        assert!(serving.process.wait().unwrap().success());
        assert!(answer["logprobs"]["tokens"].as_array().is_some_and(|t| t.len() > 4), "{answer}");
        (scored, answer)
    });
    assert!(all.iter().all(|a| *a == all[0]), "{all:?}");
}

/// All devices answer alike, the RTL included.
#[test]
fn every_device_answers() {
    let (_dir, model) = quantized();
    let shape = ["--sinks", "4", "--window", "60"];
    let body = r#"{"prompt": "The dragon", "max_tokens": 3, "temperature": 1, "seed": 5}"#;
    let texts = ["integer", "golden", "verilator"].map(|device| {
        let mut serving = Serving::new(&[&[&*model, "--device", device], &shape[..]].concat());
        let answer = serving.complete(body)["choices"][0]["text"].clone();
        serving.signal("INT");
        assert!(serving.process.wait().unwrap().success());
        answer.as_str().unwrap().to_string()
    });
    assert!(!texts[0].is_empty() && texts.iter().all(|t| *t == texts[0]), "{texts:?}");
}

#[test]
fn arguments() {
    let (dir, model) = quantized();
    fails(&["serve", &model, "--host", "nowhere"], &["--host"]);
    fails(&["serve", &model, "--timeout", "0"], &["--timeout"]);
    fails(&["serve", &model, "--temperature", "-1"], &["temperature", "-1"]);
    fails(&["serve", &model, "--host", "192.0.2.1"], &["cannot listen on 192.0.2.1:8080"]);
    let template = dir.path().join("t.jinja");
    fails(&["serve", &model, "--port", "0", "--chat-template", arg(&template)], &["cannot read", "t.jinja"]);
    std::fs::write(&template, "{% for m in messages %}\n{{ m.content").unwrap();
    fails(
        &["serve", &model, "--port", "0", "--chat-template", arg(&template)],
        &["t.jinja is broken", "line 2"],
    );
}
