//! `report.html`: one page that needs nothing else and no network. Its bytes depend on the records alone.

mod parts;
mod plot;

use super::best::{best, best_config};
use super::confirm::confirmed;
use super::folder::Folder;

use super::spec::Spec;
use super::table::Table;
use crate::Result;

/// Most points beside the front that are drawn; the table of all points is `points.csv`.
const SHOWN: usize = 2000;

/// Text as it stands between tags and in attributes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What is drawn: rows with metrics for all objectives, the front after the others so that it lies on top.
struct Shown {
    /// Rows.
    rows: Vec<usize>,
    /// How many of them, at the end, are the front.
    front: usize,
}

/// The page.
///
/// # Errors
/// The records of confirmed points cannot be read.
pub fn page(folder: &Folder, spec: &Spec, table: &Table, front: &[usize]) -> Result<String> {
    let scored = table.scores(spec);
    let others: Vec<usize> =
        (0..table.rows.len()).filter(|i| scored[*i].is_some() && !front.contains(i)).collect();
    // The same points whatever the order of the records: evenly spread over the grid.
    let step = others.len().div_ceil(SHOWN).max(1);
    let mut rows: Vec<usize> = others.iter().copied().step_by(step).collect();
    let left_out = others.len() - rows.len();
    rows.extend(front);
    let shown = Shown { rows, front: front.len() };
    let confirmed = confirmed(folder)?;
    let best = best(spec, table, front).map(|i| best_config(spec, table, &table.rows[i]));
    let body = [
        parts::summary(spec, table, front.len(), left_out),
        parts::filters(spec),
        plot::fronts(spec, table, &shown),
        plot::parallel(spec, table, &shown),
        parts::sensitivity(spec, table),
        parts::front_table(spec, table, front),
        parts::confirmed(spec, table, front, &confirmed),
        parts::reasons(table),
        parts::best(best.as_deref()),
        parts::repeat(spec),
    ];
    Ok(include_str!("page.html")
        .replace("/* style */", include_str!("page.css"))
        .replace("/* script */", include_str!("page.js"))
        .replace("<!-- title -->", &escape(&spec.name))
        .replace("<!-- data -->", &parts::data(spec, table, &shown).replace("</", "<\\/"))
        .replace("<!-- body -->", &body.concat()))
}
