//! The results of a sweep as files: `points.csv`, `front.csv`, `best.toml`, `report.html`. They depend on the records alone,
//! not on the order in which these were made.

use super::best::{best, best_config, number};
use super::csv::push_line;
use super::folder::Folder;
use super::page;
use super::spec::Spec;
use super::table::{Row, Table};
use crate::Result;
use accllm_device::output::write_whole;

/// Writes all of them.
///
/// # Errors
/// A file cannot be written; one that was there is then as it was.
pub fn write(folder: &Folder, spec: &Spec, table: &Table) -> Result<()> {
    let front = table.front(spec);
    let put = |name: &str, text: &str| write_whole(&folder.path.join(name), text.as_bytes());
    put("points.csv", &table_of(spec, table, &mut table.rows.iter()))?;
    put("front.csv", &table_of(spec, table, &mut front.iter().map(|&i| &table.rows[i])))?;
    if let Some(best) = best(spec, table, &front) {
        put("best.toml", &best_config(spec, table, &table.rows[best]))?;
    }
    put("report.html", &page::page(folder, spec, table, &front)?)
}

/// A table: number, status, reason, parameters, metrics with unit and label in the heading.
fn table_of(spec: &Spec, table: &Table, rows: &mut dyn Iterator<Item = &Row>) -> String {
    let mut out = String::new();
    let mut heads = vec!["point".to_owned(), "status".into(), "why".into()];
    heads.extend(spec.axes.iter().map(|a| a.name.clone()));
    heads.extend(table.columns.iter().map(|(name, m)| format!("{name} [{}, {}]", m.unit, m.label)));
    push_line(&mut out, &heads);
    for row in rows {
        let choice = spec.choice(row.index);
        let mut cells = vec![row.index.to_string(), row.status.name().into(), row.why.clone()];
        cells.extend(spec.axes.iter().zip(&choice.0).map(|(a, &i)| a.values[i as usize].to_string()));
        cells.extend(row.values.iter().map(|v| number(*v)));
        push_line(&mut out, &cells);
    }
    out
}
