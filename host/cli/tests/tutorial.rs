//! The commands of docs/tutorial.md and docs/configurations.md give the output that the pages show.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A block of the page: a command and the lines that it should print.
struct Step {
    command: String,
    expected: Vec<String>,
}

/// The blocks of the page that begin with this line, in order.
fn steps(page: &str, fence: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line != fence {
            continue;
        }
        let command = lines.next().and_then(|l| l.strip_prefix("$ ")).expect("a command after '$ '");
        let expected = lines.by_ref().take_while(|l| *l != "```").map(str::to_owned).collect();
        steps.push(Step { command: command.to_owned(), expected });
    }
    steps
}

/// The line without what differs from run to run: numbers in front of a unit of time or speed, and spaces.
fn masked(line: &str) -> String {
    let words: Vec<_> = line.split_whitespace().collect();
    let unit = |w: Option<&&str>| {
        w.is_some_and(|w| matches!(w.trim_end_matches([';', ',', ')']), "s" | "tokens/s" | "kcycles/s"))
    };
    let kept = words.iter().enumerate().map(|(i, w)| if unit(words.get(i + 1)) { "#" } else { w });
    kept.collect::<Vec<_>>().join(" ")
}

/// Whether the printed lines are the expected ones; `...` stands for any lines.
fn matches(expected: &[String], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((dots, rest)) if dots == "..." => (0..=printed.len()).any(|n| matches(rest, &printed[n..])),
        Some((line, rest)) => {
            printed.first().is_some_and(|p| masked(p) == masked(line)) && matches(rest, &printed[1..])
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs the blocks of a page in one folder that sees the repository's `data` and `hw`. A command whose output begins with
/// `error: ` must fail with that.
fn follow(page: &str, fences: &[&str]) {
    let page = std::fs::read_to_string(root().join(page)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["data", "hw"] {
        let target = root().join(name).canonicalize().unwrap();
        std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
    }
    let bin = Path::new(env!("CARGO_BIN_EXE_accllm")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut count = 0;
    for step in fences.iter().flat_map(|f| steps(&page, f)) {
        let done = Command::new("sh")
            .args(["-c", &step.command])
            .env("PATH", &path)
            .env("ACCLLM_ROOT", root().canonicalize().unwrap())
            .current_dir(folder.path())
            .output()
            .unwrap();
        let fails = step.expected.first().is_some_and(|l| l.starts_with("error: "));
        let errors = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.success(), !fails, "{}\n{errors}", step.command);
        let printed = if fails { errors } else { String::from_utf8(done.stdout).unwrap() };
        let lines: Vec<_> = printed.lines().collect();
        let wanted = step.expected.join("\n");
        assert!(
            matches(&step.expected, &lines),
            "{}\nprinted\n{printed}\nthe page has\n{wanted}",
            step.command
        );
        count += 1;
    }
    assert!(count > fences.len(), "the page has only {count} commands");
}

#[test]
fn commands_of_the_tutorial_print_what_the_page_shows() {
    follow("docs/tutorial.md", &["```console"]);
}

#[test]
fn commands_of_the_page_of_configurations_print_what_it_shows() {
    follow("docs/configurations.md", &["```console"]);
}

#[test]
#[ignore = "builds the RTL of the page's configuration"]
fn the_configuration_of_the_page_runs_on_the_rtl() {
    follow("docs/configurations.md", &["```console", "```console test-full"]);
}

#[test]
#[ignore = "builds the RTL a second time, with waves; needs the headers of lz4 and zlib"]
fn the_tutorial_ends_with_a_waveform() {
    follow("docs/tutorial.md", &["```console", "```console test-full"]);
}

#[test]
fn numbers_in_front_of_times_do_not_count() {
    assert_eq!(masked("a 1.5 s; b 2 tokens/s"), masked("a 9 s; b  77 tokens/s"));
    assert_ne!(masked("5 tensors"), masked("6 tensors"));
    let expected = ["a", "...", "d"].map(str::to_owned);
    assert!(matches(&expected, &["a", "b", "c", "d"]) && !matches(&expected, &["a", "b"]));
}
