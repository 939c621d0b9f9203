//! Runs a sweep: evaluates the points of a shard that have no record yet, and writes the results when all are there.

use super::confirm::Confirm;
use super::evaluate::{Status, evaluate};
use super::folder::{Folder, Shard};
use super::front::Scores;
use super::point::Choice;
use super::record::{Record, Writer};
use super::search::Search;
use super::spec::{Spec, Strategy};
use super::table::{Table, score, scores};
use super::{confirm, results};
use crate::{Error, Result};
use accllm_device::progress::Progress;
use serde::Serialize;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// How a sweep runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Points at once.
    pub jobs: usize,
    /// Part of the points.
    pub shard: Shard,
    /// Which points run on the RTL.
    pub confirm: Confirm,
}

/// Where a sweep stands.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Its name.
    pub sweep: String,
    /// Its folder.
    pub folder: String,
    /// Points that it will have.
    pub points: u64,
    /// Points that have a record.
    pub done: u64,
    /// Of these, evaluated by this call.
    pub evaluated: u64,
    /// Of those done, with metrics.
    pub ok: u64,
    /// Against a rule.
    pub infeasible: u64,
    /// Went wrong.
    pub failed: u64,
    /// Points of the front.
    pub front: u64,
    /// Of the points, run on the RTL and compared.
    pub confirmed: u64,
    /// Records that do not count: of other points, or of sources that have changed.
    pub stale: u64,
    /// The page, once all points are there.
    pub report: Option<String>,
}

/// Runs a shard of a sweep.
///
/// # Errors
/// A record cannot be read or written; a confirmed point differs.
pub fn run(folder: &Folder, spec: &Spec, options: Options, progress: &dyn Progress) -> Result<Report> {
    let shard = options.shard;
    if spec.search.strategy == Strategy::Nsga2 && shard != Shard::ALL {
        let what =
            "nsga2 learns from all points, so it has no shards; take strategy = \"random\", or no --shard";
        return Err(Error::Argument(what.into()));
    }
    let mut seen = scores(folder, spec)?;
    let mut search = Search::new(spec, first(spec)?);
    let total = search.total(spec);
    let mine = total / shard.of + u64::from(total % shard.of >= shard.own);
    let note =
        |path: &Path| progress.note(&format!("waiting for the process that writes {}", path.display()));
    let writer = Mutex::new(Writer::open(&folder.shard(shard), &note)?);
    // The process that was waited for may have left nothing to do.
    seen.extend(scores(folder, spec)?);
    progress.begin("points", mine);
    let mut evaluated = 0;
    let outcome = loop {
        let batch = search.next(spec, &seen);
        if batch.is_empty() {
            break Ok(());
        }
        let own = batch.into_iter().filter(|&i| shard.has(i));
        let (old, new): (Vec<u64>, Vec<u64>) = own.partition(|i| seen.contains_key(i));
        progress.advance(old.len() as u64);
        match points(spec, &new, options.jobs, &writer, progress) {
            Ok(found) => {
                evaluated += found.len() as u64;
                seen.extend(found);
            }
            Err(e) => break Err(e),
        }
    };
    progress.end();
    drop(writer);
    outcome?;
    finish(folder, spec, options, evaluated, progress)
}

/// Evaluates points on several threads; each record is written as it is made.
fn points(
    spec: &Spec,
    indices: &[u64],
    jobs: usize,
    writer: &Mutex<Writer>,
    progress: &dyn Progress,
) -> Result<Scores> {
    let next = Mutex::new(indices.iter());
    let (found, failed) = (Mutex::new(Scores::new()), Mutex::new(None));
    // Whatever panicked while one of these was held left it whole.
    fn locked<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        m.lock().unwrap_or_else(PoisonError::into_inner)
    }
    let work = || loop {
        let Some(&index) = locked(&next).next() else { return };
        if locked(&failed).is_some() {
            return;
        }
        let candidate = spec.candidate(&spec.choice(index));
        let key = candidate.key();
        let record = Record::new(&candidate, key, evaluate(&candidate));
        let value = |name: &str| record.metrics.get(name).map(|m| m.value);
        let score = score(spec, record.status, value);
        if let Err(e) = locked(writer).append(&record) {
            *locked(&failed) = Some(e);
            return;
        }
        locked(&found).insert(index, score);
        progress.advance(1);
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, 1024) {
            scope.spawn(work);
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(e) => Err(e),
        None => Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// The best points of other sweeps, where they are points of this one.
fn first(spec: &Spec) -> Result<Vec<Choice>> {
    let mut all = Vec::new();
    for other in &spec.search.from {
        let path = spec.path.parent().unwrap_or(Path::new("")).join(other);
        let (folder, theirs) = Folder::open(&path)?;
        let table = Table::read(&folder, &theirs)?;
        for row in table.front(&theirs) {
            let values = theirs.candidate(&theirs.choice(table.rows[row].index)).parameters;
            let place = |a: &super::axis::Axis| {
                let value = values.get(&a.name)?;
                Some(a.values.iter().position(|v| v == value)? as u32)
            };
            all.extend(spec.axes.iter().map(place).collect::<Option<Vec<_>>>().map(Choice));
        }
    }
    all.reverse();
    Ok(all)
}

/// Once all points are there, the results: by one process at a time.
fn finish(
    folder: &Folder,
    spec: &Spec,
    options: Options,
    evaluated: u64,
    progress: &dyn Progress,
) -> Result<Report> {
    let lock = folder.lock()?;
    let (report, complete) = standing(folder, spec)?;
    let mut report = Report { evaluated, ..report };
    if complete {
        let table = Table::read(folder, spec)?;
        confirm::run(folder, spec, &table, options.confirm, progress)?;
        results::write(folder, spec, &table)?;
        report.confirmed = confirm::confirmed(folder)?.len() as u64;
        report.report = Some(folder.path.join("report.html").display().to_string());
    }
    drop(lock);
    Ok(report)
}

/// Where a sweep stands, and whether all of its points are there.
///
/// # Errors
/// A record cannot be read.
pub fn standing(folder: &Folder, spec: &Spec) -> Result<(Report, bool)> {
    let table = Table::read(folder, spec)?;
    let known: Scores =
        table.rows.iter().zip(table.scores(spec)).map(|(row, score)| (row.index, score)).collect();
    let mut search = Search::new(spec, first(spec)?);
    let points = search.total(spec);
    let (mut done, mut complete) = (0, true);
    loop {
        let batch = search.next(spec, &known);
        if batch.is_empty() {
            break;
        }
        let there = batch.iter().filter(|i| known.contains_key(i)).count();
        done += there as u64;
        complete &= there == batch.len();
        // What NSGA-II asks next depends on the points that are missing.
        if !complete && spec.search.strategy == Strategy::Nsga2 {
            break;
        }
    }
    let page = folder.path.join("report.html");
    let report = Report {
        sweep: spec.name.clone(),
        folder: folder.path.display().to_string(),
        points: if complete { done } else { points },
        done,
        evaluated: 0,
        ok: table.count(Status::Ok) as u64,
        infeasible: table.count(Status::Infeasible) as u64,
        failed: table.count(Status::Failed) as u64,
        front: table.front(spec).len() as u64,
        confirmed: confirm::confirmed(folder)?.len() as u64,
        stale: table.stale,
        report: page.is_file().then(|| page.display().to_string()),
    };
    Ok((report, complete))
}
