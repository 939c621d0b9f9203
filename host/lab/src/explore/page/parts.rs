//! The page's tables and its data.

use super::{Shown, escape};
use crate::explore::best::number;
use crate::explore::confirm::Confirmed;
use crate::explore::evaluate::Status;
use crate::explore::spec::Spec;
use crate::explore::table::{Row, Table};
use crate::explore::work::Work;
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;

/// Most rows of a table.
const MOST: usize = 200;

/// What the sweep is, and how it ended.
pub fn summary(spec: &Spec, table: &Table, front: usize, left_out: usize) -> String {
    let card = |label: &str, n: usize| format!("<div><b>{n}</b>{label}</div>");
    // Of a file its name alone: the page says the same wherever the folder is.
    let shape = |w: &Work| Path::new(&w.shape).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let works: Vec<_> = spec.works.iter().map(|w| format!("{} of {}", w.name, shape(w))).collect();
    let objectives: Vec<_> = spec
        .objectives
        .iter()
        .map(|o| format!("{} of {}", if o.largest { "most" } else { "least" }, o.metric))
        .collect();
    let constraints: Vec<_> = spec
        .constraints
        .iter()
        .map(|c| match (c.min, c.max) {
            (a, b) if a == b => format!("{} = {}", c.metric, number(a)),
            (a, f64::INFINITY) => format!("{} at least {}", c.metric, number(a)),
            (f64::NEG_INFINITY, b) => format!("{} at most {}", c.metric, number(b)),
            (a, b) => format!("{} from {} to {}", c.metric, number(a), number(b)),
        })
        .collect();
    let mut s = format!(
        "<h1>{}</h1><p class=\"lead\">From the configuration <b>{}</b>{}; {}. Sought: {}{}.</p>",
        escape(&spec.name),
        escape(&spec.base.name),
        spec.card.as_ref().map(|c| format!(" on the card <b>{}</b>", escape(&c.title))).unwrap_or_default(),
        escape(&works.join(", ")),
        escape(&objectives.join(", ")),
        if constraints.is_empty() { String::new() } else { format!("; {}", escape(&constraints.join(", "))) }
    );
    let cards = [
        card("points", table.rows.len()),
        card("with metrics", table.count(Status::Ok)),
        card("against a rule", table.count(Status::Infeasible)),
        card("failed", table.count(Status::Failed)),
        card("on the front", front),
    ];
    let _ = write!(s, "<div class=\"cards\">{}</div>", cards.concat());
    if left_out > 0 {
        let _ = write!(
            s,
            "<p class=\"lead\">Of the points beside the front, {left_out} are not drawn; points.csv has all.</p>"
        );
    }
    s + "\n"
}

/// Controls: one for each axis.
pub fn filters(spec: &Spec) -> String {
    let mut s = String::from("<section id=\"filters\"><div class=\"filters\">");
    for (i, axis) in spec.axes.iter().enumerate() {
        let _ = write!(
            s,
            "<label>{}<select data-axis=\"{i}\"><option value=\"\">all</option>",
            escape(&axis.name)
        );
        for (v, value) in axis.values.iter().enumerate() {
            let _ = write!(s, "<option value=\"{v}\">{}</option>", escape(&value.to_string()));
        }
        s += "</select></label>";
    }
    s += "<label>the front alone<input type=\"checkbox\" id=\"only-front\"></label><button id=\"reset\">show all</button>";
    s + "<span id=\"left\"></span></div></section>\n"
}

/// The data that hover and filters need.
pub fn data(spec: &Spec, table: &Table, shown: &Shown) -> String {
    let axes: Vec<_> = spec
        .axes
        .iter()
        .map(|a| json!({"name": a.name, "values": a.values.iter().map(ToString::to_string).collect::<Vec<_>>()}))
        .collect();
    let mut columns: Vec<usize> = spec.objectives.iter().filter_map(|o| table.column(&o.metric)).collect();
    let limits = spec.constraints.iter().filter_map(|c| table.column(&c.metric));
    limits.for_each(|c| {
        if !columns.contains(&c) {
            columns.push(c);
        }
    });
    let metrics: Vec<_> = columns
        .iter()
        .map(|&c| json!({"name": table.columns[c].0, "unit": table.columns[c].1.unit}))
        .collect();
    let first = shown.rows.len() - shown.front;
    let points: Vec<_> = shown
        .rows
        .iter()
        .enumerate()
        .map(|(p, &row)| {
            let row = &table.rows[row];
            let values: Vec<_> = columns.iter().map(|&c| number(row.values[c])).collect();
            json!([row.index, spec.choice(row.index).0, values, p >= first])
        })
        .collect();
    json!({"axes": axes, "metrics": metrics, "points": points}).to_string()
}

