//! The front of any records: ours, JSON lines of others, or tables.

use super::csv::{lines, push_line};
use super::front::front;
use super::spec::Objective;
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

/// One line of a file: all cells by heading.
pub type Line = BTreeMap<String, String>;

/// What was found.
#[derive(Debug)]
pub struct Front {
    /// The lines of the front, in the order of the files.
    pub lines: Vec<Line>,
    /// Lines with numbers for all objectives.
    pub counted: u64,
    /// Lines without: failed or infeasible points, or empty cells.
    pub without: u64,
}

/// Reads the files and takes the lines that no other one beats.
///
/// # Errors
/// A file cannot be read, or is no table; no line has the objectives.
pub fn of_files<P: AsRef<Path>>(files: &[P], objectives: &[Objective]) -> Result<Front> {
    if objectives.is_empty() {
        return Err(Error::Argument("give --max COLUMN or --min COLUMN, one or more".into()));
    }
    let (mut lines, mut points, mut without) = (Vec::new(), Vec::<Vec<f64>>::new(), 0);
    let mut names = BTreeSet::new();
    for file in files {
        let mut each = |line: Line| {
            names.extend(line.keys().filter(|k| !names.contains(*k)).cloned().collect::<Vec<_>>());
            let ok = line.get("status").is_none_or(|s| s == "ok");
            let number = |o: &Objective| {
                let value: f64 = line.get(&o.metric)?.trim().parse().ok()?;
                value.is_finite().then_some(if o.largest { -value } else { value })
            };
            match objectives.iter().map(number).collect::<Option<Vec<_>>>().filter(|_| ok) {
                Some(point) => {
                    points.push(point);
                    lines.push(line);
                }
                None => without += 1,
            }
        };
        match file.as_ref().extension().is_some_and(|e| e == "csv") {
            true => table(file.as_ref(), &mut each)?,
            false => json_lines(file.as_ref(), &mut each)?,
        }
    }
    let unknown = objectives.iter().find(|o| !names.contains(&o.metric));
    if let Some(o) = unknown.filter(|_| without > 0 || points.is_empty()) {
        let names: Vec<_> = names.into_iter().collect();
        return Err(Error::Argument(format!("no column '{}'; there are {}", o.metric, names.join(", "))));
    }
    let counted = points.len() as u64;
    let lines = front(&points).into_iter().map(|i| lines[i].clone()).collect();
    Ok(Front { lines, counted, without })
}

/// `decode.ms [ms, estimated]` is the column `decode.ms`.
fn plain(heading: &str) -> String {
    heading.split(" [").next().unwrap_or_default().trim().to_owned()
}

fn table(path: &Path, each: &mut dyn FnMut(Line)) -> Result<()> {
    let text = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    let mut heads: Option<Vec<String>> = None;
    lines(&text, |cells| match &heads {
        None => heads = Some(cells.iter().map(|h| plain(h)).collect()),
        Some(heads) => each(heads.iter().cloned().zip(cells).collect()),
    });
    Ok(())
}

/// Objects, one a line. Of ours, parameters and metrics become columns; of others, all that are numbers or texts.
fn json_lines(path: &Path, each: &mut dyn FnMut(Line)) -> Result<()> {
    let io = |e| Error::io("read", path, e);
    let mut file = BufReader::new(File::open(path).map_err(io)?);
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        if file.read_until(b'\n', &mut text).map_err(io)? == 0 {
            break;
        }
        let whole = text.ends_with(b"\n");
        match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&text) {
            Ok(object) => each(columns(&object)),
            // A last line without an end was torn off.
            Err(_) if !whole => break,
            Err(e) => {
                let what = format!("{}, line {number} is no JSON object: {e}", path.display());
                return Err(Error::Argument(what));
            }
        }
    }
    Ok(())
}

fn columns(object: &serde_json::Map<String, serde_json::Value>) -> Line {
    use serde_json::Value;
    let mut line = Line::new();
    for (name, value) in object {
        match value {
            Value::String(text) => {
                line.insert(name.clone(), text.clone());
            }
            Value::Object(inner) if name == "parameters" || name == "metrics" => {
                for (name, value) in inner {
                    let value = value.get("value").unwrap_or(value);
                    line.insert(name.clone(), value.as_str().map_or(value.to_string(), str::to_owned));
                }
            }
            Value::Object(_) | Value::Array(_) | Value::Null => {}
            other => {
                line.insert(name.clone(), other.to_string());
            }
        }
    }
    line
}

/// The front as a table: the objectives first.
pub fn table_of(front: &Front, objectives: &[Objective]) -> String {
    let mut heads: Vec<&str> = objectives.iter().map(|o| o.metric.as_str()).collect();
    let others: BTreeSet<&str> = front.lines.iter().flat_map(|l| l.keys()).map(String::as_str).collect();
    heads.extend(others.into_iter().filter(|h| !objectives.iter().any(|o| o.metric == *h)));
    let mut out = String::new();
    push_line(&mut out, &heads);
    for line in &front.lines {
        push_line(&mut out, heads.iter().map(|h| line.get(*h).map_or("", String::as_str)));
    }
    out
}
