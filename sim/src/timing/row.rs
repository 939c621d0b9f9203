//! When rows of beats are known to be complete (`mat/beat_rows`): three candidates take turns, one is asked for each cycle,
//! so that a row waits up to two cycles for its turn, and the one after it may come first.

use super::latency as lat;
use std::collections::VecDeque;
use std::ops::Range;

/// Cycles that a row waits for its turn, at most.
pub(super) const LATE: u64 = lat::CANDIDATES - 1;

/// Rows on their way to the matrix unit.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    /// Rows whose beats have all come, the cycle of the last one: those that have not been asked for.
    come: VecDeque<u64>,
    /// Number of the next one, and when each candidate is asked for again at the earliest.
    number: u64,
    again: [u64; lat::CANDIDATES as usize],
    /// Cycles in which a row is found complete that may not be the next ones, in order.
    found: VecDeque<u64>,
    /// Those that are, as the cycle from which the matrix unit may take a row.
    there: VecDeque<u64>,
}

impl Rows {
    /// Beats of a channel come in these cycles, from row `first` on of those that have not been completed.
    pub fn come(&mut self, first: u64, cycles: Range<u64>) {
        for (row, cycle) in (first as usize..).zip(cycles) {
            match self.come.get_mut(row) {
                Some(latest) => *latest = cycle.max(*latest),
                None => self.come.push_back(cycle),
            }
        }
    }

    /// All channels' beats are noted, and those that are not known come in cycle `unknown` or later.
    pub fn complete(&mut self, unknown: u64) {
        while let Some(cycle) = self.come.pop_front() {
            let candidate = self.number % lat::CANDIDATES;
            self.number += 1;
            let again = &mut self.again[candidate as usize];
            let from = (cycle + lat::ASK).max(*again);
            // Candidate 0 is asked for in the cycles that are multiples of three, then 2, then 1.
            let turn = (lat::CANDIDATES - candidate) % lat::CANDIDATES;
            let asked = from + (turn + lat::CANDIDATES - from % lat::CANDIDATES) % lat::CANDIDATES;
            *again = asked + lat::CANDIDATES;
            let at = self.found.partition_point(|f| *f < asked);
            self.found.insert(at, asked);
        }
        let settled = self.found.partition_point(|f| *f < unknown.saturating_add(lat::ASK));
        self.there.extend(self.found.drain(..settled).map(|asked| asked + lat::ROW));
    }

    /// How many the matrix unit may take.
    pub fn there(&self) -> u64 {
        self.there.len() as u64
    }

    /// Takes `n` of them.
    pub fn take(&mut self, n: u64) -> impl Iterator<Item = u64> {
        self.there.drain(..n as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Rng;

    /// `mat/beat_rows`, cycle by cycle: the cycles in which the matrix unit may take a row, where the last beats of rows come
    /// to the port in these cycles.
    fn stages(come: &[u64]) -> Vec<u64> {
        let came = |cycle: u64| come.iter().filter(|&&c| c + lat::ASK <= cycle).count() as u64;
        let (mut ask, mut meet, mut last) = (0, 1, 2);
        let mut out = Vec::new();
        // Two cycles after asking it is known whether the row was there, and one later the matrix unit may take it.
        let (mut asked, mut met) = (false, false);
        for cycle in 0.. {
            if out.len() == come.len() {
                return out;
            }
            let row = met;
            met = asked;
            asked = came(cycle) > ask;
            if row {
                out.push(cycle + 1);
            }
            (ask, meet, last) = (last + if row { 3 } else { 0 }, ask, meet);
        }
        out
    }

    #[test]
    fn rows_take_the_cycles_of_the_rtl() {
        for seed in 0..200 {
            let mut random = Rng::new(seed);
            let mut at = 0;
            let come: Vec<u64> = (0..60)
                .map(|_| {
                    at += [1, 1, 1, 2, random.range(1, 6)][random.range(0, 4) as usize];
                    at
                })
                .collect();
            let mut rows = Rows::default();
            let mut out: Vec<u64> = Vec::new();
            // In parts, as the memories go on.
            for part in come.chunks(1 + seed as usize % 7) {
                for &cycle in part {
                    rows.come(rows.come.len() as u64, cycle..cycle + 1);
                }
                let next = come.iter().copied().find(|c| c > &part[part.len() - 1]);
                rows.complete(next.unwrap_or(u64::MAX));
                out.extend(rows.take(rows.there()));
            }
            assert_eq!(out, stages(&come), "{come:?}");
        }
    }
}
