//! A port of the memory: when the beats of a read come, and when a write is answered.
//!
//! DRAM is the scheduler of the detailed model itself (`memory::hbm2`), which here jumps over the cycles in which nothing
//! changes. What is asked of a port in a cycle counts from that cycle on, so it may be run ahead only as far as nothing new
//! can be asked: whoever uses it runs it up to the cycle in which it asks for something.
//!
//! Left out: beats that the reader does not take at once (it has room for all that it asks for), a full write buffer, and
//! errors.

use super::memory::Behind;
use crate::memory::hbm2::{LONGEST, READ, Scheduler};
use std::collections::VecDeque;
use std::ops::Range;

/// Open bursts of the ideal memory.
const IDEAL_BURSTS: usize = 64;
/// Fewer cycles than from an address to the banks.
const SHORT: u64 = 8;

/// Beats that come in consecutive cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Come {
    /// Cycle of the first one.
    pub first: u64,
    pub beats: u64,
}

/// Beats that come, as far as that is known.
#[derive(Debug, Clone, Default)]
struct Arrivals {
    /// Those that nobody has taken from here, and their number.
    come: VecDeque<Come>,
    beats: u64,
    /// The last ones in any case: beats up to the end of a run, and the run.
    log: VecDeque<(u64, Come)>,
    known: u64,
    last: u64,
}

impl Arrivals {
    fn push(&mut self, first: u64, beats: u64) {
        self.beats += beats;
        self.known += beats;
        self.last = first + beats - 1;
        match self.come.back_mut() {
            Some(run) if run.first + run.beats == first => run.beats += beats,
            _ => self.come.push_back(Come { first, beats }),
        }
        match self.log.back_mut() {
            Some((end, run)) if run.first + run.beats == first => {
                run.beats += beats;
                *end = self.known;
            }
            _ => self.log.push_back((self.known, Come { first, beats })),
        }
    }

    /// The cycle of beat `count` (from 1); `None` while that is not known. Those before it are forgotten.
    fn at(&mut self, count: u64) -> Option<u64> {
        while let Some(&(end, run)) = self.log.front() {
            if end >= count {
                return Some(run.first + run.beats - 1 - (end - count));
            }
            self.log.pop_front();
        }
        None
    }
}

/// A read whose address the port has not taken.
#[derive(Debug, Clone, Copy)]
struct Offer {
    since: u64,
    addr: u64,
    beats: u64,
}

/// A port and what is behind it.
#[derive(Debug, Clone)]
pub(super) struct Port {
    behind: Behind,
    /// Cycles of the memory before the first one of the run.
    age: u64,
    /// Cycles before this one are over.
    now: u64,
    offer: Option<Offer>,
    /// Cycle in which the last address was taken.
    pub accepted: u64,
    /// Beats up to the end of each open burst; beats of all bursts.
    open: VecDeque<u64>,
    taken: u64,
    arrivals: Arrivals,
    /// Cycles of answers, which nobody has taken from here.
    pub answers: VecDeque<u64>,
    answered: u64,
}

impl Port {
    /// In front of what earlier runs left, `age` cycles after the memory's first one.
    pub fn new(behind: &Behind, age: u64) -> Self {
        let mut behind = behind.clone();
        if let Behind::Dram(d) = &mut behind {
            d.idle_until(age);
        }
        Self {
            behind,
            age,
            now: 0,
            offer: None,
            accepted: 0,
            open: VecDeque::new(),
            taken: 0,
            arrivals: Arrivals::default(),
            answers: VecDeque::new(),
            answered: 0,
        }
    }

    /// What is left at the end of the run.
    pub fn behind(self) -> Behind {
        self.behind
    }

    fn dram(&self) -> Option<&Scheduler> {
        match &self.behind {
            Behind::Ideal(_) => None,
            Behind::Dram(d) => Some(d),
        }
    }

    /// Cycles from the command of a read to its beat at the port, at least.
    pub fn way(&self) -> u64 {
        match &self.behind {
            Behind::Ideal(latency) => *latency,
            Behind::Dram(d) => d.k.read_return >> d.k.cycle_shift,
        }
    }

    /// Whether there is anything left to do.
    pub fn busy(&self) -> bool {
        self.offer.is_some() || self.dram().is_some_and(|d| !d.idle())
    }

    /// Whether an address waits.
    pub fn waits(&self) -> bool {
        self.offer.is_some()
    }

    /// The address of a read is offered from `cycle` on. [`Port::accepted`] tells when it was taken, once it does not wait.
    pub fn read(&mut self, cycle: u64, addr: u64, beats: u64) {
        self.advance(cycle + 1);
        self.offer = Some(Offer { since: cycle, addr, beats });
        self.take_offer(cycle + 1);
    }

    /// A write of one beat whose data the memory takes in `cycle`.
    pub fn write(&mut self, cycle: u64, addr: u64) {
        self.advance(cycle + 1);
        match &mut self.behind {
            Behind::Dram(d) => d.write(self.age + cycle, addr, true),
            Behind::Ideal(latency) => {
                self.answered = self.answered.max(cycle + *latency);
                self.answers.push_back(self.answered);
            }
        }
    }

