//! The AXI4 slave common to the models: handshakes, bursts, responses. When things happen is left
//! to a [`Timing`].

use super::check::{Channel, Checker, Rule, Violations};
use super::dram::DramCounters;
use super::faults::Faults;
use super::model::{Counters, Fault, MemoryModel};
use super::signals::{BEAT_BYTES, Beat, MasterOut, SlaveOut, resp};
use super::store::Store;
use std::collections::VecDeque;

/// Decides when a slave answers. Asked once per opportunity, in a fixed order, so that a seeded
/// implementation is reproducible.
pub trait Timing: Send {
    /// Open read bursts the slave takes.
    fn max_reads(&self) -> usize;
    /// Open write bursts the slave takes.
    fn max_writes(&self) -> usize;
    /// Cycles from the acceptance of a read address to its first beat, at least 1.
    fn read_latency(&mut self) -> u64;
    /// Cycles from the acceptance of the last write beat to the response, at least 1.
    fn write_latency(&mut self) -> u64;
    /// Whether a channel may move (offer valid or raise ready) in the next cycle.
    fn go(&mut self, channel: Channel) -> bool;
    /// Whether written data become visible only with the response, as the bus allows.
    fn late_commit(&self) -> bool;
    /// A read burst has been accepted in cycle `now`.
    #[inline]
    fn read_burst(&mut self, _now: u64, _addr: u64, _beats: u32) {}
    /// A write beat has been accepted in cycle `now`; `last` of its burst.
    #[inline]
    fn write_beat(&mut self, _now: u64, _addr: u64, _last: bool) {}
    /// Called once per clock, before [`Timing::go`] is asked about cycle `next`.
    #[inline]
    fn advance(&mut self, _next: u64) {}
    /// All open bursts were dropped.
    fn reset(&mut self) {}
    /// Counters of the DRAM, if one is modelled.
    fn dram(&self) -> Option<&DramCounters> {
        None
    }
}

#[derive(Debug, Clone, Copy)]
struct Burst {
    addr: u64,
    remaining: u32,
    /// First cycle in which an answer may be offered.
    at: u64,
    /// Worst response so far.
    resp: u8,
    /// Beats of this burst in `pending`.
    held: usize,
}

/// A slave whose pace is set by `T`.
pub struct Slave<T> {
    timing: T,
    store: Store,
    out: SlaveOut,
    counters: Counters,
    checker: Checker,
    faults: Faults,
    reads: VecDeque<Burst>,
    /// Writes whose data are not complete.
    writes: VecDeque<Burst>,
    /// Complete writes that wait for their response.
    responses: VecDeque<Burst>,
    /// Beats accepted and not yet visible.
    pending: VecDeque<(u64, Beat, u64)>,
}

impl<T: Timing> Slave<T> {
    /// A slave in front of `store`.
    pub fn with_timing(store: Store, timing: T) -> Self {
        Self {
            timing,
            store,
            out: SlaveOut::default(),
            counters: Counters::default(),
            checker: Checker::default(),
            faults: Faults::default(),
            reads: VecDeque::new(),
            writes: VecDeque::new(),
            responses: VecDeque::new(),
            pending: VecDeque::new(),
        }
    }

    /// Takes what the handshakes of this cycle moved.
    fn accept(&mut self, m: &MasterOut<'_>) -> bool {
        let now = self.counters.cycles;
        let r_moved = self.out.rvalid && m.rready;
        let w_moved = self.out.wready && m.wvalid;
        if r_moved {
            self.out.rvalid = false;
            self.counters.read_beats += 1;
            if self.out.rlast {
                self.reads.pop_front();
            }
        } else if self.out.rvalid {
            self.counters.master_stalls += 1;
        }
        if self.out.bvalid && m.bready {
            self.out.bvalid = false;
        }
        if self.out.arready && m.arvalid {
            let beats = u32::from(m.arlen) + 1;
            self.checker.burst(now, Channel::Ar, m.araddr, beats);
            let at = now + self.timing.read_latency().max(1);
            self.timing.read_burst(now, m.araddr, beats);
            self.reads.push_back(Burst { addr: m.araddr, remaining: beats, at, resp: 0, held: 0 });
            self.counters.read_bursts += 1;
        }
        if w_moved {
            self.take_write_beat(m, now);
        }
        if self.out.awready && m.awvalid {
            let beats = u32::from(m.awlen) + 1;
            self.checker.burst(now, Channel::Aw, m.awaddr, beats);
            self.writes.push_back(Burst { addr: m.awaddr, remaining: beats, at: 0, resp: 0, held: 0 });
            self.counters.write_bursts += 1;
        }
        r_moved || w_moved
    }

