//! A phase on the timing model.

use super::{Agreement, Bench, Phase, Profile, Report, multiplications};
use crate::{Error, Result};
use accllm_compiler::Step;
use accllm_device::perf::Work;
use accllm_device::timeline::operations;
use accllm_sim::timeline::Summary;
use accllm_sim::timing::{Memories, Timing};
use std::time::Instant;

impl Bench<'_> {
    /// The phase's cycles as the timing model sees them.
    pub(super) fn modelled(&self, phase: &Phase) -> Result<Report> {
        let failed = |e: &dyn std::fmt::Display| Error::Argument(format!("the timing model: {e}"));
        let memories = Memories::of(self.options.memory, &self.config).map_err(|e| failed(&e))?;
        let timing = Timing::new(&self.config, &memories);
        let (mut work, mut useful, mut summary) = (Work::default(), 0, Summary::default());
        let mut position = phase.context;
        let begin = Instant::now();
        for (i, &n) in phase.runs.iter().enumerate() {
            let head = phase.name != "prefill" || i + 1 == phase.runs.len();
            let step = Step { position, tokens: n, head };
            let layout = &self.program.layout;
            let args = match phase.sequences {
                1 => layout.args(step)?,
                n => layout.batch_args(&vec![position; n])?,
            };
            let report = timing.run(&self.program.code, args).map_err(|e| failed(&e))?;
            work.add(n * phase.sequences, Some(report.counters));
            useful += phase.sequences as u64 * multiplications(&self.program, step);
            summary += &report.summary;
            position += n as u64;
        }
        let seconds = begin.elapsed().as_secs_f64();
        let profile = Profile::new(&self.program, &self.config, self.progress);
        let report = self.report(phase, &work, useful, &profile, Agreement::default(), seconds)?;
        Ok(Report { operations: operations(&summary, &self.program.labels), ..report })
    }
}
