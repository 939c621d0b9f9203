//! The tables of docs/timing.md.

use super::{OpError, Phase, StepError};
use accllm_hw::config::Config;
use std::fmt::Write as _;

/// Between these the page has the tables.
const MARKS: [&str; 2] = ["<!-- timing-check -->\n", "<!-- /timing-check -->"];

/// A model on a configuration, for the page.
#[derive(Debug, Clone)]
pub struct Case {
    /// Shape, as on the command line.
    pub shape: String,
    /// Configuration, as on the command line.
    pub config: String,
    /// Layers, where not all.
    pub layers: Option<usize>,
    /// What runs.
    pub phases: Vec<Phase>,
}

/// What a case gave.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The case.
    pub case: Case,
    /// Its steps.
    pub steps: Vec<StepError>,
}

/// The page with other tables between its marks; `None` where it has no marks.
pub fn page(old: &str, operations: &[(Config, Vec<OpError>)], outcomes: &[Outcome]) -> Option<String> {
    let (before, rest) = old.split_once(MARKS[0])?;
    let (_, after) = rest.split_once(MARKS[1])?;
    let tables = format!("{}\n{}", by_operation(operations), by_step(outcomes));
    Some(format!("{before}{}{tables}{}{after}", MARKS[0], MARKS[1]))
}

fn percent(share: f64) -> String {
    format!("{:+.2}%", 100.0 * share)
}

/// A row for each operation: error of all probes, largest difference in cycles.
fn by_operation(operations: &[(Config, Vec<OpError>)]) -> String {
    let probes = operations.first().and_then(|(_, o)| o.first()).map_or(0, |o| o.probes);
    let mut out = format!(
        "\nSingle operations, {probes} random programs each: error of all their cycles, and the largest difference.\n\n|"
    );
    out += " operation |";
    operations.iter().for_each(|(c, _)| write!(out, " {} |", c.name).unwrap_or_default());
    out += "\n|---|";
    out += &"---:|".repeat(operations.len());
    let rows = operations.first().map_or(0, |(_, o)| o.len());
    for row in 0..rows {
        let named = operations.iter().filter_map(|(_, o)| o.get(row));
        let name = named.clone().next().map_or("", |o| o.op);
        write!(out, "\n| {name} |").unwrap_or_default();
        for o in named {
            write!(out, " {}, {:+} |", percent(o.cycles.error), o.worst).unwrap_or_default();
        }
    }
    out + "\n"
}

/// A row for each step.
fn by_step(outcomes: &[Outcome]) -> String {
    let mut out = "\nWhole steps:\n\n| model | configuration | step | RTL, cycles | model, cycles | error |\n|---|---|---|---:|---:|---:|\n"
        .to_string();
    for o in outcomes {
        let layers = o.case.layers.map_or(String::new(), |n| format!(", {n} layers"));
        for s in &o.steps {
            let what = match s.phase {
                Phase::Decode { context } => format!("decode after {context}"),
                Phase::Batch { sequences, context } => format!("{sequences} sequences after {context}"),
                Phase::Prefill { prompt } => format!("prefill of {prompt}"),
            };
            let (c, case) = (s.cycles, &o.case);
            let row = format!(
                "| {}{layers} | {} | {what} | {} | {} | {} |\n",
                case.shape,
                case.config,
                c.rtl,
                c.model,
                percent(c.error)
            );
            out += &row;
        }
    }
    let all = outcomes.iter().flat_map(|o| &o.steps);
    let worst = all.clone().map(|s| s.cycles.error).max_by(|a, b| a.abs().total_cmp(&b.abs()));
    let (rtl, model) = all.fold((0.0, 0.0), |sum, s| (sum.0 + s.rtl_s, sum.1 + s.model_s));
    if let Some(worst) = worst {
        let faster = rtl / f64::max(model, 1e-9);
        let text = format!(
            "\nLargest error: {}. The model was {faster:.0} times as fast as the RTL (*measured*).\n",
            percent(worst)
        );
        out += &text;
    }
    out
}
