//! Axes: what a sweep varies, and the values that each takes.

use super::format::Formats;
use accllm_hw::config::FIELDS;
use serde::Serialize;
use std::fmt;
use toml::Value as Toml;

/// Fields of a work that can be an axis.
pub const WORK_FIELDS: [&str; 8] =
    ["shape", "context", "prompt", "batch", "sinks", "window", "format", "prob_bits"];
/// Most values of an axis.
const MOST: usize = 4096;

/// What an axis changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A field of the configuration, by its place in `FIELDS`.
    Config(usize),
    /// The card.
    Card,
    /// A field of every work that does not give it itself.
    Work(&'static str),
}

/// A value of an axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A count.
    Number(u64),
    /// A name or a file.
    Text(String),
    /// Weight formats.
    Format(Formats),
}

impl Value {
    /// As a number, for plots.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(n) => Some(*n as f64),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => n.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Format(format) => match serde_json::to_value(format) {
                Ok(serde_json::Value::String(name)) => name.fmt(f),
                Ok(other) => f.write_str(&other.to_string().replace('"', "")),
                Err(_) => Err(fmt::Error),
            },
        }
    }
}

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Name.
    pub name: String,
    /// What it changes.
    pub target: Target,
    /// Its values, each once.
    pub values: Vec<Value>,
}

impl Axis {
    /// From a spec: a list, or `{ from, to, times }` or `{ from, to, step }`.
    ///
    /// # Errors
    /// No such axis; no values; a value of another kind or against the rule of its field.
    pub fn parse(name: &str, value: &Toml) -> Result<Self, String> {
        let target = target(name)?;
        let values = match value {
            Toml::Array(list) if !list.is_empty() => {
                list.iter().map(|v| one(target, v)).collect::<Result<Vec<_>, _>>()
            }
            Toml::Table(range) if range.contains_key("from") => {
                spread(range).map(|all| all.into_iter().map(Value::Number).collect())
            }
            _ => Err("give a list of values, or { from, to, times } or { from, to, step }".into()),
        };
        let values = values.map_err(|e| format!("axis {name}: {e}"))?;
        for (i, value) in values.iter().enumerate() {
            check(target, value).map_err(|e| format!("axis {name}: {e}"))?;
            if values[..i].contains(value) {
                return Err(format!("axis {name}: {value} stands there twice"));
            }
        }
        Ok(Self { name: name.to_owned(), target, values })
    }

    /// The value that a command line gives, which need not be one of the axis.
    ///
    /// # Errors
    /// As [`Axis::parse`].
    pub fn value(&self, text: &str) -> Result<Value, String> {
        let said = |e| format!("{}: {e}", self.name);
        let table = toml::from_str::<toml::Table>(&format!("x = {text}"));
        let table = table.or_else(|_| toml::from_str(&format!("x = {}", Toml::from(text))));
        let table = table.map_err(|e| said(e.to_string()))?;
        let value = one(self.target, &table["x"]).map_err(said)?;
        check(self.target, &value).map_err(said)?;
        Ok(value)
    }
}

fn target(name: &str) -> Result<Target, String> {
    if let Some(field) = FIELDS.iter().position(|f| f.name == name) {
        return Ok(Target::Config(field));
    }
    match WORK_FIELDS.iter().find(|f| **f == name) {
        Some(field) => Ok(Target::Work(field)),
        None if name == "card" => Ok(Target::Card),
        None => {
            let fields: Vec<_> = FIELDS.iter().map(|f| f.name).collect();
            let works = WORK_FIELDS.join(", ");
            Err(format!(
                "no axis '{name}'; there are fields of the configuration ({}), card, and fields of the works ({works})",
                fields.join(", ")
            ))
        }
    }
}

fn one(target: Target, value: &Toml) -> Result<Value, String> {
    match (target, value) {
        (Target::Card | Target::Work("shape"), Toml::String(text)) => Ok(Value::Text(text.clone())),
        (Target::Card | Target::Work("shape"), other) => Err(format!("{other} is no name")),
        (Target::Work("format"), value) => Formats::parse(value).map(Value::Format),
        (_, Toml::Integer(n)) => u64::try_from(*n).map(Value::Number).map_err(|_| format!("{n} is below 0")),
        (_, other) => Err(format!("{other} is no whole number")),
    }
}

