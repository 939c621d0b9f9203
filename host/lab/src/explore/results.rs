//! The results of a sweep as files: `points.csv`, `front.csv`, `best.toml`, `report.html`. They depend on the records alone,
//! not on the order in which these were made.

use super::best::{best, best_config, number};
use super::folder::Folder;
use super::page;
use super::spec::Spec;
use super::table::{Row, Table};
use crate::{Error, Result};
use accllm_device::output::write_whole;

/// Writes all of them.
///
/// # Errors
/// A file cannot be written; one that was there is then as it was.
pub fn write(folder: &Folder, spec: &Spec, table: &Table) -> Result<()> {
    let front = table.front(spec);
    let put = |name: &str, text: &str| write_whole(&folder.path.join(name), text.as_bytes());
    put("points.csv", &csv(spec, table, &mut table.rows.iter())?)?;
    put("front.csv", &csv(spec, table, &mut front.iter().map(|&i| &table.rows[i]))?)?;
    if let Some(best) = best(spec, table, &front) {
        put("best.toml", &best_config(spec, table, &table.rows[best]))?;
    }
    put("report.html", &page::page(folder, spec, table, &front)?)
}

/// A table: number, status, reason, parameters, metrics with unit, label and rung in the heading.
fn csv(spec: &Spec, table: &Table, rows: &mut dyn Iterator<Item = &Row>) -> Result<String> {
    let failed = |e: &dyn std::fmt::Display| Error::Fault(format!("cannot make the table: {e}"));
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut heads = vec!["point".to_owned(), "status".into(), "why".into()];
    heads.extend(spec.axes.iter().map(|a| a.name.clone()));
    heads.extend(table.columns.iter().map(|(name, m)| format!("{name} [{}, {}]", m.unit, m.label)));
    out.write_record(&heads).map_err(|e| failed(&e))?;
    for row in rows {
        let choice = spec.choice(row.index);
        let mut cells = vec![row.index.to_string(), row.status.name().into(), row.why.clone()];
        cells.extend(spec.axes.iter().zip(&choice.0).map(|(a, &i)| a.values[i as usize].to_string()));
        cells.extend(row.values.iter().map(|v| number(*v)));
        out.write_record(&cells).map_err(|e| failed(&e))?;
    }
    let bytes = out.into_inner().map_err(|e| failed(&e))?;
    String::from_utf8(bytes).map_err(|e| failed(&e))
}
