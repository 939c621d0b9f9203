//! Static checker: proves of a program and its memory map, for all admissible arguments, that every access stays in
//! its area, loops nest, semaphores balance and cannot deadlock or overflow, conflicting accesses of different units
//! are ordered, and accumulators hold. A program must pass before it is loaded.
//!
//! Method: the sequencer is interpreted for every number of tokens, and for a token of each sequence. What depends on the position (ring pointer,
//! slots in use) is an interval; the rest is exact. Order between units is found with vector clocks over the
//! semaphores; since each semaphore has one signalling and one waiting unit, both in order, its k-th wait stands
//! for everything before its k-th signal.

mod access;
mod bounds;
mod form;
mod machine;
mod order;
mod ranges;

pub use machine::Interval;

use crate::error::{Error, Result};
use crate::program::Program;
use accllm_hw::config::Config;
use accllm_hw::isa::Unit;
use machine::{Machine, Run, Visit};

/// What the checker found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Instructions interpreted.
    pub interpreted: u64,
    /// Largest count that a semaphore can reach.
    pub semaphore_max: u32,
}

/// Violation at an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Violation {
    pc: usize,
    what: String,
}

type Check<T> = std::result::Result<T, Violation>;

fn violation<T>(pc: usize, what: impl Into<String>) -> Check<T> {
    Err(Violation { pc, what: what.into() })
}

impl Program {
    /// Proves the program.
    ///
    /// # Errors
    /// The first violation, with the instruction.
    pub fn check(&self) -> Result<Report> {
        self.prove(&self.config).map_err(|v| Error::Check {
            pc: v.pc,
            text: self.disassemble_line(v.pc),
            what: v.what,
        })
    }

    fn prove(&self, config: &Config) -> Check<Report> {
        form::check(self, config)?;
        bounds::check(self, config)?;
        let (block, sequences) = (self.layout.shape.block, self.layout.shape.sequences);
        let mut report = Report::default();
        // Addresses grow with the sequence, so its ends stand for all.
        let ends: &[usize] = if sequences > 1 { &[0, sequences - 1] } else { &[0] };
        let steps =
            (1..=block).flat_map(|tokens| ends.iter().map(move |&sequence| Run::Step { sequence, tokens }));
        for run in steps.chain((sequences > 1).then_some(Run::Batch)) {
            for head in [true, false] {
                // Addresses: all iterations, all positions.
                let mut machine = Machine::new(self, run, head, usize::MAX);
                let mut ranges = ranges::Ranges::new(self, config, run);
                machine.run(&mut |v: &Visit<'_>| {
                    report.interpreted += 1;
                    ranges.visit(v)
                })?;
                // Order: layer loops repeat after their third iteration but for addresses that only grow.
                let ordered = match run {
                    Run::Step { sequence, tokens } => sequence == 0 && (tokens <= 3 || tokens == block),
                    Run::Batch => true,
                };
                if ordered {
                    let mut machine = Machine::new(self, run, head, 3);
                    let mut order = order::Order::new(self, config);
                    machine.run(&mut |v: &Visit<'_>| {
                        if v.op.info().unit == Unit::Control { Ok(()) } else { order.visit(v) }
                    })?;
                    report.semaphore_max = report.semaphore_max.max(order.finish()?);
                }
            }
        }
        Ok(report)
    }
}