/// Numbers from one to another, by a factor or a step.
fn spread(range: &toml::Table) -> Result<Vec<u64>, String> {
    let number = |key: &str| -> Result<u64, String> {
        let value = range.get(key).and_then(Toml::as_integer).and_then(|n| u64::try_from(n).ok());
        value.ok_or_else(|| format!("`{key}` must be a whole number, 0 or more"))
    };
    if let Some(key) = range.keys().find(|k| !["from", "to", "times", "step"].contains(&k.as_str())) {
        return Err(format!("`{key}` is none of from, to, times, step"));
    }
    let (from, to) = (number("from")?, number("to")?);
    let (times, step) = match (range.get("times"), range.get("step")) {
        (Some(_), None) => (number("times")?, 0),
        (None, Some(_)) => (1, number("step")?),
        _ => return Err("give one of `times` and `step`".into()),
    };
    if step == 0 && (times < 2 || from == 0) {
        let rule = "`times` must be 2 or more, and `from` 1 or more; `step` must be 1 or more";
        return Err(rule.into());
    }
    // One of the two leaves the value as it is.
    let next = |v: &u64| v.checked_mul(times)?.checked_add(step);
    let all: Vec<u64> =
        std::iter::successors(Some(from), next).take_while(|v| *v <= to).take(MOST + 1).collect();
    match all.len() {
        0 => Err(format!("`to` = {to} is less than `from` = {from}")),
        n if n > MOST => Err(format!("more than {MOST} values")),
        _ => Ok(all),
    }
}

/// The rule of a field alone; rules between fields are judged point by point.
fn check(target: Target, value: &Value) -> Result<(), String> {
    match (target, value) {
        (Target::Config(field), Value::Number(n)) => {
            let rule = FIELDS[field].rule;
            match rule.allows(*n as usize) {
                true => Ok(()),
                false => Err(format!("{n} must be {rule}")),
            }
        }
        (Target::Work(field), Value::Number(n)) => check_work(field, *n),
        _ => Ok(()),
    }
}

/// The rule of a number of a work.
///
/// # Errors
/// The value is against it.
pub fn check_work(field: &str, n: u64) -> Result<(), String> {
    let (least, most) = match field {
        "prompt" | "batch" | "window" => (1, 1 << 20),
        "prob_bits" if n == 8 || n == 16 => return Ok(()),
        "prob_bits" => return Err(format!("prob_bits = {n} must be 8 or 16")),
        _ => (0, 1 << 24),
    };
    match (least..=most).contains(&n) {
        true => Ok(()),
        false => Err(format!("{field} = {n} must be a number from {least} to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, text: &str) -> Result<Vec<String>, String> {
        let table: toml::Table = toml::from_str(&format!("x = {text}")).unwrap();
        Ok(Axis::parse(name, &table["x"])?.values.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn axes_of_a_spec() {
        assert_eq!(parse("lanes", "[2, 4]").unwrap(), ["2", "4"]);
        assert_eq!(parse("fifo", "{ from = 512, to = 4096, times = 2 }").unwrap().len(), 4);
        assert_eq!(parse("mhz", "{ from = 200, to = 300, step = 50 }").unwrap(), ["200", "250", "300"]);
        assert_eq!(parse("format", "[\"w2s\", { down = \"w4\" }, { bits = 3 }]").unwrap()[2], "{bits:3.0}");
    }

    #[test]
    fn wrong_axes_are_refused_with_the_reason() {
        for (name, text, words) in [
            ("lane", "[2]", "no axis 'lane'; there are fields of the configuration (channels, lanes"),
            ("lanes", "[2, 3]", "axis lanes: 3 must be a power of two from 2 to 16"),
            ("lanes", "[2, 2]", "2 stands there twice"),
            ("lanes", "[]", "give a list of values"),
            ("lanes", "[\"2\"]", "is no whole number"),
            ("lanes", "[-2]", "-2 is below 0"),
            ("lanes", "{ from = 2, to = 8 }", "one of `times` and `step`"),
            ("lanes", "{ from = 8, to = 2, times = 2 }", "less than"),
            ("lanes", "{ from = 2, to = 8, times = 1 }", "2 or more"),
            ("lanes", "{ from = 2, to = 8, by = 1 }", "`by` is none of"),
            ("context", "{ from = 0, to = 1000000, step = 1 }", "more than 4096 values"),
            ("window", "[0]", "window = 0 must be a number from 1"),
            ("prob_bits", "[12]", "must be 8 or 16"),
            ("format", "[\"w9\"]", "axis format: 'w9' is no weight format"),
            ("card", "[1]", "is no name"),
        ] {
            let said = parse(name, text).unwrap_err();
            assert!(said.contains(words), "{name} = {text}: {said}");
        }
    }

    #[test]
    fn a_command_line_gives_one_value() {
        let table: toml::Table = toml::from_str("x = [2]").unwrap();
        let axis = |name: &str| Axis { name: name.into(), ..Axis::parse("lanes", &table["x"]).unwrap() };
        assert_eq!(axis("lanes").value("8"), Ok(Value::Number(8)));
        assert!(axis("lanes").value("9").unwrap_err().contains("power of two"));
        assert!(axis("lanes").value("x").unwrap_err().contains("no whole number"));
        let card = Axis { target: Target::Card, ..axis("card") };
        assert_eq!(card.value("u50"), Ok(Value::Text("u50".into())));
    }
}
