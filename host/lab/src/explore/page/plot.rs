//! The plots of the page as SVG: a front for each pair of objectives, and parallel coordinates.

use super::{Shown, escape};
use crate::explore::best::number;
use crate::explore::spec::Spec;
use crate::explore::table::Table;
use std::fmt::Write as _;

/// Room around a plot: left, top, right, bottom.
const ROOM: [f64; 4] = [78.0, 16.0, 24.0, 52.0];
/// Width and height of a front.
const FRONT: [f64; 2] = [620.0, 380.0];
/// Height of parallel coordinates.
const HEIGHT: f64 = 340.0;

/// An axis of a plot, from a value to pixels.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        match (low <= high, (high - low).abs() < 1e-12) {
            (false, _) => Self { low: 0.0, high: 1.0, from, to },
            (_, true) => Self { low: low - 0.5, high: high + 0.5, from, to },
            _ => Self { low: low - (high - low) * 0.04, high: high + (high - low) * 0.04, from, to },
        }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Round values, four to nine of them.
    fn ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 6.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = power * [1.0, 2.0, 5.0, 10.0].into_iter().find(|s| s * power >= rough).unwrap_or(10.0);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|i| i as f64 * step).collect()
    }
}

/// A value for people: thousands as k, millions as M.
fn brief(value: f64) -> String {
    let scaled = |by: f64, unit: &str| {
        let text = format!("{:.2}", value / by);
        format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match value.abs() {
        v if v >= 1e9 => scaled(1e9, "G"),
        v if v >= 1e6 => scaled(1e6, "M"),
        v if v >= 1e4 => scaled(1e3, "k"),
        _ => number((value * 1e6).round() / 1e6),
    }
}

/// A section with the front of each pair of objectives; of one objective, along the points.
pub fn fronts(spec: &Spec, table: &Table, shown: &Shown) -> String {
    let columns: Vec<usize> = spec.objectives.iter().filter_map(|o| table.column(&o.metric)).collect();
    if shown.rows.is_empty() || columns.len() < spec.objectives.len() {
        return "<section id=\"fronts\"><h2>Front</h2><p>No point has all objectives.</p></section>".into();
    }
    let mut plots = String::new();
    match columns[..] {
        [one] => plots += &front(spec, table, shown, None, one),
        _ => {
            for (i, &x) in columns.iter().enumerate() {
                for &y in &columns[i + 1..] {
                    plots += &front(spec, table, shown, Some(x), y);
                }
            }
        }
    }
    format!(
        "<section id=\"fronts\"><h2>Front</h2><p class=\"lead\">Blue: points that no other point beats in all objectives, \
         constraints kept. Grey: the others.</p>{plots}</section>\n"
    )
}

fn front(spec: &Spec, table: &Table, shown: &Shown, x: Option<usize>, y: usize) -> String {
    let [left, top, right, bottom] = ROOM;
    let [width, height] = FRONT;
    let value = |row: usize, column: Option<usize>| {
        column.map_or(table.rows[row].index as f64, |c| table.rows[row].values[c])
    };
    let xs = Scale::of(shown.rows.iter().map(|&r| value(r, x)), left, width - right);
    let ys = Scale::of(shown.rows.iter().map(|&r| value(r, Some(y))), height - bottom, top);
    let mut s =
        format!("<svg class=\"front\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" role=\"img\">");
    frame(&mut s, &xs, &ys);
    let title = |c: Option<usize>| {
        c.map_or("point".to_owned(), |c| {
            let (name, metric) = &table.columns[c];
            let best = match spec.objectives.iter().find(|o| o.metric == *name) {
                Some(o) if o.largest => ", more is better",
                Some(_) => ", less is better",
                None => "",
            };
            format!("{name} ({}, {}{best})", metric.unit, metric.label)
        })
    };
    let _ = write!(
        s,
        "<text class=\"name\" x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>\
         <text class=\"name\" transform=\"translate(14 {:.0}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        (xs.from + xs.to) / 2.0,
        height - 10.0,
        escape(&title(x)),
        (ys.from + ys.to) / 2.0,
        escape(&title(Some(y)))
    );
    if let Some(x) = x {
        stairs(&mut s, table, shown, [x, y], [&xs, &ys]);
    }
    let first = shown.rows.len() - shown.front;
    for (p, &row) in shown.rows.iter().enumerate() {
        let (class, r) = if p >= first { ("p f", 5.0) } else { ("p", 3.0) };
        let (cx, cy) = (xs.at(value(row, x)), ys.at(value(row, Some(y))));
        let _ =
            write!(s, "<circle class=\"{class}\" data-p=\"{p}\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"{r}\"/>");
    }
    s + "</svg>"
}

fn frame(s: &mut String, xs: &Scale, ys: &Scale) {
    for t in xs.ticks() {
        let x = xs.at(t);
        let _ = write!(
            s,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            ys.from,
            ys.to,
            ys.from + 17.0,
            brief(t)
        );
    }
    for t in ys.ticks() {
        let y = ys.at(t);
        let _ = write!(
            s,
            "<line class=\"grid\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            xs.from,
            xs.to,
            xs.from - 8.0,
            y + 4.0,
            brief(t)
        );
    }
}

/// A line along the front's points, in the order of x.
fn stairs(s: &mut String, table: &Table, shown: &Shown, columns: [usize; 2], scales: [&Scale; 2]) {
    let ([x, y], [xs, ys]) = (columns, scales);
    let first = shown.rows.len() - shown.front;
    let mut points: Vec<(f64, f64)> =
        shown.rows[first..].iter().map(|&r| (table.rows[r].values[x], table.rows[r].values[y])).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    if points.len() > 1 {
        let line: Vec<_> = points.iter().map(|(x, y)| format!("{:.1} {:.1}", xs.at(*x), ys.at(*y))).collect();
        let _ = write!(s, "<path class=\"stair\" d=\"M{}\"/>", line.join("L"));
    }
}

/// Parallel coordinates: a line a point through its values of all axes and objectives.
pub fn parallel(spec: &Spec, table: &Table, shown: &Shown) -> String {
    let columns: Vec<usize> = spec.objectives.iter().filter_map(|o| table.column(&o.metric)).collect();
    let n = spec.axes.len() + columns.len();
    if n < 2 || shown.rows.is_empty() {
        return String::new();
    }
    let gap = (1100.0 / (n as f64 - 1.0)).clamp(90.0, 190.0);
    let (left, top, bottom) = (70.0, 40.0, HEIGHT - 20.0);
    let width = left * 2.0 + gap * (n as f64 - 1.0);
    let x = |i: usize| left + gap * i as f64;
    let mut s = format!(
        "<section id=\"parallel\"><h2>Parallel coordinates</h2><svg class=\"parallel\" viewBox=\"0 0 {width:.0} {HEIGHT}\" \
         width=\"{width:.0}\" role=\"img\">"
    );
    let scales: Vec<Scale> = columns
        .iter()
        .map(|&c| Scale::of(shown.rows.iter().map(|&r| table.rows[r].values[c]), bottom, top))
        .collect();
    let place = |axis: usize, value: u32| {
        let last = (spec.axes[axis].values.len() - 1).max(1) as f64;
        bottom - f64::from(value) / last * (bottom - top)
    };
    let first = shown.rows.len() - shown.front;
    for (p, &row) in shown.rows.iter().enumerate() {
        let row = &table.rows[row];
        let mut line: Vec<String> = Vec::with_capacity(n);
        for (i, &value) in spec.choice(row.index).0.iter().enumerate() {
            line.push(format!("{:.1} {:.1}", x(i), place(i, value)));
        }
        for (i, (scale, &c)) in scales.iter().zip(&columns).enumerate() {
            line.push(format!("{:.1} {:.1}", x(spec.axes.len() + i), scale.at(row.values[c])));
        }
        let class = if p >= first { "p f" } else { "p" };
        let _ = write!(s, "<path class=\"{class}\" data-p=\"{p}\" d=\"M{}\"/>", line.join("L"));
    }
    let mut column = |i: usize, name: &str, ticks: Vec<(f64, String)>| {
        let x = x(i);
        let _ = write!(
            s,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
             <text class=\"name\" x=\"{x:.1}\" y=\"20\" text-anchor=\"middle\">{}</text>",
            escape(name)
        );
        for (y, text) in ticks {
            let _ = write!(s, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", x + 5.0, y + 4.0, escape(&text));
        }
    };
    for (i, axis) in spec.axes.iter().enumerate() {
        let step = axis.values.len().div_ceil(12).max(1);
        let ticks = axis.values.iter().enumerate().step_by(step);
        column(i, &axis.name, ticks.map(|(v, text)| (place(i, v as u32), text.to_string())).collect());
    }
    for (i, (scale, &c)) in scales.iter().zip(&columns).enumerate() {
        let ticks = scale.ticks().into_iter().map(|t| (scale.at(t), brief(t))).collect();
        column(spec.axes.len() + i, &table.columns[c].0, ticks);
    }
    s + "</svg></section>\n"
}
