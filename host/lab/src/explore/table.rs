//! The points of a folder in small: parameters as numbers of values, metrics as columns. A record is in memory while it is
//! read, and no longer.

use super::evaluate::Status;
use super::folder::Folder;
use super::front::{Score, Scores, front};
use super::metric::Metric;
use super::point::Choice;
use super::record::{Record, read};
use super::spec::Spec;
use crate::Result;
use std::collections::{BTreeMap, HashMap};

/// A point.
#[derive(Debug, Clone)]
pub struct Row {
    /// Number in the grid.
    pub index: u64,
    /// Its key.
    pub key: String,
    /// What became of it.
    pub status: Status,
    /// Why, where there is something to say.
    pub why: String,
    /// Metrics by column; NaN where there is none.
    pub values: Vec<f64>,
}

/// All points of a spec that a folder has.
#[derive(Debug, Default)]
pub struct Table {
    /// Metrics by column: name, and unit, rung and label with the value of some point.
    pub columns: Vec<(String, Metric)>,
    /// Points, by number, each once.
    pub rows: Vec<Row>,
    /// Records of other points, or of sources that have changed since.
    pub stale: u64,
    /// Records of points that have one already.
    pub doubled: u64,
}

/// Values of axes, as records have them, to their place in the axis.
struct Places(Vec<(String, HashMap<String, u32>)>);

impl Places {
    fn new(spec: &Spec) -> Self {
        let axis = |a: &super::axis::Axis| {
            let places = a.values.iter().zip(0..);
            let text = |v| serde_json::to_value(v).unwrap_or_default().to_string();
            (a.name.clone(), places.map(|(v, i)| (text(v), i)).collect())
        };
        Self(spec.axes.iter().map(axis).collect())
    }

    fn choice(&self, record: &Record) -> Option<Choice> {
        let place = |(name, places): &(String, HashMap<String, u32>)| {
            places.get(&record.parameters.get(name)?.to_string()).copied()
        };
        let all = self.0.iter().map(place).collect::<Option<Vec<_>>>()?;
        (record.parameters.len() == all.len()).then_some(Choice(all))
    }
}

/// Calls `each` with every record of a folder that is of a point of the spec and current, once each, and its number; returns
/// how many were stale and doubled.
///
/// # Errors
/// A file cannot be read or holds something else; what `each` returns.
pub fn current(
    folder: &Folder,
    spec: &Spec,
    mut each: impl FnMut(u64, Record) -> Result<()>,
) -> Result<(u64, u64)> {
    let places = Places::new(spec);
    let mut seen = std::collections::HashSet::new();
    let (mut stale, mut doubled) = (0, 0);
    for file in folder.records()? {
        read(&file, |record: Record| {
            let choice = places.choice(&record);
            match choice.filter(|c| spec.candidate(c).key() == record.key) {
                Some(choice) => {
                    let index = spec.index(&choice);
                    if seen.insert(index) {
                        return each(index, record);
                    }
                    doubled += 1;
                }
                None => stale += 1,
            }
            Ok(())
        })?;
    }
    Ok((stale, doubled))
}

/// A point's score, where it has the metrics for one.
pub fn score(spec: &Spec, status: Status, value: impl Fn(&str) -> Option<f64>) -> Option<Score> {
    if status != Status::Ok {
        return None;
    }
    let objectives = spec.objectives.iter().map(|o| {
        let value = value(&o.metric)?;
        Some(if o.largest { -value } else { value })
    });
    let objectives = objectives.collect::<Option<Vec<_>>>()?;
    let mut missed = 0.0;
    for c in &spec.constraints {
        let value = value(&c.metric)?;
        let by = (c.min - value).max(value - c.max).max(0.0);
        let whole = if value < c.min { c.min } else { c.max };
        missed += by / whole.abs().max(1e-9);
    }
    Some(Score { objectives, missed })
}

/// Scores of all points that a folder has.
///
/// # Errors
/// As [`current`].
pub fn scores(folder: &Folder, spec: &Spec) -> Result<Scores> {
    let mut scores = Scores::new();
    current(folder, spec, |index, record| {
        let value = |name: &str| record.metrics.get(name).map(|m| m.value);
        scores.insert(index, score(spec, record.status, value));
        Ok(())
    })?;
    Ok(scores)
}

impl Table {
    /// Reads a folder.
    ///
    /// # Errors
    /// As [`current`].
    pub fn read(folder: &Folder, spec: &Spec) -> Result<Self> {
        let mut names = BTreeMap::<String, (usize, Metric)>::new();
        let mut rows = Vec::new();
        let (stale, doubled) = current(folder, spec, |index, record| {
            let mut values = vec![f64::NAN; names.len()];
            for (name, metric) in record.metrics {
                let next = names.len();
                let value = metric.value;
                let at = names.entry(name).or_insert((next, metric)).0;
                values.resize(values.len().max(at + 1), f64::NAN);
                values[at] = value;
            }
            let (key, status, why) = (record.key, record.status, record.why);
            rows.push(Row { index, key, status, why, values });
            Ok(())
        })?;
        // Columns by name, whatever came first.
        let order: Vec<usize> = names.values().map(|(at, _)| *at).collect();
        for row in &mut rows {
            row.values = order.iter().map(|&at| row.values.get(at).copied().unwrap_or(f64::NAN)).collect();
        }
        rows.sort_by_key(|r| r.index);
        let columns = names.into_iter().map(|(name, (_, metric))| (name, metric)).collect();
        Ok(Self { columns, rows, stale, doubled })
    }

    /// The column of a metric.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(n, _)| n == name)
    }

    /// A metric of a row.
    pub fn value(&self, row: &Row, name: &str) -> Option<f64> {
        self.column(name).and_then(|c| row.values.get(c)).copied().filter(|v| v.is_finite())
    }

    /// Scores of the rows.
    pub fn scores(&self, spec: &Spec) -> Vec<Option<Score>> {
        self.rows.iter().map(|r| score(spec, r.status, |name| self.value(r, name))).collect()
    }

    /// The rows of the front: no other point that keeps the constraints beats them. By number.
    pub fn front(&self, spec: &Spec) -> Vec<usize> {
        let scores = self.scores(spec);
        let sound = |s: &Option<Score>| s.as_ref().is_some_and(|s| s.missed == 0.0);
        let rows: Vec<usize> = (0..scores.len()).filter(|&i| sound(&scores[i])).collect();
        let points: Vec<Vec<f64>> =
            rows.iter().filter_map(|&i| Some(scores[i].as_ref()?.objectives.clone())).collect();
        front(&points).into_iter().map(|i| rows[i]).collect()
    }

    /// How many points have this status.
    pub fn count(&self, status: Status) -> usize {
        self.rows.iter().filter(|r| r.status == status).count()
    }

    /// Reasons with how often each stands there, the most frequent first; numbers in them count as equal.
    pub fn reasons(&self, status: Status) -> Vec<(usize, String)> {
        let mut all = BTreeMap::<String, (usize, &str)>::new();
        for row in self.rows.iter().filter(|r| r.status == status && !r.why.is_empty()) {
            let like: String = row.why.chars().filter(|c| !c.is_ascii_digit()).collect();
            all.entry(like).or_insert((0, &row.why)).0 += 1;
        }
        let mut all: Vec<_> = all.into_values().map(|(n, why)| (n, why.to_owned())).collect();
        all.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        all
    }
}
