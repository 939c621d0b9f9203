//! The controller of a pseudo-channel: when every beat moves on the data bus.
//!
//! Called once per kernel clock; in that time the bus carries at most one beat, so a clock is a few
//! comparisons, and rows are looked at only when the queue or a bank has changed.

use super::banks::{Banks, Open};
use super::ticks::{LONGEST, Ticks};
use crate::memory::check::Channel;
use crate::memory::dram::DramCounters;
use crate::memory::signals::BEAT_BYTES;
use crate::memory::slave::Timing;
use std::collections::VecDeque;

/// Beats in one row of one bank unit, in the order in which they came.
#[derive(Debug, Clone, Copy)]
struct Access {
    bank: usize,
    row: u64,
    beats: u32,
    /// Tick at which the controller has it.
    ready: u64,
    /// Its last beat ends a burst.
    last: bool,
}

/// Answers that reach the port after a fixed time, and wait there until they are taken.
#[derive(Debug, Clone, Copy, Default)]
struct Pipe {
    /// Bit i: one arrives i cycles from now.
    coming: u64,
    arrived: u32,
    /// Coming and arrived.
    all: u32,
}

impl Pipe {
    #[inline]
    fn push(&mut self, cycles: u64) {
        self.coming |= 1 << cycles;
        self.all += 1;
    }

    /// A cycle passes.
    #[inline]
    fn shift(&mut self) {
        self.coming >>= 1;
        self.arrived += (self.coming & 1) as u32;
    }

    #[inline]
    fn take(&mut self) -> bool {
        let some = self.arrived > 0;
        self.arrived -= u32::from(some);
        self.all -= u32::from(some);
        some
    }
}

pub(crate) const READ: usize = 0;
pub(crate) const WRITE: usize = 1;

/// Beats that have moved on the data bus in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    /// [`READ`] or [`WRITE`].
    pub direction: usize,
    /// Tick of the first one's command.
    pub tick: u64,
    /// The last one ends a burst.
    pub last: bool,
}

/// Opens the row of an access, where it is not open, with a first command at `from` or later but before `until`; or says
/// before which tick that is not possible.
fn open(
    banks: &mut Banks,
    counters: &mut DramCounters,
    k: &Ticks,
    access: &Access,
    from: u64,
    until: u64,
) -> Result<(), u64> {
    if banks.is_open(access.bank, access.row) {
        return Ok(());
    }
    match banks.open(k, access.bank, access.row, from, until) {
        Open::NotBefore(t) => return Err(t),
        Open::Activated => counters.row_empty += 1,
        Open::Replaced => counters.row_misses += 1,
    }
    Ok(())
}

/// The controller: queues, banks, the direction of the bus.
#[derive(Debug, Clone)]
pub(crate) struct Scheduler {
    pub(crate) k: Ticks,
    banks: Banks,
    counters: DramCounters,
    /// Waiting accesses: reads, writes.
    queues: [VecDeque<Access>; 2],
    /// Direction of the data bus.
    direction: usize,
    /// Tick before which a beat in this direction is not possible.
    column_ok: [u64; 2],
    /// Beats since the bus turned.
    batch: u64,
    /// Tick from which opening rows is worth another look.
    look_at: u64,
    /// Banks for which the last look found an access: later ones wait for it.
    looked: u64,
    /// Rows behind the head of the reads may be open that are not noted as open, see [`Scheduler::row`].
    lazy: bool,
    /// Tick of the last turn of the bus.
    turned: u64,
    next_refresh: u64,
    /// No beat has moved since the last refresh.
    refreshed: bool,
    /// End of the last beat, or of a time in which the port held the bus.
    free: u64,
}

impl Scheduler {
    /// Nothing waits; `passed` ticks of a refresh interval have passed.
    pub(crate) fn new(k: Ticks, passed: u64) -> Self {
        Self {
            banks: Banks::new(&k),
            counters: DramCounters::default(),
            queues: Default::default(),
            direction: READ,
            column_ok: [0; 2],
            batch: 0,
            look_at: 0,
            looked: 0,
            lazy: false,
            turned: 0,
            next_refresh: k.refi - passed,
            refreshed: false,
            free: 0,
            k,
        }
    }

