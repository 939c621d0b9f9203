//! `docs/configurations.md`.

use super::NOTE;
use crate::config::{CONFIGS, FIELDS, RELATIONS, TUNED};
use std::fmt::Write as _;

/// The page: its text, with the tables of fields, rules and values put in.
pub(super) fn page() -> String {
    let text = include_str!("configurations.md");
    text.replace("<!-- note -->", &format!("{} Its text is hw/src/gen/configurations.md.", NOTE))
        .replace("<!-- fields -->\n", &fields())
        .replace("<!-- rules -->\n", &rules())
        .replace("<!-- values -->\n", &values())
}

fn fields() -> String {
    let mut s = String::from("| field | value | meaning | RTL parameter |\n|---|---|---|---|\n");
    for f in FIELDS {
        let param = f.param.map_or_else(|| "-".to_owned(), |p| format!("`{p}`"));
        let _ = writeln!(s, "| `{}` | {} | {} | {param} |", f.name, f.rule, f.doc);
    }
    s
}

fn rules() -> String {
    RELATIONS.iter().map(|r| format!("- `{}` {}.\n", r.field, r.doc)).collect()
}

fn values() -> String {
    let all = || CONFIGS.iter().chain(TUNED.iter());
    let names: Vec<_> = all().map(|c| c.name.as_str()).collect();
    let mut s = format!("| field | {} |\n|---|{}\n", names.join(" | "), "---:|".repeat(names.len()));
    for (i, f) in FIELDS.iter().enumerate() {
        let values: Vec<_> = all().map(|c| c.values()[i].to_string()).collect();
        let _ = writeln!(s, "| `{}` | {} |", f.name, values.join(" | "));
    }
    s
}
