//! `accllm bench-page`.

use super::bench_report::print;
use crate::args::BenchPage;
use crate::out::{Bars, Out};
use accllm_device::{Error, Result, output};
use accllm_lab::bench::{self, Bench, Report, cases};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Written<'a> {
    page: &'a Path,
    cases: Vec<Report>,
}

/// Runs the cases of the page and writes it.
pub fn run(args: &BenchPage, out: &Out) -> Result<()> {
    let file = args.page.as_path();
    output::check_file(file)?;
    let mut done = Vec::new();
    for case in cases::all() {
        let bars = Bars::default();
        let report = Bench::new(&case.options, &bars)?.run()?;
        print(&report, out)?;
        out.line("")?;
        if let Some(difference) = report.difference() {
            return Err(Error::Mismatch(difference.into()));
        }
        done.push((case, report));
    }
    output::write_whole(file, bench::page(&done).as_bytes())?;
    out.report(&Written { page: file, cases: done.into_iter().map(|(_, r)| r).collect() })
}
