//! `accllm run` and `accllm chat`: sessions, choice of tokens, lines, interrupts.

use super::common;

use common::{accllm, arg, checkpoint_copy, fails, quantized};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

fn run(model: &str, more: &[&str]) -> Value {
    let ran = accllm(&[&["run", model, "--json", "--sinks", "4", "--window", "28"], more].concat());
    assert!(ran.ok, "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn a_text_goes_on_from_a_file_on_another_device() {
    let (dir, model) = quantized();
    let (a, b) = (dir.path().join("a.session"), dir.path().join("b.session"));
    let sampling = ["--temperature", "0.8", "--seed", "3", "--top-k", "30", "--top-p", "0.9", "--ignore-end"];
    let run = |more: &[&str]| run(&model, &[more, &sampling[..]].concat());
    let whole = run(&["--tokens", "60"]);
    assert_eq!((&whole["sampling"]["temperature"], &whole["sampling"]["seed"]), (&0.8.into(), &3.into()));
    let one = run(&["--tokens", "20", "--save-session", arg(&a)]);
    assert_eq!((&one["position"], &one["prompt"]), (&24.into(), &"Once upon a time".into()));
    let two = run(&[
        "--tokens",
        "30",
        "--session",
        arg(&a),
        "--save-session",
        arg(&b),
        "--device",
        "golden",
        "--lockstep",
    ]);
    assert_eq!(
        (&two["prompt"], &two["prompt_tokens"], &two["position"]),
        (&"".into(), &0.into(), &54.into())
    );
    let three = run(&["--tokens", "10", "--session", arg(&b)]);
    let text = |v: &Value| v["text"].as_str().unwrap().to_string();
    assert_eq!(text(&one) + &text(&two) + &text(&three), text(&whole));
    // Something else may be added.
    let more = run(&["--tokens", "5", "--session", arg(&b), "--prompt", " The dragon"]);
    assert_ne!(text(&more), text(&three));
    // Without sampling nothing is reported about it.
    assert!(greedy(&model)["sampling"].is_null());

    fails(&["run", &model, "--session", arg(&b)], &["--sinks 4 --window 28"]);
    fails(&["run", &model, "--session", arg(&dir.path().join("none"))], &["cannot read session", "none"]);
    fails(
        &["run", &model, "--session", arg(&dir.path().join("w2/quant.json"))],
        &["quant.json", "is not a session"],
    );
    fails(&["run", "--save-session", arg(&dir.path().join("no/where"))], &["cannot write"]);
    fails(&["run", "--temperature", "-1"], &["temperature", "-1"]);
    fails(&["run", "--top-p", "1.5"], &["top_p", "1.5"]);
    fails(&["run", "--temperature", "NaN"], &["temperature"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "something was left behind");
}

fn greedy(model: &str) -> Value {
    run(model, &["--tokens", "2"])
}

#[test]
fn stop_strings() {
    let (_dir, model) = quantized();
    let v = run(&model, &["--stop", "girl", "--stop", "xyz", "--tokens", "99"]);
    assert_eq!(v["stop"], "stop_string");
    assert!(v["text"].as_str().unwrap().ends_with("a little "), "{v}");
}

fn chat(args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accllm"));
    command.arg("chat").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Exit code, output, messages.
fn talk(args: &[&str], lines: &str) -> (Option<i32>, String, String) {
    let mut child = chat(args);
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

#[test]
fn lines_are_questions_and_commands() {
    let (dir, model) = quantized();
    let file = dir.path().join("c.session");
    let file = arg(&file);
    let common = [&*model, "--tokens", "10", "--stop", "\n", "--sinks", "4", "--window", "28"];
    let (code, one, err) = talk(&common, "Once upon a time\n\nThen\nOnce\n");
    assert_eq!((code, one.lines().count(), err.as_str()), (Some(0), 3, ""));
    let lines: Vec<_> = one.lines().collect();

    // The same with a break, and the rest on another device.
    let save =
        format!("Once upon a time\nThen\r\n/save {file}\n/reset\nOnce upon a time\n/quit\nnever read\n");
    let (code, out, err) = talk(&common, &save);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out.lines().collect::<Vec<_>>(), [lines[0], lines[1], lines[0]]);
    let golden = [&common[..], &["--device", "golden"]].concat();
    let (_, out, _) = talk(&golden, &format!("Hm\n/load {file}\nOnce\n"));
    assert_eq!(out.lines().nth(1), Some(lines[2]));
    let (_, out, _) = talk(&[&golden[..], &["--session", file]].concat(), "Once");
    assert_eq!(out.lines().next(), Some(lines[2]));

    let (code, out, _) =
        talk(&[&common[..], &["--json", "--system", "A story."]].concat(), "Once upon a time\n");
    let report: Value = serde_json::from_str(&out).unwrap();
    let turn = &report["turns"][0];
    assert_eq!(
        (code, &turn["question"], &turn["stop"]),
        (Some(0), &"Once upon a time".into(), &"length".into())
    );
    assert_eq!((turn["tokens"].as_array().unwrap().len(), &report["device"]), (10, &"integer".into()));

    for (lines, word) in
        [("/what\n", "/save FILE"), ("/load /nowhere\n", "/nowhere"), ("/save /no/where\n", "/no/where")]
    {
        let (code, _, err) = talk(&common, lines);
        assert!(code == Some(1) && err.contains(word), "{lines}: {err}");
    }
    let mut child = chat(&common);
    child.stdin.take().unwrap().write_all(b"\xff\xfe\n").unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.code() == Some(1) && String::from_utf8_lossy(&out.stderr).contains("UTF-8"));
}

#[test]
fn an_interrupt_ends_the_answer_and_at_the_prompt_the_program() {
    let (_dir, model) = quantized();
    let mut child = chat(&[&model, "--device", "golden", "--tokens", "100000", "--temperature", "1"]);
    let interrupt = |child: &Child| {
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"Once upon a time\n").unwrap();
    let mut first = [0; 1];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    interrupt(&child);
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        stdout.read_exact(&mut first).unwrap();
        line.push(first[0]);
    }
    // It goes on: the next answer comes.
    stdin.write_all(b"Then\n").unwrap();
    stdout.read_exact(&mut first).unwrap();
    interrupt(&child);
    while first[0] != b'\n' {
        stdout.read_exact(&mut first).unwrap();
    }
    // The program may still be on its way to the prompt; asked again, it must leave.
    let start = std::time::Instant::now();
    let status = loop {
        interrupt(&child);
        std::thread::sleep(std::time::Duration::from_millis(50));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed().as_secs() < 20);
    };
    assert_eq!(status.code(), Some(130));
}

