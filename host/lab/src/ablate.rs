//! The table of a model inside a page that is otherwise written by hand.

use crate::{Error, Result};
use accllm_device::output;
use accllm_quant::ablate::Line;
use accllm_text::calibration::read_text;
use std::fmt::Write as _;
use std::path::Path;

/// A table and what it says above.
pub struct Table<'a> {
    /// Name between the markers.
    pub model: &'a str,
    /// What was measured, and how.
    pub protocol: &'a str,
    /// Its lines.
    pub lines: &'a [Line],
}

impl Table<'_> {
    fn text(&self) -> String {
        let mut out =
            format!("{} *Measured*.\n\n| | perplexity | against float |\n|---|---|---|\n", self.protocol);
        let mut part = "";
        for line in self.lines {
            if line.part != part && line.part != "Float" {
                let _ = writeln!(out, "| **{}** | | |", line.part);
            }
            part = line.part;
            let _ = writeln!(out, "| {} | {:.2} | {:+.1}% |", line.name, line.ppl, 100.0 * line.change);
        }
        out
    }
}

/// Replaces what is between `<!-- ablation MODEL -->` and `<!-- end -->` in the page by the table.
///
/// # Errors
/// The page cannot be read or written, or has no such markers.
pub fn write_table(page: &Path, table: &Table<'_>) -> Result<()> {
    let old = read_text(page)?;
    let new = replaced(&old, table).ok_or_else(|| no_place(page, table.model))?;
    output::write_whole(page, new.as_bytes())
}

/// Fails early, before the measurements, when [`write_table`] would fail.
///
/// # Errors
/// As [`write_table`].
pub fn check_page(page: &Path, model: &str) -> Result<()> {
    output::check_file(page)?;
    let table = Table { model, protocol: "", lines: &[] };
    let old = read_text(page)?;
    replaced(&old, &table).map(drop).ok_or_else(|| no_place(page, model))
}

fn no_place(page: &Path, model: &str) -> Error {
    Error::Argument(format!(
        "{} has no place for the table: a line `<!-- ablation {model} -->` and, below, a line `<!-- end -->`",
        page.display(),
    ))
}

fn replaced(old: &str, table: &Table<'_>) -> Option<String> {
    let marker = format!("<!-- ablation {} -->\n", table.model);
    let (head, rest) = old.split_once(&marker)?;
    let (_, tail) = rest.split_once("<!-- end -->\n")?;
    Some(format!("{head}{marker}{}<!-- end -->\n{tail}", table.text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_of_the_model_changes() {
        let lines = [("Float", "float", 10.0, 0.0), ("KV4", "V", 10.5, 0.05)]
            .map(|(part, name, ppl, change)| Line { part, name: name.into(), ppl, change, seconds: 1.0 });
        let table = Table { model: "b", protocol: "Two windows.", lines: &lines };
        let old = "a\n<!-- ablation a -->\nx\n<!-- end -->\n<!-- ablation b -->\nold\n<!-- end -->\nz\n";
        let new = replaced(old, &table).expect("has the marker");
        assert!(
            new.starts_with("a\n<!-- ablation a -->\nx\n<!-- end -->\n<!-- ablation b -->\nTwo windows.")
        );
        assert!(new.ends_with("| **KV4** | | |\n| V | 10.50 | +5.0% |\n<!-- end -->\nz\n"));
        assert!(!new.contains("old"));
        // A second time gives the same.
        assert_eq!(replaced(&new, &table), Some(new));
        assert_eq!(replaced("nothing", &table), None);
    }
}