    fn place(&self, addr: u64) -> (usize, u64) {
        let unit = addr >> self.k.row_shift;
        ((unit & ((1 << self.k.bank_shift) - 1)) as usize, unit >> self.k.bank_shift)
    }

    /// Turns the bus when there is reason to.
    fn choose(&mut self, t0: u64) {
        let [reads, writes] = &self.queues;
        let turn = match writes.front() {
            None => self.direction == WRITE,
            Some(oldest) if self.direction == WRITE => {
                (self.batch >= self.k.write_batch || oldest.ready > t0)
                    && reads.front().is_some_and(|r| r.ready <= t0)
            }
            Some(oldest) => {
                oldest.ready <= t0
                    && (reads.is_empty()
                        || writes.len() >= self.k.write_high
                        || t0 - oldest.ready >= self.k.write_age)
            }
        };
        if turn {
            self.direction ^= 1;
            self.batch = 0;
            self.look_at = 0;
            self.turned = t0;
        }
    }

    /// Opens rows for the accesses at the head of the queue, in any order of banks, in order for each bank.
    fn open_rows(&mut self, t0: u64, t1: u64) {
        // Banks of earlier accesses: what follows in another row of them waits.
        let (mut claimed, mut left) = (0u64, 1u32 << self.k.bank_shift);
        self.look_at = u64::MAX;
        let from = if std::mem::take(&mut self.lazy) { self.turned } else { t0 };
        for access in self.queues[self.direction].iter().take(self.k.look_ahead) {
            let bit = 1 << access.bank;
            if claimed & bit != 0 {
                continue;
            }
            claimed |= bit;
            let from = from.max(access.ready);
            if let Err(t) = open(&mut self.banks, &mut self.counters, &self.k, access, from, t1) {
                self.look_at = self.look_at.min(t);
            }
            left -= 1;
            if left == 0 {
                break;
            }
        }
        self.looked = claimed;
    }

    /// Moves the next beat if its time is before `t1`, and the port has room for one that is read.
    #[inline]
    fn column(&mut self, t0: u64, t1: u64, room: bool) -> Option<Moved> {
        let d = self.direction;
        let head = self.queues[d].front()?;
        if !self.banks.is_open(head.bank, head.row) {
            return None;
        }
        let t = t0.max(head.ready).max(self.column_ok[d]).max(self.banks.column_from(head.bank));
        if t >= t1 {
            return None;
        }
        if d == READ && !room {
            self.free = t1; // the port holds the bus
            return None;
        }
        // What the bus waited for.
        let waited_from = self.free.max(head.ready);
        let gap = t.saturating_sub(waited_from);
        if gap > 0 {
            let turn = self.column_ok[d].saturating_sub(waited_from).min(gap);
            if self.refreshed {
                self.counters.refresh_ticks += gap;
            } else {
                self.counters.turnaround_ticks += turn;
                self.counters.row_ticks += gap - turn;
            }
        }
        self.refreshed = false;
        self.counters.turnarounds += u64::from(self.batch == 0);
        let last = head.beats == 1 && head.last;
        self.moved(t, 1);
        Some(Moved { direction: d, tick: t, last })
    }

    /// `n` beats of the oldest access in the bus's direction have moved, the last one at tick `last`.
    #[inline]
    fn moved(&mut self, last: u64, n: u64) {
        let (d, k) = (self.direction, &self.k);
        let Some(head) = self.queues[d].front_mut() else { return };
        self.free = last + k.beat;
        self.batch += n;
        self.counters.busy_ticks += n * k.beat;
        self.column_ok[d] = last + k.beat;
        if d == READ {
            self.counters.read_beats += n;
            self.column_ok[WRITE] = last + k.read_to_write;
            self.banks.column(head.bank, last + k.read_to_pre);
        } else {
            self.counters.write_beats += n;
            self.column_ok[READ] = last + k.write_to_read;
            self.banks.column(head.bank, last + k.write_to_pre);
        }
        head.beats -= n as u32;
        if head.beats == 0 {
            self.queues[d].pop_front();
            self.look_at = 0;
        }
    }

