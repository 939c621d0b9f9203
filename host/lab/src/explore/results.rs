//! The results of a sweep as files: `points.csv`, `front.csv`, `best.toml`, `report.html`. They depend on the records alone,
//! not on the order in which these were made.

use super::best::{best, best_config, number};
use super::confirm::confirmed;
use super::csv::push_line;
use super::folder::Folder;
use super::metric::{Metric, Metrics};
use super::page;
use super::spec::Spec;
use super::table::{Row, Table};
use crate::Result;
use accllm_device::output::write_whole;
use std::collections::{BTreeMap, HashMap};

/// Writes all of them.
///
/// # Errors
/// A file cannot be written; one that was there is then as it was.
pub fn write(folder: &Folder, spec: &Spec, table: &Table) -> Result<()> {
    let front = table.front(spec);
    let confirmed: HashMap<_, _> = confirmed(folder)?.into_iter().map(|one| (one.key, one.metrics)).collect();
    let put = |name: &str, text: &str| write_whole(&folder.path.join(name), text.as_bytes());
    put("points.csv", &table_of(spec, table, &confirmed, &mut table.rows.iter()))?;
    put("front.csv", &table_of(spec, table, &confirmed, &mut front.iter().map(|&i| &table.rows[i])))?;
    if let Some(best) = best(spec, table, &front) {
        put("best.toml", &best_config(spec, table, &table.rows[best]))?;
    }
    put("report.html", &page::page(folder, spec, table, &front)?)
}

/// A table: number, status, reason, parameters, metrics with unit and label in the heading; then what the RTL said of the
/// points that ran on it, by key.
fn table_of(
    spec: &Spec,
    table: &Table,
    confirmed: &HashMap<String, Metrics>,
    rows: &mut dyn Iterator<Item = &Row>,
) -> String {
    let simulated: BTreeMap<&String, &Metric> = confirmed.values().flatten().collect();
    let head = |(name, m): (&String, &Metric)| format!("{name} [{}, {}]", m.unit, m.label);
    let mut out = String::new();
    let mut heads = vec!["point".to_owned(), "status".into(), "why".into()];
    heads.extend(spec.axes.iter().map(|a| a.name.clone()));
    heads.extend(table.columns.iter().map(|(name, m)| head((name, m))));
    heads.extend(simulated.iter().map(|(name, m)| head((name, m))));
    push_line(&mut out, &heads);
    for row in rows {
        let choice = spec.choice(row.index);
        let mut cells = vec![row.index.to_string(), row.status.name().into(), row.why.clone()];
        cells.extend(spec.axes.iter().zip(&choice.0).map(|(a, &i)| a.values[i as usize].to_string()));
        cells.extend(row.values.iter().map(|v| number(*v)));
        let ran = |name: &String| Some(confirmed.get(&row.key)?.get(name)?.value);
        cells.extend(simulated.keys().map(|name| ran(name).map(number).unwrap_or_default()));
        push_line(&mut out, &cells);
    }
    out
}