    /// Runs through all cycles before `end`.
    pub fn advance(&mut self, end: u64) {
        while self.now < end {
            // Where short bursts are all that is open, an address that waits is looked at every few cycles. Else so many beats
            // wait that the new ones have time.
            let short = self.offer.is_some() && self.open.len() >= self.bursts();
            let until = if short { end.min(self.now + SHORT) } else { end };
            self.run(until);
            self.take_offer(until);
        }
    }

    /// Runs until nothing is left to do, and no farther: the next address may be offered in the cycle after the last beat.
    pub fn settle(&mut self) {
        while self.busy() {
            self.advance(self.now + 1);
        }
    }

    /// Runs until the next answer is known.
    pub fn answer(&mut self) -> u64 {
        while self.answers.is_empty() && self.busy() {
            self.advance(self.now + 1);
        }
        self.answers.pop_front().unwrap_or(self.answered)
    }

    /// Beats that come, as far as it is known and nobody has taken them.
    pub fn beats(&self) -> u64 {
        self.arrivals.beats
    }

    /// Takes `n` of them, calling `on` with where each run begins among them and its cycles.
    pub fn pop(&mut self, n: u64, mut on: impl FnMut(u64, Range<u64>)) {
        let mut done = 0;
        self.arrivals.beats -= n;
        while done < n {
            let Some(run) = self.arrivals.come.front_mut() else { return };
            let part = run.beats.min(n - done);
            on(done, run.first..run.first + part);
            done += part;
            run.first += part;
            run.beats -= part;
            if run.beats == 0 {
                self.arrivals.come.pop_front();
            }
        }
    }

    /// Takes all of them: cycles of the first and the last one.
    pub fn pop_all(&mut self) -> Option<(u64, u64)> {
        let first = self.arrivals.come.front()?.first;
        self.arrivals.come.clear();
        self.arrivals.beats = 0;
        Some((first, self.arrivals.last))
    }

    fn run(&mut self, end: u64) {
        let Behind::Dram(d) = &mut self.behind else {
            self.now = end;
            return;
        };
        let (cycle, shift, beat, age) = (d.k.cycle, d.k.cycle_shift, d.k.beat, self.age);
        let at_port =
            |tick: u64, way: u64| (tick >> shift) + (((tick & (cycle - 1)) + way + cycle - 1) >> shift) - age;
        while self.now < end {
            if d.reads_alone() {
                let (row, now) = d.row(age + self.now, age + end);
                self.now = now - age;
                let Some((tick, n)) = row else { continue };
                let next = |last: u64, tick| at_port(tick, d.k.read_return).max(last + 1);
                if beat <= cycle {
                    self.arrivals.push(next(self.arrivals.last, tick), n);
                } else {
                    for i in 0..n {
                        self.arrivals.push(next(self.arrivals.last, tick + i * beat), 1);
                    }
                }
                continue;
            }
            let Some(moved) = d.step(age + self.now, true) else {
                self.now = (d.next(age + self.now) - age).min(end);
                continue;
            };
            if moved.direction == READ {
                self.arrivals.push(at_port(moved.tick, d.k.read_return).max(self.arrivals.last + 1), 1);
            } else {
                self.answered = at_port(moved.tick, d.k.write_return).max(self.answered + 1);
                self.answers.push_back(self.answered);
            }
            self.now += 1;
        }
    }

    /// Bursts that may be open.
    fn bursts(&self) -> usize {
        self.dram().map_or(IDEAL_BURSTS, |d| d.k.read_bursts)
    }

    /// The port takes the address that is offered, if that is before `end`.
    fn take_offer(&mut self, end: u64) {
        let Some(offer) = self.offer else { return };
        let bursts = self.bursts();
        let beats = self.dram().map_or(u64::MAX, |d| d.k.read_beats as u64);
        let mut at = offer.since;
        // A burst is open until its last beat is taken. So many beats must have been offered.
        if self.open.len() >= bursts {
            let Some(cycle) = self.arrivals.at(self.open[self.open.len() - bursts]) else { return };
            at = at.max(cycle + 1);
        }
        let offered = (self.taken + LONGEST as u64).saturating_sub(beats);
        if offered > 0 {
            let Some(cycle) = self.arrivals.at(offered) else { return };
            at = at.max(cycle);
        }
        if at >= end.max(self.now) {
            return;
        }
        self.offer = None;
        self.accepted = at;
        self.taken += offer.beats;
        self.open.push_back(self.taken);
        if self.open.len() > bursts {
            self.open.pop_front();
        }
        match &mut self.behind {
            Behind::Dram(d) => d.read(self.age + at, offer.addr, offer.beats),
            Behind::Ideal(latency) => {
                let first = (at + *latency).max(self.arrivals.last + 1);
                self.arrivals.push(first, offer.beats);
            }
        }
    }
}

#[cfg(test)]
mod tests;
