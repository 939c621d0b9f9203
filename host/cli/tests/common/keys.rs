//! The keys of `--json`, from the one place where they are listed: `docs/cli.md`.

use serde_json::Value;
use std::collections::BTreeMap;

/// Keys of an object, each with those of the objects inside it where the page lists them.
type Keys = BTreeMap<String, Vec<String>>;

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The words of `a, b, c`.
fn words(text: &str) -> Vec<String> {
    text.split(',').map(|w| w.trim().to_string()).collect()
}

/// The table under the verb's heading.
fn documented(verb: &str) -> Keys {
    let page = include_str!("../../../../docs/cli.md");
    let heading = format!("\n### `{verb}`\n");
    let (_, section) =
        page.split_once(&heading).unwrap_or_else(|| panic!("docs/cli.md has no keys of `{verb}`"));
    let section = section.split("\n### ").next().unwrap_or_default();
    let mut keys = Keys::new();
    for row in section.lines().filter(|l| l.starts_with("| `")) {
        let mut cells = row.split(" | ");
        let names = cells.next().unwrap_or_default();
        let meaning = cells.collect::<Vec<_>>().join(" | ");
        let inner = quoted(&meaning).find_map(|q| q.strip_prefix('{')?.strip_suffix('}')).map(words);
        for name in quoted(names) {
            keys.insert(name.into(), inner.clone().unwrap_or_default());
        }
    }
    assert!(!keys.is_empty(), "docs/cli.md has no table of keys of `{verb}`");
    keys
}

fn check_object(what: &str, value: &Value, want: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("{what} is no object: {value}"));
    let mut found: Vec<&str> = object.keys().map(String::as_str).collect();
    let mut want = want.to_vec();
    found.sort_unstable();
    want.sort_unstable();
    assert_eq!(found, want, "{what}: what is printed, and what docs/cli.md lists");
}

/// Compares a report with the page.
pub fn check(verb: &str, report: &Value) {
    let keys = documented(verb);
    check_object(verb, report, &keys.keys().map(String::as_str).collect::<Vec<_>>());
    for (key, inner) in keys.iter().filter(|(_, inner)| !inner.is_empty()) {
        let inner: Vec<&str> = inner.iter().map(String::as_str).collect();
        let what = format!("{verb}: {key}");
        match &report[key] {
            Value::Null => {}
            Value::Array(all) => all.iter().for_each(|one| check_object(&what, one, &inner)),
            one => check_object(&what, one, &inner),
        }
    }
}
