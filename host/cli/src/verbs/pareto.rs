//! `accllm pareto`.

use crate::args::Pareto;
use crate::out::{Out, grouped};
use accllm_device::Result;
use accllm_device::output::write_whole;
use accllm_lab::explore::Objective;
use accllm_lab::explore::pareto::{of_files, table_of};
use std::collections::BTreeMap;

/// Prints the front of any records.
pub fn run(args: &Pareto, out: &Out) -> Result<()> {
    let objective = |largest| move |metric: &String| Objective { metric: metric.clone(), largest };
    let objectives: Vec<_> =
        args.max.iter().map(objective(true)).chain(args.min.iter().map(objective(false))).collect();
    let front = of_files(&args.files, &objectives)?;
    let table = table_of(&front, &objectives);
    if let Some(path) = &args.out {
        write_whole(path, table.as_bytes())?;
    } else {
        out.text(&table)?;
    }
    let (n, counted) = (front.lines.len() as u64, front.counted);
    if args.out.is_some() {
        out.line(&format!("{} of {} points are on the front", grouped(n), grouped(counted)))?;
    }
    #[derive(serde::Serialize)]
    struct Report<'a> {
        points: u64,
        without: u64,
        front: &'a [BTreeMap<String, String>],
    }
    out.report(&Report { points: counted, without: front.without, front: &front.lines })
}
