//! The tables of docs/cost.md.

use super::{Area, COEFFICIENTS, FITS, Figures, Load, PUBLISHED, Resources, area, figures, program};
use crate::{Error, Result};
use accllm_hw::card::Card;
use accllm_hw::config::{CONFIGS, find};
use std::fmt::Write as _;

/// A table: its name in the page, and its text.
type Table = (&'static str, fn(&Card) -> Result<String>);

/// Of data alone: a test holds the page against them.
const DATA: [Table; 5] = [
    ("configurations", |_| Ok(configurations())),
    ("fits", |_| Ok(fits())),
    ("formulas", |_| Ok(formulas())),
    ("coefficients", |_| Ok(coefficients())),
    ("published", |card| Ok(published(card))),
];

/// Of runs on the timing model.
const RUNS: [Table; 2] = [("runs", runs), ("sequences", sequences)];

/// Replaces what is between each `<!-- NAME -->` and the `<!-- end -->` after it by the table of that name, for a card
/// that published systems are on. With `data` only the tables that follow from data files alone.
///
/// # Errors
/// A table that has no place; the error names it.
pub fn page(old: &str, card: &Card, data: bool) -> Result<String> {
    let mut page = old.to_owned();
    let runs = if data { &[][..] } else { &RUNS };
    for (name, table) in DATA.iter().chain(runs) {
        let marker = format!("<!-- {name} -->\n");
        let table = table(card)?;
        let place = || {
            let (head, rest) = page.split_once(&marker)?;
            let (_, tail) = rest.split_once("<!-- end -->\n")?;
            Some(format!("{head}{marker}{table}<!-- end -->\n{tail}"))
        };
        let what = || {
            Error::Argument(format!(
                "no place for the table '{name}': a line `<!-- {name} -->` and, below, `<!-- end -->`"
            ))
        };
        page = place().ok_or_else(what)?;
    }
    Ok(page)
}

/// A whole number in groups of three; halves of a block RAM keep their half.
pub fn number(value: f64) -> String {
    let half = (value * 2.0).round() as u64;
    let digits = if value < 1000.0 { half / 2 } else { value.round() as u64 }.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    let whole = groups.join(",");
    if value < 1000.0 && half % 2 == 1 { format!("{whole}.5") } else { whole }
}

/// Every named configuration by part.
fn configurations() -> String {
    let mut out = String::from(
        "| configuration | LUT | LUTRAM | FF | DSP | BRAM36 | URAM |\n|---|---|---|---|---|---|---|\n",
    );
    for config in CONFIGS.iter() {
        let Area { total: Resources { lut, lutram, ff, dsp, bram, uram, .. }, .. } = area(config);
        let cells = [lut, lutram, ff, dsp, bram, uram].map(number).join(" | ");
        let _ = writeln!(out, "| {} | {cells} |", config.name);
    }
    out
}

/// Errors of every fit.
fn fits() -> String {
    let shown = ["lut", "ff", "lutram", "carry"];
    let mut out = String::from(
        "| unit | points | held out | LUT | FF | LUTRAM | CARRY4 | DSP, BRAM, URAM |\n|---|---|---|---|---|---|---|---|\n",
    );
    for fit in &FITS.0 {
        let of = |name: &str| fit.errors.get(name).copied();
        let percent = |x: f64| format!("{:.1}%", 100.0 * x);
        let cell = |name: &&str| match of(name) {
            Some(_) if !fit.formulas.contains_key(*name) => String::new(),
            Some(e) if fit.points[1] > 0 => format!("{} / {}", percent(e.fitted), percent(e.held)),
            Some(e) => percent(e.fitted),
            None => String::new(),
        };
        let whole = ["dsp", "bram", "uram"]
            .iter()
            .filter_map(|name| of(name))
            .all(|e| e.fitted == 0.0 && e.held == 0.0);
        let cells: Vec<_> = shown.iter().map(cell).collect();
        let exact = if whole { "exact" } else { "**off**" };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {exact} |",
            fit.unit,
            fit.points[0],
            fit.points[1],
            cells.join(" | ")
        );
    }
    out
}

/// Every formula.
fn formulas() -> String {
    let mut out = String::from("| unit | resource | formula |\n|---|---|---|\n");
    for fit in &FITS.0 {
        for name in Resources::NAMES {
            if let Some(formula) = fit.formulas.get(name) {
                let _ = writeln!(out, "| {} | {} | `{formula}` |", fit.unit, name.to_uppercase());
            }
        }
    }
    out
}

/// Every energy, with its source.
fn coefficients() -> String {
    let mut out = String::from("| name | unit | low | value | high | source |\n|---|---|---|---|---|---|\n");
    for (name, c) in &*COEFFICIENTS {
        let _ =
            writeln!(out, "| `{name}` | {} | {} | {} | {} | {} |", c.unit, c.low, c.value, c.high, c.source);
    }
    out
}

/// Published power beside the estimate.
fn published(card: &Card) -> String {
    let mut out = String::from(
        "| system | W, published | how | tokens/s | tokens/J | W, *estimated* for its size | source |\n|---|---|---|---|---|---|---|\n",
    );
    for s in PUBLISHED.iter() {
        let figure = |x: Option<f64>| x.map(|x| x.to_string()).unwrap_or_default();
        let ours = s.design.map(|d| d.power(card).watts.to_string()).unwrap_or_default();
        let (rate, per) = (figure(s.tokens_per_s), figure(s.tokens_per_joule));
        let _ = writeln!(
            out,
            "| {}: {} | {} | {} | {rate} | {per} | {ours} | {} |",
            s.name, s.what, s.watts, s.basis, s.source
        );
    }
    out
}

/// The model of the published systems.
const SHAPE: &str = "llama2-7b";
/// The configuration of the card that they are on.
const CONFIG: &str = "u280";
/// Tokens before those that are decoded.
const CONTEXT: u64 = 2048;

fn of(card: &Card, sequences: Option<usize>, load: Load) -> Result<Figures> {
    let config = find(CONFIG)?;
    figures(&program(SHAPE, config, sequences)?, config, card, load)
}

/// Decode and prefill of a model that others have published figures of.
fn runs(card: &Card) -> Result<String> {
    let mut out = String::from("| run | tokens/s | W | J a token | tokens/J |\n|---|---|---|---|---|\n");
    let loads =
        [("decode, 128 tokens before", Load::Decode(128)), ("decode, 2048 before", Load::Decode(CONTEXT))];
    for (name, load) in loads.into_iter().chain([("prefill of 512", Load::Prefill(512))]) {
        let f = of(card, None, load)?;
        let (watts, joules, per) = (f.watts, f.joules_per_token, f.tokens_per_joule);
        let _ = writeln!(out, "| {name} | {:.0} | {watts:.0} | {joules:.3} | {per:.1} |", f.tokens_per_s);
    }
    Ok(out)
}

/// Decode of several sequences at once.
fn sequences(card: &Card) -> Result<String> {
    let mut out = String::from(
        "| sequences | tokens/s | ms between tokens of one | W | J a token | tokens/J |\n|---|---|---|---|---|---|\n",
    );
    for n in 1..=4 {
        let f = of(card, (n > 1).then_some(n), Load::Decode(CONTEXT))?;
        let (watts, joules, per) = (f.watts, f.joules_per_token, f.tokens_per_joule);
        let ms = n as f64 * 1e3 / f.tokens_per_s;
        let _ =
            writeln!(out, "| {n} | {:.0} | {ms:.1} | {watts:.0} | {joules:.3} | {per:.1} |", f.tokens_per_s);
    }
    Ok(out)
}
