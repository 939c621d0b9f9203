//! A port of the memory, burst by burst: when the beats of a read come, and when a write is answered. The same rules as
//! `memory::slave` with `memory::ideal` or `memory::hbm2`, which go beat by beat; here a burst costs a few operations.
//!
//! Left out: the order of reads and writes of one moment (a write that comes late in a burst's time delays the next
//! burst instead), back-pressure of the auxiliary port's reads, and errors.

use super::memory::{MemoryError, Pace};
use crate::memory::BEAT_BYTES;
use crate::memory::hbm2::Ticks;
use std::collections::VecDeque;

/// Beats for which a DRAM port must have room before it takes an address.
const LONGEST: u64 = 64;
/// Bytes of a beat.
const BEAT: u64 = BEAT_BYTES as u64;
/// Open bursts of the ideal memory.
const IDEAL_BURSTS: usize = 64;
/// No row.
const CLOSED: u64 = u64::MAX;

/// When the beats of a burst are at the port: a beat a cycle (or the memory's own pace) from each of these on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Beat of the burst, cycle.
    pub knots: Vec<(u32, u64)>,
    /// The last beat's cycle.
    pub last: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bank {
    row: u64,
    column: u64,
    precharge: u64,
    activate: u64,
}

/// DRAM behind a port. Times in memory clocks.
#[derive(Debug, Clone)]
struct Dram {
    k: Ticks,
    banks: Vec<Bank>,
    activate: u64,
    window: VecDeque<u64>,
    /// Before these no read, no write.
    column: [u64; 2],
    /// Until then the bus has reads.
    reads: u64,
    /// The last writes for which reads had to wait: tick of the first one, how many.
    batch: (u64, u64),
    refresh: u64,
}

const READ: usize = 0;
const WRITE: usize = 1;

impl Dram {
    fn new(k: Ticks, phase: f64, age: u64) -> Self {
        let closed = Bank { row: CLOSED, column: 0, precharge: 0, activate: 0 };
        let passed = (k.refi as f64 * phase.clamp(0.0, 1.0)) as u64;
        let since = (passed + age * k.cycle) % k.refi;
        Self {
            banks: vec![closed; 1 << k.bank_shift],
            activate: 0,
            window: VecDeque::from(vec![0; (4 / k.accesses as usize).max(1)]),
            column: [0; 2],
            reads: 0,
            batch: (0, 0),
            refresh: k.refi - since,
            k,
        }
    }

    fn grid(&self, t: u64) -> u64 {
        t.next_multiple_of(self.k.grid)
    }

    /// The first cycle that sees the next refresh, in ticks.
    fn refresh_at(&self) -> u64 {
        self.refresh.next_multiple_of(self.k.cycle)
    }

    /// All refreshes up to `t`.
    fn refreshed(&mut self, t: u64) {
        while self.refresh_at() <= t {
            let from = self.refresh_at();
            let open = self.banks.iter().filter(|b| b.row != CLOSED);
            let precharged = open.map(|b| b.precharge.max(from) + self.k.pre_to_act).max();
            let earlier = self.banks.iter().map(|b| b.activate).max().unwrap_or(0);
            let end = precharged.unwrap_or(from).max(earlier).max(from) + self.k.rfc;
            for bank in &mut self.banks {
                bank.row = CLOSED;
                bank.activate = end;
            }
            self.refresh += self.k.refi;
        }
    }

    /// First tick for a column of this row, which is opened from `from` on where it is closed.
    fn open(&mut self, bank: usize, row: u64, from: u64) -> u64 {
        let b = self.banks[bank];
        if b.row == row {
            return b.column;
        }
        let any = self.activate.max(self.window.front().copied().unwrap_or(0) + self.k.faw);
        let act = match b.row {
            CLOSED => self.grid(from.max(b.activate).max(any)),
            _ => {
                let pre = self.grid(from.max(b.precharge));
                self.grid((pre + self.k.pre_to_act).max(b.activate).max(any))
            }
        };
        self.banks[bank] = Bank {
            row,
            column: act + self.k.act_to_col,
            precharge: act + self.k.act_to_pre,
            activate: act + self.k.act_to_pre + self.k.pre_to_act,
        };
        self.activate = act + self.k.act_to_act;
        self.window.pop_front();
        self.window.push_back(act);
        act + self.k.act_to_col
    }

    fn place(&self, addr: u64) -> (usize, u64) {
        let unit = addr >> self.k.row_shift;
        ((unit & ((1 << self.k.bank_shift) - 1)) as usize, unit >> self.k.bank_shift)
    }

    /// Reads `beats` of one row from `ready` on; calls `on` with the first beat (of the row's) of each run and its tick;
    /// returns the last beat's tick.
    fn read_row(&mut self, addr: u64, beats: u64, ready: u64, mut on: impl FnMut(u64, u64)) -> u64 {
        let (bank, row) = self.place(addr);
        let (mut done, mut t) = (0, ready.max(self.column[READ]));
        loop {
            self.refreshed(t);
            let column = self.open(bank, row, ready);
            if column > t {
                t = column;
                if self.refresh_at() <= t {
                    continue;
                }
            }
            on(done, t);
            // Beats before the next refresh.
            let left = beats - done;
            let until = self.refresh_at();
            let fit = (until - t).div_ceil(self.k.beat).min(left);
            let last = t + (fit - 1) * self.k.beat;
            self.banks[bank].precharge = self.banks[bank].precharge.max(last + self.k.read_to_pre);
            done += fit;
            if done == beats {
                self.column[READ] = last + self.k.beat;
                self.reads = last + self.k.beat;
                self.column[WRITE] = last + self.k.read_to_write;
                return last;
            }
            t = last + self.k.beat;
        }
    }

