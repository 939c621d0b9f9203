//! Points on the RTL: one rung up, every tensor compared bit for bit with the golden executor.

use super::evaluate::Status;
use super::folder::Folder;
use super::metric::{Metric, Metrics, Rung};
use super::point::{Candidate, RTL};
use super::record::{Writer, read};
use super::spec::Spec;
use super::table::Table;
use super::work::{Phase, Work};
use crate::bench::{Bench, Options, Report};
use crate::{Error, Result};
use accllm_device::output::write_whole;
use accllm_device::progress::Progress;
use accllm_sim::memory::MemoryKind;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashSet;

/// Which points run on the RTL too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// Those of the front.
    Front,
    /// All that have metrics.
    All,
    /// None.
    None,
}

/// A point that ran on the RTL without a difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmed {
    /// The point's key.
    pub key: String,
    /// Hash of the RTL.
    pub rtl: String,
    /// What was simulated, by the names of the point's metrics.
    pub metrics: Metrics,
    /// Outputs of instructions that were compared.
    pub tensors: u64,
}

/// Runs the points that are asked for and have not run yet.
///
/// # Errors
/// The RTL cannot be built, or differs from the golden executor.
pub fn run(
    folder: &Folder,
    spec: &Spec,
    table: &Table,
    which: Confirm,
    progress: &dyn Progress,
) -> Result<()> {
    let rows: Vec<usize> = match which {
        Confirm::None => return Ok(()),
        Confirm::Front => table.front(spec),
        Confirm::All => (0..table.rows.len()).filter(|&i| table.rows[i].status == Status::Ok).collect(),
    };
    let done: HashSet<String> = confirmed(folder)?.into_iter().map(|c| c.key).collect();
    let mut writer = Writer::open(&folder.confirmed(), &|_| ())?;
    let left: Vec<_> = rows.into_iter().map(|i| &table.rows[i]).filter(|r| !done.contains(&r.key)).collect();
    for (i, row) in left.iter().enumerate() {
        progress.note(&format!("point {} of {} on the RTL", i + 1, left.len()));
        let candidate = spec.candidate(&spec.choice(row.index));
        let mut one =
            Confirmed { key: row.key.clone(), rtl: RTL.into(), metrics: Metrics::new(), tensors: 0 };
        for work in &candidate.works {
            let report = simulate(folder, &candidate, work, progress)?;
            if let Some(difference) = report.difference() {
                let config = candidate.config.to_toml();
                return Err(Error::Mismatch(format!(
                    "point {} ({}): the RTL differs from the golden executor: {difference}\nits configuration:\n{config}",
                    row.index, work.name
                )));
            }
            one.tensors += report.agreement.tensors_compared;
            for (name, value, unit) in simulated(work, &report) {
                let (unit, label) = (Cow::Borrowed(unit), Cow::Borrowed(Rung::Rtl.label()));
                let metric = Metric { value, unit, rung: Rung::Rtl, label };
                one.metrics.insert(format!("{}.{name}", work.name), metric);
            }
        }
        writer.append(&one)?;
    }
    Ok(())
}

/// The points of this RTL that have run.
///
/// # Errors
/// The file cannot be read or holds something else.
pub fn confirmed(folder: &Folder) -> Result<Vec<Confirmed>> {
    let mut all = Vec::new();
    if folder.confirmed().is_file() {
        read(&folder.confirmed(), |one: Confirmed| {
            all.extend((one.rtl == RTL).then_some(one));
            Ok(())
        })?;
    }
    Ok(all)
}

fn simulate(folder: &Folder, candidate: &Candidate, work: &Work, progress: &dyn Progress) -> Result<Report> {
    let config = &candidate.config;
    let configs = folder.path.join("configs");
    std::fs::create_dir_all(&configs).map_err(|e| Error::io("create", &configs, e))?;
    let path = configs.join(format!("{}.toml", config.name));
    write_whole(&path, config.to_toml().as_bytes())?;
    let (context, prompt) = match work.phase {
        Phase::Decode { context } => (Some(context), None),
        Phase::Prefill { prompt } => (None, Some(prompt as usize)),
    };
    let options = Options {
        context,
        batch: (work.batch > 1).then_some(work.batch),
        prompt,
        memory: candidate.card.as_ref().map_or(MemoryKind::HBM2, |c| MemoryKind::of(c, config)),
        formats: Some(work.model()?.formats),
        sinks: Some(work.sinks),
        window: Some(work.window),
        prob_wide: Some(work.prob_bits == 16),
        ..Options::new(&work.shape, path.display().to_string())
    };
    Bench::new(&options, progress)?.run()
}

/// Metrics of a run, by the names of those of a point.
fn simulated(work: &Work, report: &Report) -> Vec<(&'static str, f64, &'static str)> {
    let cycles = report.cycles as f64;
    let seconds = cycles / (report.mhz as f64 * 1e6);
    vec![
        ("cycles", cycles, "cycles"),
        ("ms", seconds * 1e3, "ms"),
        ("tokens_per_s", work.tokens() as f64 / seconds, "tokens/s"),
        ("mac_utilisation", report.mac_utilisation, "share"),
    ]
}
