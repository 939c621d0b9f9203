//! Functions and filters of chat templates as Python has them.

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

fn bad(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.into())
}

/// `a % b`: the rest of a division, or a format with its values.
pub(super) fn percent(state: &mut State<'_, '_>, left: Value, values: Rest<Value>) -> Result<Value, Error> {
    if left.as_str().is_some() {
        let arguments: Vec<Value> = std::iter::once(left).chain(values.0).collect();
        return state.apply_filter("format", &arguments);
    }
    let [right] = &values.0[..] else { return Err(bad("`%` of a number takes one number")) };
    if let (Some(a), Some(b)) = (left.as_i64(), right.as_i64()) {
        // As in Python, the rest has the sign of the divisor.
        let rest = a.checked_rem(b).ok_or_else(|| bad(format!("{a} % {b} has no value")))?;
        return Ok(Value::from(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }));
    }
    match (f64::try_from(left.clone()), f64::try_from(right.clone())) {
        (Ok(a), Ok(b)) if b != 0.0 => Ok(Value::from(a - b * (a / b).floor())),
        _ => Err(bad(format!("`%` has no meaning between {} and {}", left.kind(), right.kind()))),
    }
}

/// How a value is written as JSON.
struct Style {
    ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    sort: bool,
}

/// `json.dumps`, as templates have it: `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
pub(super) fn tojson(value: &Value, given: Rest<Value>, named: Kwargs) -> Result<String, Error> {
    const NAMES: [&str; 4] = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let mut arguments: [Option<Value>; 4] = Default::default();
    for (i, argument) in arguments.iter_mut().enumerate() {
        *argument = match given.0.get(i) {
            Some(v) => Some(v.clone()),
            None => named.get(NAMES[i])?,
        };
    }
    named.assert_all_used()?;
    let [ascii, indent, separators, sort] = arguments.map(|v| v.filter(|v| !v.is_none()));
    let indent = indent.map(|v| match (v.as_str(), usize::try_from(v.clone())) {
        (Some(text), _) => Ok(text.to_string()),
        (None, Ok(n)) if n <= 64 => Ok(" ".repeat(n)),
        _ => Err(bad("tojson: `indent` must be a text or a number up to 64")),
    });
    let indent = indent.transpose()?;
    let pair = |v: Value| -> Result<(String, String), Error> {
        let all: Vec<String> = v.try_iter()?.filter_map(|s| s.as_str().map(str::to_string)).collect();
        match &all[..] {
            [item, key] => Ok((item.clone(), key.clone())),
            _ => Err(bad("tojson: `separators` must be two texts")),
        }
    };
    let default = (if indent.is_some() { "," } else { ", " }.to_string(), ": ".to_string());
    let (item, key) = separators.map(pair).transpose()?.unwrap_or(default);
    let style = Style {
        ascii: ascii.is_some_and(|v| v.is_true()),
        indent,
        item,
        key,
        sort: sort.is_some_and(|v| v.is_true()),
    };
    let mut out = String::new();
    write(&mut out, value, &style, 0)?;
    Ok(out)
}

/// Most lists and maps in each other.
const DEEPEST: usize = 128;

fn write(out: &mut String, value: &Value, style: &Style, depth: usize) -> Result<(), Error> {
    if depth > DEEPEST {
        return Err(bad("tojson: too many lists and maps in each other"));
    }
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number if value.is_integer() => out.push_str(&value.to_string()),
        ValueKind::Number => out.push_str(&float(f64::try_from(value.clone())?)),
        ValueKind::String => text(out, value.as_str().unwrap_or_default(), style.ascii),
        ValueKind::Seq | ValueKind::Iterable => {
            let parts: Vec<Value> = value.try_iter()?.collect();
            list(out, '[', ']', &parts, style, depth, |out, part| write(out, part, style, depth + 1))?;
        }
        ValueKind::Map => {
            let mut keys: Vec<Value> = value.try_iter()?.collect();
            if style.sort {
                keys.sort_by_key(ToString::to_string);
            }
            list(out, '{', '}', &keys, style, depth, |out, key| {
                text(out, &key.to_string(), style.ascii);
                out.push_str(&style.key);
                write(out, &value.get_item(key)?, style, depth + 1)
            })?;
        }
        other => return Err(bad(format!("tojson: a value of type {other} is not JSON"))),
    }
    Ok(())
}

fn list(
    out: &mut String,
    open: char,
    close: char,
    parts: &[Value],
    style: &Style,
    depth: usize,
    mut each: impl FnMut(&mut String, &Value) -> Result<(), Error>,
) -> Result<(), Error> {
    let line = |out: &mut String, depth: usize| {
        if let Some(indent) = style.indent.as_ref().filter(|_| !parts.is_empty()) {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(indent));
        }
    };
    out.push(open);
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            out.push_str(&style.item);
        }
        line(out, depth + 1);
        each(out, part)?;
    }
    line(out, depth);
    out.push(close);
    Ok(())
}

fn text(out: &mut String, text: &str, ascii: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || ascii && !c.is_ascii() => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A float as Python writes it: the fewest digits, with an exponent below 1e-4 and from 1e16 on.
fn float(x: f64) -> String {
    if !x.is_finite() {
        return if x.is_nan() {
            "NaN"
        } else if x > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .into();
    }
    let scientific = format!("{x:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    match x == 0.0 || (-4..16).contains(&exponent) {
        true => format!("{x:?}"),
        false => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn floats_as_python_writes_them() {
        for (x, want) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e-5, "1.5e-05"),
            (0.0001, "0.0001"),
            (123456.789, "123456.789"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(float(x), want);
        }
    }
}