/// For each axis and objective: the best and the middle of the points with each value, and what part of the objective's
/// range the middles span.
pub fn sensitivity(spec: &Spec, table: &Table) -> String {
    let mut s = String::from(
        "<section id=\"sensitivity\"><h2>What each axis does</h2><p class=\"lead\">Medians over all points with a value, whatever the \
         other axes are; the bar is the range of these medians as a part of the objective's whole range.</p>",
    );
    let scores = table.scores(spec);
    let sound = |i: &usize| scores[*i].is_some();
    let rows: Vec<usize> = (0..table.rows.len()).filter(sound).collect();
    for o in &spec.objectives {
        let Some(column) = table.column(&o.metric) else { continue };
        let value = |i: usize| table.rows[i].values[column];
        let range = |all: &[f64]| {
            let low = all.iter().copied().fold(f64::INFINITY, f64::min);
            all.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low
        };
        let whole = range(&rows.iter().map(|&i| value(i)).collect::<Vec<_>>());
        let _ = write!(
            s,
            "<h3>{} <span class=\"unit\">{}</span></h3><table><tr><th class=\"text\">axis</th><th class=\"text\">range of the \
             medians</th><th class=\"text\">median by value (best)</th></tr>",
            escape(&o.metric),
            escape(&table.columns[column].1.unit)
        );
        for (a, axis) in spec.axes.iter().enumerate() {
            let mut groups: Vec<Vec<f64>> = vec![Vec::new(); axis.values.len()];
            for &i in &rows {
                let place = spec.choice(table.rows[i].index).0[a] as usize;
                groups[place].push(value(i));
            }
            let (mut middles, mut cells) = (Vec::new(), Vec::new());
            for (group, name) in groups.iter_mut().zip(&axis.values).filter(|(g, _)| !g.is_empty()) {
                group.sort_by(f64::total_cmp);
                let best = if o.largest { group[group.len() - 1] } else { group[0] };
                let middle = group[group.len() / 2];
                middles.push(middle);
                let (middle, best) = (number(middle), number(best));
                cells.push(format!("{}: <b>{middle}</b> ({best})", escape(&name.to_string())));
            }
            let part = if whole > 0.0 && !middles.is_empty() { range(&middles) / whole } else { 0.0 };
            let _ = write!(
                s,
                "<tr><td class=\"text\">{}</td><td class=\"text\"><span class=\"bar\" style=\"width:{:.0}px\"></span>{:.0}%</td>\
                 <td class=\"text\">{}</td></tr>",
                escape(&axis.name),
                part * 120.0,
                part * 100.0,
                cells.join(" &nbsp; ")
            );
        }
        s += "</table>";
    }
    s + "</section>\n"
}

fn parameters(spec: &Spec, row: &Row) -> String {
    let values = spec.axes.iter().zip(spec.choice(row.index).0);
    values.map(|(a, i)| format!("<td>{}</td>", escape(&a.values[i as usize].to_string()))).collect()
}

/// The front's points.
pub fn front_table(spec: &Spec, table: &Table, front: &[usize]) -> String {
    let columns: Vec<usize> = spec.objectives.iter().filter_map(|o| table.column(&o.metric)).collect();
    let mut s = String::from("<section id=\"front\"><h2>Points of the front</h2><table><tr><th>point</th>");
    for axis in &spec.axes {
        let _ = write!(s, "<th>{}</th>", escape(&axis.name));
    }
    for &c in &columns {
        let (name, metric) = &table.columns[c];
        let _ = write!(
            s,
            "<th>{} <span class=\"unit\">{}, {}</span></th>",
            escape(name),
            escape(&metric.unit),
            metric.label
        );
    }
    s += "</tr>";
    for &i in front.iter().take(MOST) {
        let row = &table.rows[i];
        let values: String = columns.iter().map(|&c| format!("<td>{}</td>", number(row.values[c]))).collect();
        let _ = write!(s, "<tr><td>{}</td>{}{values}</tr>", row.index, parameters(spec, row));
    }
    s += "</table>";
    if front.len() > MOST {
        let _ = write!(s, "<p class=\"lead\">And {} more, in front.csv.</p>", front.len() - MOST);
    }
    s + "</section>\n"
}

