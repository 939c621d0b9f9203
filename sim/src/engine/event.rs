//! Who watches a run.

use super::activity::Activity;
use crate::lockstep::{Event, Lockstep};
use accllm_hw::isa::Unit;
use std::ops::ControlFlow;

/// Watches a run: gets every write of the hardware as the comparator's event, and the end of every operation.
/// Memory writes of an operation come when the memory takes the beat, before the operation's end.
pub trait Observer {
    /// Whether events are to be delivered; asked once at the start of a run.
    fn wants(&self) -> bool {
        true
    }

    /// Beats that all channels have delivered since the engine was built; told every cycle, before its events.
    fn beats(&mut self, _delivered: u64) {}

    /// Something was written; `Break` ends the simulation of the run there.
    fn event(&mut self, cycle: u64, event: &Event<'_>) -> ControlFlow<()>;

    /// All effects of an operation are visible.
    fn end(&mut self, cycle: u64, unit: Unit, unit_seq: u64) -> ControlFlow<()>;

    /// Whether [`Observer::activity`] is to be called; asked once at the start of a run.
    fn wants_activity(&self) -> bool {
        false
    }

    /// A cycle passes; from the start to the end of the run, whether it counts in CYCLES or not.
    fn activity(&mut self, _: &Activity) {}
}

/// Two observers of the same run.
impl<A: Observer, B: Observer> Observer for (&mut A, &mut B) {
    fn wants(&self) -> bool {
        self.0.wants() || self.1.wants()
    }

    fn beats(&mut self, delivered: u64) {
        self.0.beats(delivered);
        self.1.beats(delivered);
    }

    fn event(&mut self, cycle: u64, event: &Event<'_>) -> ControlFlow<()> {
        self.0.event(cycle, event)?;
        self.1.event(cycle, event)
    }

    fn end(&mut self, cycle: u64, unit: Unit, unit_seq: u64) -> ControlFlow<()> {
        self.0.end(cycle, unit, unit_seq)?;
        self.1.end(cycle, unit, unit_seq)
    }

    fn wants_activity(&self) -> bool {
        self.0.wants_activity() || self.1.wants_activity()
    }

    fn activity(&mut self, activity: &Activity) {
        if self.0.wants_activity() {
            self.0.activity(activity);
        }
        if self.1.wants_activity() {
            self.1.activity(activity);
        }
    }
}

/// Looks at nothing: the fast path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn wants(&self) -> bool {
        false
    }

    fn event(&mut self, _: u64, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn end(&mut self, _: u64, _: Unit, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Compares; does not stop at a difference.
impl Observer for Lockstep {
    fn event(&mut self, _: u64, event: &Event<'_>) -> ControlFlow<()> {
        Lockstep::event(self, event);
        ControlFlow::Continue(())
    }

    fn end(&mut self, _: u64, unit: Unit, unit_seq: u64) -> ControlFlow<()> {
        Lockstep::end(self, unit, unit_seq);
        ControlFlow::Continue(())
    }
}