#[test]
fn documented_keys() {
    let (_dir, model) = quantized();
    let out = accllm(&["chat", &model, "--json"]).out;
    let v: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(v, serde_json::json!({"model": model, "device": "integer", "turns": []}));
}

/// `quantize` takes the chat template along; a broken one matters to those who need it.
#[test]
fn the_template_belongs_to_the_model() {
    let (_dir, plain) = quantized();
    let dir = checkpoint_copy();
    let (model, out) = (arg(dir.path()), dir.path().join("w2"));
    let config = dir.path().join("tokenizer_config.json");
    std::fs::write(&config, r#"{"chat_template": "{% for m in messages %}{{ m.content "}"#).unwrap();
    fails(&["chat", model], &["tokenizer_config.json", "is broken", "line 1"]);
    fails(&["serve", model, "--port", "0"], &["is broken"]);
    std::fs::write(
        &config,
        r#"{"chat_template": "{% for m in messages %}{{ m.content.upper() }}{% endfor %}"}"#,
    )
    .unwrap();
    assert!(accllm(&["quantize", model, arg(&out), "--calib-tokens", "640"]).ok);
    let answer = |model: &str, question: &str| talk(&[model, "--tokens", "8", "--json"], question).1;
    let turn = |out: String| serde_json::from_str::<Value>(&out).unwrap()["turns"][0]["answer"].clone();
    let lower = turn(answer(arg(&out), "once upon a time\n"));
    assert_eq!(lower, turn(answer(arg(&out), "ONCE upon a time\n")));
    assert_ne!(lower, turn(answer(&plain, "once upon a time\n")));
    // Given on the command line, another one counts.
    let template = dir.path().join("plain.jinja");
    std::fs::write(&template, "<s>{{ messages[0].content }}").unwrap();
    let args = [arg(&out), "--tokens", "8", "--json", "--chat-template", arg(&template)];
    assert_eq!(turn(talk(&args, "once upon a time\n").1), turn(answer(&plain, "once upon a time\n")));
}