    /// A read burst that the port takes in cycle `now`.
    pub(crate) fn read(&mut self, now: u64, addr: u64, beats: u64) {
        let ready = now * self.k.cycle + self.k.request;
        let (mut addr, mut left) = (addr, beats);
        while left > 0 {
            let (bank, row) = self.place(addr);
            let row_bytes = 1u64 << self.k.row_shift;
            let n = ((row_bytes - addr % row_bytes).div_ceil(BEAT_BYTES as u64)).min(left);
            left -= n;
            self.queues[READ].push_back(Access { bank, row, beats: n as u32, ready, last: left == 0 });
            addr = addr.wrapping_add(n * BEAT_BYTES as u64);
            if self.direction != READ || self.looked & (1 << bank) == 0 {
                self.look_at = 0;
            }
        }
    }

    /// A beat that the port takes in cycle `now`, the last of its burst or not.
    pub(crate) fn write(&mut self, now: u64, addr: u64, last: bool) {
        let (bank, row) = self.place(addr);
        let ready = now * self.k.cycle + self.k.request;
        self.queues[WRITE].push_back(Access { bank, row, beats: 1, ready, last });
        self.look_at = 0;
    }

    /// Whether nothing waits.
    #[inline]
    pub(crate) fn idle(&self) -> bool {
        self.queues[READ].is_empty() && self.queues[WRITE].is_empty()
    }

    /// The first cycle that begins at a tick or after it.
    #[inline]
    fn first_cycle(&self, tick: u64) -> u64 {
        (tick + self.k.cycle - 1) >> self.k.cycle_shift
    }

    fn refresh(&mut self, t0: u64) {
        if self.lazy {
            self.open_rows(t0, t0);
        }
        self.banks.refresh(&self.k, t0);
        self.next_refresh += self.k.refi;
        self.counters.refreshes += 1;
        self.refreshed = true;
        self.look_at = 0;
    }

    /// Nothing is asked before cycle `end`: only refreshes pass.
    pub(crate) fn idle_until(&mut self, end: u64) {
        while self.first_cycle(self.next_refresh) < end {
            self.refresh(self.first_cycle(self.next_refresh) * self.k.cycle);
        }
    }

    /// What happens in cycle `now`, where `room` tells whether the port takes a beat that is read.
    #[inline]
    pub(crate) fn step(&mut self, now: u64, room: bool) -> Option<Moved> {
        let t0 = now * self.k.cycle;
        if t0 >= self.next_refresh {
            self.refresh(t0);
        }
        if self.idle() {
            return None;
        }
        let t1 = t0 + self.k.cycle;
        if self.direction == WRITE || !self.queues[WRITE].is_empty() {
            self.choose(t0);
        }
        if self.look_at < t1 {
            self.open_rows(t0, t1);
        }
        self.column(t0, t1, room)
    }

    /// The first cycle after `now` in which [`Scheduler::step`] may do anything, if nothing new is asked.
    pub(crate) fn next(&self, now: u64) -> u64 {
        let refresh = self.first_cycle(self.next_refresh);
        if self.idle() {
            return refresh.max(now + 1);
        }
        if self.direction == WRITE {
            return now + 1;
        }
        let [reads, writes] = &self.queues;
        let turn = match writes.front() {
            None => u64::MAX,
            Some(w) if reads.is_empty() || writes.len() >= self.k.write_high => self.first_cycle(w.ready),
            Some(w) => self.first_cycle(w.ready + self.k.write_age),
        };
        let column = match reads.front() {
            Some(head) if self.banks.is_open(head.bank, head.row) => {
                head.ready.max(self.column_ok[READ]).max(self.banks.column_from(head.bank))
            }
            _ => u64::MAX,
        };
        // Writes turn the bus in the first cycle that begins after their time; other ticks belong to their cycle.
        let within = column.min(self.look_at) >> self.k.cycle_shift;
        refresh.min(turn).min(within).max(now + 1)
    }

    /// Whether there are reads, nothing but reads, and the bus is theirs.
    #[inline]
    pub(crate) fn reads_alone(&self) -> bool {
        self.direction == READ && self.queues[WRITE].is_empty() && !self.queues[READ].is_empty()
    }