    /// A write of one beat that is ready at a tick: its tick on the bus.
    fn write(&mut self, addr: u64, ready: u64) -> u64 {
        let (bank, row) = self.place(addr);
        let t = if self.reads > ready + self.k.write_age {
            // Reads wait for it when it is old enough, and with it go those that have come meanwhile.
            if ready <= self.batch.0 && self.batch.1 < self.k.write_batch {
                self.batch.1 += 1;
                self.column[READ] += self.k.beat;
            } else {
                self.batch = (ready + self.k.write_age, 1);
                self.column[READ] += self.k.read_to_write + self.k.write_to_read;
            }
            self.batch.0 + (self.batch.1 - 1) * self.k.beat
        } else {
            let mut t = ready.max(self.reads).max(self.column[WRITE]);
            self.refreshed(t);
            t = t.max(self.open(bank, row, ready));
            self.column[READ] = t + self.k.write_to_read;
            t
        };
        self.banks[bank].precharge = self.banks[bank].precharge.max(t + self.k.write_to_pre);
        self.column[WRITE] = t + self.k.beat;
        t
    }
}

/// A port and what is behind it.
#[derive(Debug, Clone)]
pub(super) struct Port {
    dram: Option<Dram>,
    latency: u64,
    /// First cycle without a beat of earlier reads.
    free: u64,
    /// Of open bursts: beats up to its end since the beginning, cycle of its last beat.
    open: VecDeque<(u64, u64)>,
    taken: u64,
    /// Cycle of the last write's answer.
    answered: u64,
}

impl Port {
    pub fn new(pace: &Pace, age: u64) -> Result<Self, MemoryError> {
        let ticks = pace.ticks()?;
        let (latency, phase) = match pace {
            Pace::Ideal(latency) => ((*latency).max(1), 0.0),
            Pace::Dram(_, phase) => (0, *phase),
        };
        Ok(Self {
            dram: ticks.map(|k| Dram::new(k, phase, age)),
            latency,
            free: 0,
            open: VecDeque::new(),
            taken: 0,
            answered: 0,
        })
    }

    /// The cycle in which an address that is offered from `cycle` on is taken.
    fn accept(&mut self, cycle: u64) -> u64 {
        let (bursts, beats) = match &self.dram {
            None => (IDEAL_BURSTS, usize::MAX),
            Some(d) => (d.k.read_bursts, d.k.read_beats),
        };
        let mut at = cycle;
        while let Some(&(_, last)) = self.open.front() {
            if last >= at {
                break;
            }
            self.open.pop_front();
        }
        // A burst is open until its last beat is taken.
        if self.open.len() >= bursts {
            at = at.max(self.open[self.open.len() - bursts].1 + 1);
        }
        // So many beats must have been offered.
        let offered = (self.taken + LONGEST).saturating_sub(beats as u64);
        if let Some(&(end, last)) = self.open.iter().find(|(end, _)| *end >= offered)
            && offered > 0
        {
            at = at.max((last + offered + 1).saturating_sub(end));
        }
        at
    }

    /// A read whose address is offered from `cycle` on: when it is taken, and when its beats come.
    pub fn read(&mut self, cycle: u64, addr: u64, beats: u64, arrival: &mut Arrival) -> u64 {
        let at = self.accept(cycle);
        arrival.knots.clear();
        match &mut self.dram {
            None => {
                let first = (at + self.latency).max(self.free);
                arrival.knots.push((0, first));
                arrival.last = first + beats - 1;
            }
            Some(d) => {
                let (cycle, shift, way) = (d.k.cycle, d.k.cycle_shift, d.k.read_return);
                let at_port = |t: u64| (t >> shift) + ((t & (cycle - 1)) + way).div_ceil(cycle);
                let ready = at * cycle + d.k.request;
                let row_bytes = 1u64 << d.k.row_shift;
                let (mut addr, mut done, mut follows) = (addr, 0, u64::MAX);
                while done < beats {
                    let n = (row_bytes - addr % row_bytes).div_ceil(BEAT).min(beats - done);
                    let last = d.read_row(addr, n, ready, |i, t| {
                        if i > 0 || t != follows {
                            arrival.knots.push(((done + i) as u32, at_port(t)));
                        }
                    });
                    arrival.last = at_port(last);
                    follows = last + d.k.beat;
                    done += n;
                    addr += n * BEAT;
                }
            }
        }
        self.free = arrival.last + 1;
        self.taken += beats;
        self.open.push_back((self.taken, arrival.last));
        at
    }

    /// A write of one beat whose data the memory takes in `cycle`: the cycle of its answer.
    pub fn write(&mut self, cycle: u64, addr: u64) -> u64 {
        let at = match &mut self.dram {
            None => cycle + self.latency,
            Some(d) => {
                let t = d.write(addr, cycle * d.k.cycle + d.k.request);
                (t + d.k.write_return).div_ceil(d.k.cycle)
            }
        };
        self.answered = self.answered.max(at);
        self.answered
    }
}
