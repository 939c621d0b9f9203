//! The best point of a front, and numbers for people.

use super::spec::Spec;
use super::table::{Row, Table};

/// The point of the front that is best by the first objective; the others decide between equals.
pub fn best(spec: &Spec, table: &Table, front: &[usize]) -> Option<usize> {
    let scores = table.scores(spec);
    let objectives = |i: usize| scores[i].as_ref().map(|s| s.objectives.clone()).unwrap_or_default();
    front.iter().copied().min_by(|&a, &b| {
        objectives(a).partial_cmp(&objectives(b)).unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(&b))
    })
}

/// The configuration of a point as a file to copy.
pub fn best_config(spec: &Spec, table: &Table, row: &Row) -> String {
    let candidate = spec.candidate(&spec.choice(row.index));
    let mut text = format!("# Point {} of the sweep '{}':", row.index, spec.name);
    for o in &spec.objectives {
        if let Some(c) = table.column(&o.metric) {
            let metric = &table.columns[c].1;
            text += &format!(" {} {} {} ({})", o.metric, number(row.values[c]), metric.unit, metric.label);
        }
    }
    text += ".\n";
    for (name, value) in &candidate.parameters {
        text += &format!("# {name}: {value}\n");
    }
    if let Some(card) = &candidate.card {
        text += &format!("card = \"{}\"\n", card.name);
    }
    text + &candidate.config.to_toml()
}

/// A value with six digits.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return String::new();
    }
    if value == value.trunc() && value.abs() < 1e15 {
        return format!("{value}");
    }
    let digits = (5 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    #[test]
    fn six_digits() {
        let all = [0.0, 3.0, 1234567.0, 241.012345, 0.000123456789, -2.5, 1e20, f64::NAN].map(super::number);
        assert_eq!(all, ["0", "3", "1234567", "241.012", "0.000123457", "-2.5", "100000000000000000000", ""]);
    }
}