    /// The beats of the oldest row that come in cycles from `now` on and before `end`, where
    /// [`Scheduler::reads_alone`]: tick of the first one and their number, one after the other as the bus has them; and the
    /// cycle up to which that was all.
    ///
    /// The same as so many calls of [`Scheduler::step`], without a look at the rows after the first one: a row is opened
    /// when its beats are wanted, as of the time at which that look would have opened it.
    pub(crate) fn row(&mut self, mut now: u64, end: u64) -> (Option<(u64, u64)>, u64) {
        let (cycle, beat) = (self.k.cycle, self.k.beat);
        loop {
            let Some(&head) = self.queues[READ].front() else { return (None, end) };
            let refresh = self.first_cycle(self.next_refresh).max(now);
            let from = head.ready.max(self.turned);
            let until = refresh * cycle;
            let opened = open(&mut self.banks, &mut self.counters, &self.k, &head, from, until).is_ok();
            self.lazy = true;
            let column = self.banks.column_from(head.bank).max(self.column_ok[READ]);
            let t = column.max(head.ready).max(now * cycle);
            let at = t >> self.k.cycle_shift;
            if !opened || at >= refresh {
                if refresh >= end {
                    return (None, end);
                }
                self.refresh(refresh * cycle);
                now = refresh;
                continue;
            }
            if at >= end {
                return (None, end);
            }
            // Beats before the next refresh and before the end.
            let until = end.min(refresh);
            let room = if beat <= cycle { until - at } else { (until * cycle - t).div_ceil(beat) };
            let n = room.min(u64::from(head.beats));
            let last = (t + (n - 1) * beat).max(if beat <= cycle { (at + n - 1) * cycle } else { 0 });
            self.moved(last, n);
            return (Some((t, n)), (last >> self.k.cycle_shift) + 1);
        }
    }
}

/// The pace of [`super::Hbm2`].
#[derive(Debug, Clone)]
pub struct DramTiming {
    scheduler: Scheduler,
    /// Read beats and write responses on their way to the port.
    delivered: Pipe,
    responses: Pipe,
    /// Beats of open read bursts.
    open_beats: usize,
}

impl DramTiming {
    /// An idle memory; `phase` of a refresh interval has passed.
    pub(super) fn new(k: Ticks, phase: f64) -> Self {
        let passed = k.passed(phase);
        Self {
            scheduler: Scheduler::new(k, passed),
            delivered: Pipe::default(),
            responses: Pipe::default(),
            open_beats: 0,
        }
    }
}

impl Timing for DramTiming {
    fn max_reads(&self) -> usize {
        self.scheduler.k.read_bursts
    }

    fn max_writes(&self) -> usize {
        self.scheduler.k.write_bursts
    }

    fn read_latency(&mut self) -> u64 {
        1
    }

    fn write_latency(&mut self) -> u64 {
        1
    }

    #[inline]
    fn go(&mut self, channel: Channel) -> bool {
        match channel {
            Channel::R => {
                let go = self.delivered.take();
                self.open_beats -= usize::from(go);
                go
            }
            Channel::B => self.responses.take(),
            Channel::Ar => self.open_beats + LONGEST <= self.scheduler.k.read_beats,
            Channel::Aw => true,
            Channel::W => self.scheduler.queues[WRITE].len() < self.scheduler.k.write_buffer,
        }
    }

    fn late_commit(&self) -> bool {
        false
    }

    fn read_burst(&mut self, now: u64, addr: u64, beats: u32) {
        self.open_beats += beats as usize;
        self.scheduler.read(now, addr, u64::from(beats));
    }

    fn write_beat(&mut self, now: u64, addr: u64, last: bool) {
        self.scheduler.write(now, addr, last);
    }

    #[inline]
    fn advance(&mut self, next: u64) {
        self.delivered.shift();
        self.responses.shift();
        let room = self.delivered.all < self.scheduler.k.read_buffer;
        let Some(moved) = self.scheduler.step(next, room) else { return };
        let k = &self.scheduler.k;
        let cycles = |ticks: u64| (moved.tick - next * k.cycle + ticks + k.cycle - 1) >> k.cycle_shift;
        if moved.direction == READ {
            self.delivered.push(cycles(k.read_return));
        } else if moved.last {
            self.responses.push(cycles(k.write_return));
        }
    }

    fn reset(&mut self) {
        self.scheduler.queues.iter_mut().for_each(VecDeque::clear);
        (self.delivered, self.responses) = Default::default();
        self.open_beats = 0;
        self.scheduler.look_at = 0;
    }

    fn dram(&self) -> Option<&DramCounters> {
        Some(&self.scheduler.counters)
    }
}
