//! `accllm evaluate`.

use crate::args::Evaluate;
use crate::out::Out;
use accllm_device::{Error, Result};
use accllm_lab::explore::Spec;
use accllm_lab::explore::best::number;
use accllm_lab::explore::evaluate::{Status, evaluate};
use accllm_lab::explore::record::Record;

/// Evaluates one point; fails where it failed, but prints it all the same.
pub fn run(args: &Evaluate, out: &Out) -> Result<()> {
    let spec = Spec::open(&args.spec)?;
    let mut values: Vec<_> = spec.axes.iter().map(|a| a.values[0].clone()).collect();
    for set in &args.set {
        let wrong = |what: String| Error::Argument(format!("--set {set}: {what}"));
        let Some((name, value)) = set.split_once('=') else {
            return Err(wrong("give AXIS=VALUE".into()));
        };
        let Some(at) = spec.axes.iter().position(|a| a.name == name) else {
            let names: Vec<_> = spec.axes.iter().map(|a| a.name.as_str()).collect();
            return Err(wrong(format!(
                "no axis '{name}' in {}; there are {}",
                args.spec.display(),
                names.join(", ")
            )));
        };
        values[at] = spec.axes[at].value(value).map_err(wrong)?;
    }
    let candidate = spec.with(values);
    let record = Record::new(&candidate, candidate.key(), evaluate(&candidate));
    out.line(&format!(
        "{}{}{}",
        record.status.name(),
        if record.why.is_empty() { "" } else { ": " },
        record.why
    ))?;
    for (name, m) in &record.metrics {
        out.line(&format!("{name:<32} {:>14} {} ({}, {:?})", number(m.value), m.unit, m.label, m.rung))?;
    }
    out.report(&record)?;
    match record.status {
        Status::Failed => Err(Error::Fault(format!("the point failed: {}", record.why))),
        Status::Ok | Status::Infeasible => Ok(()),
    }
}
