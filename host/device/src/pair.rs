//! Golden executor and RTL side by side: each on a thread of its own, compared as they go.

use super::place::Places;
use super::{GoldenDevice, Outcome, Verilator};
use crate::{Error, Result};
use accllm_compiler::Program;
use accllm_hw::isa::{ARGS, Unit};
use accllm_sim::engine::Observer;
use accllm_sim::golden::Executed;
use accllm_sim::lockstep::{Event, Lockstep, Report};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

/// Records that the golden executor may be ahead of the RTL: bounds memory.
const AHEAD: usize = 32;

/// Looks on while the RTL runs.
pub trait Watch {
    /// The golden executor's record of an operation that the RTL has reached.
    fn record(&mut self, _record: &Executed) {}

    /// Beats that all channels have delivered; told before each end of an operation.
    fn beats(&mut self, _delivered: u64) {}

    /// An operation of the RTL has ended.
    fn end(&mut self, _cycle: u64, _unit: Unit, _unit_seq: u64) {}
}

/// Nobody.
impl Watch for () {}

/// What a run of both has shown.
#[derive(Debug)]
pub struct Ran {
    /// The RTL's outcome; `None` where it did not come to one after a difference.
    pub outcome: Option<Outcome>,
    /// What was compared.
    pub report: Report,
    /// The first difference, in words.
    pub difference: Option<String>,
}

/// Takes the golden executor's records as the RTL needs them.
struct Coupled<'a, W> {
    compare: Lockstep,
    places: Places<'a>,
    records: Receiver<Executed>,
    /// Records taken, of the matrix and of the vector unit.
    taken: [u64; 2],
    /// The golden executor has faulted: nothing more will come.
    failed: &'a AtomicBool,
    beats: u64,
    watch: &'a mut W,
}

impl<W: Watch> Coupled<'_, W> {
    /// Waits until an operation's record is there, or no more come.
    fn reach(&mut self, unit: Unit, unit_seq: u64) -> ControlFlow<()> {
        // An operation without a number is a difference, not a reason to wait.
        while unit_seq != u64::MAX && self.taken[usize::from(unit == Unit::Vector)] <= unit_seq {
            match self.records.recv() {
                Ok(record) => self.take(record),
                Err(_) if self.failed.load(Ordering::Acquire) => return ControlFlow::Break(()),
                Err(_) => break,
            }
        }
        ControlFlow::Continue(())
    }

    fn take(&mut self, record: Executed) {
        self.taken[usize::from(record.unit == Unit::Vector)] = record.unit_seq + 1;
        self.places.learn(&record);
        self.watch.record(&record);
        self.compare.expect(record);
    }
}

impl<W: Watch> Observer for Coupled<'_, W> {
    fn beats(&mut self, delivered: u64) {
        self.beats = delivered;
    }

    fn event(&mut self, _: u64, event: &Event<'_>) -> ControlFlow<()> {
        self.reach(event.unit, event.unit_seq)?;
        self.compare.event(event);
        ControlFlow::Continue(())
    }

    fn end(&mut self, cycle: u64, unit: Unit, unit_seq: u64) -> ControlFlow<()> {
        self.reach(unit, unit_seq)?;
        self.compare.end(unit, unit_seq);
        self.watch.beats(self.beats);
        self.watch.end(cycle, unit, unit_seq);
        ControlFlow::Continue(())
    }
}

/// Runs a program once on both. `check` sees the golden executor's records, on its thread.
///
/// # Errors
/// The golden executor faults; or the RTL does, or hangs, without having differed before.
pub fn run(
    program: &Program,
    golden: &mut GoldenDevice,
    rtl: &mut Verilator,
    args: [u32; ARGS],
    mut check: impl FnMut(&Executed) + Send,
    watch: &mut impl Watch,
) -> Result<Ran> {
    let (sender, records) = sync_channel(AHEAD);
    let failed = AtomicBool::new(false);
    let mut observer = Coupled {
        compare: Lockstep::new(),
        places: Places::new(program, &args),
        records,
        taken: [0; 2],
        failed: &failed,
        beats: 0,
        watch,
    };
    let (outcome, golden, observer) = std::thread::scope(|scope| {
        let golden = scope.spawn(|| {
            let sender = sender;
            let outcome = golden.run_observed(args, &mut |record: Executed| {
                check(&record);
                // The receiver is gone when the RTL has ended early: then nobody compares.
                let _ = sender.send(record);
            });
            failed.store(outcome.is_err(), Ordering::Release);
            outcome
        });
        let outcome = rtl.run_observed(args, &mut observer);
        if outcome.is_ok() {
            // What the RTL never began.
            while let Ok(record) = observer.records.recv() {
                observer.take(record);
            }
        }
        let Coupled { compare, places, records, .. } = observer;
        drop(records);
        let golden = golden.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (outcome, golden, (compare, places))
    });
    let (compare, places) = observer;
    Ran::of(outcome, &golden?, compare, &places)
}

impl Ran {
    /// What the ends of both and the comparison show.
    fn of(
        rtl: Result<Outcome>,
        golden: &Outcome,
        mut compare: Lockstep,
        places: &Places<'_>,
    ) -> Result<Self> {
        // A difference says more than the fault or the hang that may follow from it.
        let report = if rtl.is_ok() { compare.finish() } else { compare.report() };
        let message = |d: &accllm_sim::lockstep::Difference| {
            format!("RTL and golden executor differ: {}", d.message(places))
        };
        let mut difference = report.difference.as_ref().map(message);
        let outcome = match (rtl, &difference) {
            (Err(e), None) => return Err(e),
            (outcome, _) => outcome.ok(),
        };
        if let (Some(rtl), None) = (&outcome, &difference)
            && (rtl.token, rtl.logit) != (golden.token, golden.logit)
        {
            difference = Some(format!(
                "result registers: RTL token {} with logit {}, golden {} with {}",
                rtl.token, rtl.logit, golden.token, golden.logit
            ));
        }
        Ok(Ran { outcome, report, difference })
    }

    /// The outcome of a run without a difference.
    ///
    /// # Errors
    /// The difference.
    pub fn agreed(self) -> Result<(Outcome, Report)> {
        match (self.difference, self.outcome) {
            (None, Some(outcome)) => Ok((outcome, self.report)),
            (difference, _) => {
                Err(Error::Mismatch(difference.unwrap_or_else(|| "the RTL did not end".into())))
            }
        }
    }
}