    fn take_write_beat(&mut self, m: &MasterOut<'_>, now: u64) {
        // `wready` is only raised while a burst is open.
        let Some(burst) = self.writes.front_mut() else { return };
        self.counters.write_beats += 1;
        if m.wlast != (burst.remaining == 1) {
            self.checker.violations.record(
                now,
                Channel::W,
                Rule::WlastMismatch { remaining: burst.remaining },
            );
        }
        let code =
            if burst.addr >= self.store.size() { resp::DECERR } else { self.faults.response(burst.addr) };
        burst.resp = burst.resp.max(code);
        if code != resp::OKAY {
            self.counters.error_beats += 1;
        } else if self.timing.late_commit() {
            burst.held += 1;
            self.pending.push_back((burst.addr, *m.wdata, m.wstrb));
        } else {
            self.store.write_beat(burst.addr, m.wdata, m.wstrb);
        }
        self.timing.write_beat(now, burst.addr, burst.remaining == 1);
        burst.addr = burst.addr.wrapping_add(BEAT_BYTES as u64);
        burst.remaining -= 1;
        if burst.remaining == 0 {
            let mut done = *burst;
            done.at = now + self.timing.write_latency().max(1);
            self.writes.pop_front();
            self.responses.push_back(done);
        }
    }

    /// Computes what to drive in the next cycle.
    fn drive(&mut self, next: u64) {
        self.timing.advance(next);
        if !self.out.rvalid
            && let Some(burst) = self.reads.front_mut()
            && burst.at <= next
            && !self.faults.hangs(Channel::R, next)
            && self.timing.go(Channel::R)
        {
            let mut code = self.faults.response(burst.addr);
            if self.store.read_beat(burst.addr, &mut self.out.rdata).is_none() {
                code = resp::DECERR;
            }
            if code != resp::OKAY {
                self.out.rdata = [super::store::POISON; 16];
                self.counters.error_beats += 1;
            }
            burst.addr = burst.addr.wrapping_add(BEAT_BYTES as u64);
            burst.remaining -= 1;
            self.out.rvalid = true;
            self.out.rresp = code;
            self.out.rlast = burst.remaining == 0;
        }
        if !self.out.bvalid
            && let Some(done) = self.responses.front().copied()
            && done.at <= next
            && !self.faults.hangs(Channel::B, next)
            && self.timing.go(Channel::B)
        {
            for (addr, beat, strobe) in self.pending.drain(..done.held) {
                self.store.write_beat(addr, &beat, strobe);
            }
            self.responses.pop_front();
            self.out.bvalid = true;
            self.out.bresp = done.resp;
        }
        self.out.arready = self.reads.len() < self.timing.max_reads()
            && !self.faults.hangs(Channel::Ar, next)
            && self.timing.go(Channel::Ar);
        self.out.awready = self.writes.len() + self.responses.len() < self.timing.max_writes()
            && !self.faults.hangs(Channel::Aw, next)
            && self.timing.go(Channel::Aw);
        self.out.wready =
            !self.writes.is_empty() && !self.faults.hangs(Channel::W, next) && self.timing.go(Channel::W);
    }
}

impl<T: Timing> MemoryModel for Slave<T> {
    fn step(&mut self, master: &MasterOut<'_>) -> &SlaveOut {
        self.checker.observe(self.counters.cycles, master, &self.out);
        let work = !self.idle();
        if self.accept(master) {
            self.counters.busy_cycles += 1;
        } else if work {
            self.counters.stalled_cycles += 1;
        }
        self.counters.cycles += 1;
        self.drive(self.counters.cycles);
        &self.out
    }

    fn outputs(&self) -> &SlaveOut {
        &self.out
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }

    fn violations(&self) -> &Violations {
        &self.checker.violations
    }

    fn inject(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    fn idle(&self) -> bool {
        self.reads.is_empty() && self.writes.is_empty() && self.responses.is_empty() && !self.out.bvalid
    }

    fn reset(&mut self) {
        self.out = SlaveOut::default();
        self.reads.clear();
        self.writes.clear();
        self.responses.clear();
        self.pending.clear();
        self.checker.reset();
        self.timing.reset();
    }

    fn dram(&self) -> Option<&DramCounters> {
        self.timing.dram()
    }
}
