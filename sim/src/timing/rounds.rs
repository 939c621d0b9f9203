//! Rounds of a long loop, as the layers of a model are: some are run, the others are taken to be like them.
//!
//! A round begins where the one before left its weights in a row of DRAM, and refreshes fall elsewhere in it, so that no two
//! rounds have the same cycles; but their mean over some rounds hardly moves. After two rounds, in which queues and
//! FIFOs fill, at least four are counted, and as many more as have dozens of refreshes. If the two halves of these took
//! equally long to half a percent, as many rounds as leave one for the end are passed over, with the counts of those
//! for each of theirs.

use super::report::Report;
use super::sequencer::Round;

/// Rounds before counting begins.
const FILLING: usize = 2;
/// Rounds that are counted, at least. An even number is taken, for its halves.
const COUNTED: usize = 4;
/// Rounds of a loop that is worth it: after those that are run, as many can be passed over.
pub(super) const LEAST: u32 = (FILLING + 2 * COUNTED + 1) as u32;
/// Cycles that are counted, at least: forty refreshes.
const CYCLES: u64 = 40_000;
/// The share by which the halves of the counted rounds may differ: 1 / 200.
const LIKE: u64 = 200;

/// The end of a round.
#[derive(Debug, Clone)]
struct Mark {
    at: u64,
    round: Round,
    /// What has been counted in the round.
    counts: Report,
}

/// Watches the rounds of the loop that is running.
#[derive(Debug, Clone, Default)]
pub(super) struct Rounds {
    marks: Vec<Mark>,
    /// Everything that was counted before the marks, and passed over.
    pub counted: Report,
    /// Cycles that were passed over.
    pub passed: u64,
}

/// Rounds to pass over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    /// Where the counted ones begin.
    pub from: Round,
    /// How often as many follow.
    pub times: u32,
}

impl Rounds {
    /// A round ends in cycle `at`, with what was counted in it; what to pass over.
    pub fn end(&mut self, at: u64, round: Round, counts: Report) -> Option<Pass> {
        if self.marks.last().is_some_and(|m| m.round.of != round.of || m.round.left != round.left + 1) {
            self.forget();
        }
        // What was counted until the first mark is not of one round.
        self.marks.push(Mark { at, round, counts });
        let n = self.marks.len().saturating_sub(1 + FILLING) & !1;
        let counted = &self.marks[self.marks.len() - 1 - n..];
        let took = |a: usize, b: usize| counted[b].at - counted[a].at;
        if n < COUNTED || took(0, n) < CYCLES {
            return None;
        }
        let (first, last) = (took(0, n / 2), took(n / 2, n));
        let times = (round.left - 1) / n as u32;
        if times == 0 || first.abs_diff(last) > first.max(last) / LIKE {
            return None;
        }
        let from = counted[0].round;
        self.passed += u64::from(times) * took(0, n);
        for mark in &counted[1..] {
            (0..times).for_each(|_| self.counted += &mark.counts);
        }
        self.forget();
        Some(Pass { from, times })
    }

    fn forget(&mut self) {
        self.marks.drain(..).for_each(|m| self.counted += &m.counts);
    }

    /// All that was counted, with what has been counted since the last mark, and the cycles that were passed over.
    pub fn all(mut self, rest: &Report) -> (Report, u64) {
        self.forget();
        self.counted += rest;
        (self.counted, self.passed)
    }
}