/// Estimate and simulation side by side.
pub fn confirmed(spec: &Spec, table: &Table, front: &[usize], confirmed: &[Confirmed]) -> String {
    let mut rows: Vec<(&Row, &Confirmed)> =
        confirmed.iter().filter_map(|c| Some((table.rows.iter().find(|r| r.key == c.key)?, c))).collect();
    rows.sort_by_key(|(row, _)| row.index);
    let mut s = String::from("<section id=\"confirmed\"><h2>Confirmed on the RTL</h2>");
    if rows.is_empty() {
        return s
            + "<p>None: `--confirm front` runs the points of the front on the RTL, every tensor compared.</p></section>\n";
    }
    let on_front = |row: &Row| front.iter().any(|&i| table.rows[i].index == row.index);
    s += "<p class=\"lead\">Every tensor equal to the golden executor's. Error: of the estimate against the simulation.</p>\
          <table><tr><th>point</th><th>front</th>";
    for axis in &spec.axes {
        let _ = write!(s, "<th>{}</th>", escape(&axis.name));
    }
    s += "<th class=\"text\">metric</th><th>estimated</th><th>simulated</th><th>error</th><th>tensors compared</th></tr>";
    for (row, one) in rows {
        for (name, metric) in one.metrics.iter().filter(|(name, _)| name.ends_with(".cycles")) {
            let estimate = table.value(row, name);
            let error = estimate.map(|e| format!("{:+.2}%", 100.0 * (e / metric.value - 1.0)));
            let _ = write!(
                s,
                "<tr><td>{}</td><td>{}</td>{}<td class=\"text\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                row.index,
                if on_front(row) { "yes" } else { "" },
                parameters(spec, row),
                escape(name),
                estimate.map(number).unwrap_or_default(),
                number(metric.value),
                error.unwrap_or_default(),
                one.tensors
            );
        }
    }
    s + "</table></section>\n"
}

/// Why points have no metrics, or do not fit.
pub fn reasons(table: &Table) -> String {
    let all = [
        ("against a rule", table.reasons(Status::Infeasible)),
        ("failed", table.reasons(Status::Failed)),
        ("does not fit the card", table.reasons(Status::Ok)),
    ];
    if all.iter().all(|(_, reasons)| reasons.is_empty()) {
        return String::new();
    }
    let mut s = String::from(
        "<section id=\"reasons\"><h2>Points that are not in the front for a reason</h2><table><tr><th>points</th>\
         <th class=\"text\">what</th><th class=\"text\">for example</th></tr>",
    );
    for (what, reasons) in all {
        for (n, why) in reasons.iter().take(MOST / 10) {
            let _ = write!(
                s,
                "<tr><td>{n}</td><td class=\"text\">{what}</td><td class=\"text\">{}</td></tr>",
                escape(why)
            );
        }
    }
    s + "</table></section>\n"
}

/// The best configuration as a file.
pub fn best(text: Option<&str>) -> String {
    let Some(text) = text else { return String::new() };
    format!(
        "<section id=\"best-config\"><h2>Best by the first objective</h2><p class=\"lead\">A file for <code>--config</code>; also \
         best.toml. <button id=\"copy\">copy</button></p><pre id=\"best\">{}</pre></section>\n",
        escape(text)
    )
}

/// What makes this page again.
pub fn repeat(spec: &Spec) -> String {
    format!(
        "<section id=\"repeat\"><h2>Again</h2><pre>accllm sweep sweep.toml -o {}</pre><p class=\"lead\">sweep.toml is in the folder of \
         this page, with the files that it names.</p></section>\n",
        escape(&spec.name)
    )
}
