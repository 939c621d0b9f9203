//! The matrix unit: how many cycles each operation takes, when it waits for beats or for room for its results, and when
//! its results are in their places.

use super::latency as lat;
use super::operands::{Constants, Operation};
use super::queue::Started;
use super::stream::{Piece, Pops, segments};
use accllm_hw::beat::KeyBeats;
use accllm_hw::config::Config;
use accllm_hw::isa::{FLAG_WIDE, Op};
use std::collections::VecDeque;

/// What an operation costs the tiles and the drain, from its operands alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Work {
    /// Beats of every channel.
    pub beats: u64,
    /// Of them values; the rest are parameters and scales, a cycle each.
    pub values: u64,
    /// Those of a step.
    row_beats: u64,
    /// Value beats after which the next parameter beat comes, and the next scale beat; the largest number where none does.
    params: u64,
    scales: u64,
    /// Cycles of a value beat.
    pub each: u64,
    /// Cycles of the drain: an entry's results; those of a step's last entry.
    entry: u64,
    last_entry: u64,
    /// Steps, and entries that a step uses.
    pub steps: u64,
    pub lane_steps: u64,
    /// Lane rows, whose q_sums a MATK fetches.
    pub rows: u64,
    /// Value beats that find room in the accumulators at once; those after them may begin only so often.
    pub ahead: u64,
    pub pace: f64,
}

/// The closed formula of each matrix operation (docs/timing.md).
pub(super) fn work(o: &Operation, config: &Config, constants: &Constants) -> Option<Work> {
    let s = segments(o, constants);
    if s.count == 0 {
        return None;
    }
    let wide = o.op == Op::MATV && o.flags & FLAG_WIDE != 0;
    let rows = u64::from(o.m) << u32::from(wide);
    let lanes = config.lanes as u64;
    let lane_steps = rows.div_ceil(lanes);
    let last_rows = rows - (lane_steps - 1) * lanes;
    // Steps, value beats of each, and steps that share a parameter beat.
    let (steps, row_beats, together) = match o.op {
        Op::MATW => (u64::from(o.n), u64::from(o.k), 16),
        Op::MATK => {
            let keys = KeyBeats::of(constants.hdp() as usize);
            (u64::from(o.n), keys.beats as u64, 16 / keys.keys as u64)
        }
        _ => (u64::from(o.sh), u64::from(o.n), u64::MAX),
    };
    let scaled = o.op == Op::MATW && o.flags & 3 != 0;
    let halves = if o.op == Op::MATW && o.flags & 3 == 1 { 2 } else { 1 };
    // Results of an entry: cycles of a full one, of the last one.
    let (entry, last_entry) = match o.op {
        Op::MATW => (lanes.min(rows), last_rows),
        Op::MATK => (1, 1),
        _ => {
            let words = (4 * config.channels as u64).div_ceil(config.vec as u64).max(1);
            let half = u64::from(wide);
            ((lanes.min(rows) >> half) * words, (last_rows >> half) * words)
        }
    };
    let mut work = Work {
        beats: s.beats * s.count,
        values: steps * row_beats,
        row_beats,
        params: together.saturating_mul(row_beats),
        scales: if scaled { 8 } else { u64::MAX },
        each: lane_steps * halves,
        entry,
        last_entry,
        steps,
        lane_steps,
        rows,
        ahead: 0,
        pace: 0.0,
    };
    // An entry is in use from its first beat to its last read; all of them take turns.
    let entries = (2 * config.lane_rows / config.lanes) as f64;
    let step = (row_beats * work.each) as f64;
    let used = step - (lane_steps as f64 - 1.0) + (lat::SUMS + lat::ENTRY + 1) as f64 + entry as f64 - 1.0;
    let turn = used * lane_steps as f64 / entries;
    work.pace = turn.max(((lane_steps - 1) * entry + last_entry) as f64).max(step) / row_beats as f64;
    work.ahead = (entries as u64 / lane_steps).max(1) * row_beats;
    Some(work)
}

impl Work {
    /// Beats up to value beat `v` (from 0), this one included.
    fn through(&self, v: u64) -> u64 {
        let sides = |every: u64| if every == u64::MAX { 0 } else { v / every + 1 };
        v + 1 + sides(self.params) + sides(self.scales)
    }

    /// Value beats among the first `b` beats.
    fn values_in(&self, b: u64) -> u64 {
        let mut v = b * self.values / self.beats;
        while v > 0 && self.through(v - 1) > b {
            v -= 1;
        }
        while v < self.values && self.through(v) <= b {
            v += 1;
        }
        v
    }

    /// Cycles before beat `b` of the operation is taken, were every beat there.
    pub fn before(&self, b: u64) -> f64 {
        let values = self.values_in(b);
        let side = b - values;
        let free = (values * self.each) as f64;
        // Past the entries that are free at first, each waits for the reads of an earlier one.
        let step = (self.values / self.steps * self.each + lat::SUMS) as f64;
        let limited = values.saturating_sub(self.ahead) as f64 * self.pace + step;
        side as f64 + if values > self.ahead { free.max(limited) } else { free }
    }

    /// Cycles of the tiles without any wait.
    pub fn computing(&self) -> u64 {
        self.values * self.each
    }
}

/// An operation that the unit has taken.
#[derive(Debug, Clone)]
struct Running {
    started: Started,
    work: Option<Work>,
    /// Beats taken; where the first decision would have been without the waits so far.
    taken: u64,
    base: f64,
    begun: bool,
    first: u64,
    /// When its q_sums are there, for a MATK.
    summed: u64,
    /// Cycles that it waited for beats.
    waited: f64,
}

/// The end of an operation, and where its cycles went.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub started: Started,
    pub done: u64,
    /// The walker's first and last decision.
    pub first: u64,
    pub last: u64,
    pub computing: u64,
    pub parameters: u64,
    pub stream: u64,
    pub output: u64,
}

/// The matrix unit.
#[derive(Debug, Clone)]
pub(super) struct Matrix {
    config: Config,
    link: u64,
    running: VecDeque<Running>,
    /// Last decision of the issue walker, last read of the drain walker, last cycle of the fetch of q_sums.
    issued: u64,
    drained: u64,
    summed: u64,
    /// When words are written to vector memory: first cycle, how many, one a cycle.
    writes: VecDeque<(u64, u64)>,
}

impl Matrix {
    pub fn new(config: &Config) -> Self {
        Self {
            config: *config,
            link: config.link as u64,
            running: VecDeque::new(),
            issued: 0,
            drained: 0,
            summed: 0,
            writes: VecDeque::new(),
        }
    }

    /// The unit takes an operation.
    pub fn begin(&mut self, started: Started, constants: &Constants) {
        let work = work(&started.operation, &self.config, constants);
        self.running.push_back(Running {
            started,
            work,
            taken: 0,
            base: 0.0,
            begun: false,
            first: 0,
            summed: 0,
            waited: 0.0,
        });
    }

    /// Whether the oldest operation waits for beats.
    pub fn wants(&self) -> bool {
        self.running.front().is_some_and(|r| r.work.is_some_and(|w| r.taken < w.beats))
    }

    /// Takes the beats of a piece.
    pub fn take(&mut self, piece: &Piece, pops: &mut Pops) {
        let Some(r) = self.running.front_mut() else { return };
        let Some(w) = &r.work else { return };
        if !r.begun {
            r.begun = true;
            r.first = (r.started.at + lat::MAT_START).max(self.issued + 1);
            r.base = r.first as f64;
            // A MATK needs its q_sums; others pass the fetch in order.
            self.summed = match r.started.operation.op {
                Op::MATK => (r.started.at + lat::Q_SUMS).max(self.summed + 2) + w.rows,
                _ => (r.started.at + 2).max(self.summed + 1),
            };
            r.summed = if r.started.operation.op == Op::MATK { self.summed } else { 0 };
        }
        let free = r.base;
        for (i, &(beat, cycle)) in piece.knots.iter().enumerate() {
            r.base = r.base.max(cycle as f64 - w.before(r.taken + beat));
            let until = piece.knots.get(i + 1).map_or(piece.beats, |next| next.0);
            pops.push(w, r.base, r.taken + until, until - beat);
            let values = [beat, until].map(|b| w.values_in(r.taken + b));
            for step in values[0] / w.row_beats..values[1] / w.row_beats {
                let last = w.through((step + 1) * w.row_beats - 1) - 1;
                let sums = (r.base + w.before(last)) as u64 + w.each - w.lane_steps + lat::SUMS;
                for entry in 0..w.lane_steps {
                    let n = if entry + 1 < w.lane_steps { w.entry } else { w.last_entry };
                    let read = (sums + entry).max(self.drained + 1).max(r.summed);
                    self.drained = read + n - 1;
                    if r.started.operation.op != Op::MATK {
                        self.writes.push_back((read + lat::RESULTS + 2 * self.link + lat::WRITE_PORT, n));
                    }
                }
            }
        }
        r.waited += r.base - free;
        r.taken += piece.beats;
    }

    /// The cycle of the last of `words` words that the vector unit writes from cycle `first` on, one a cycle where this unit
    /// writes none. Forgets this unit's writes before.
    pub fn written(&mut self, first: u64, words: u64) -> u64 {
        while self.writes.front().is_some_and(|w| w.0 + w.1 <= first) {
            self.writes.pop_front();
        }
        let (mut at, mut left) = (first, words);
        for &(from, n) in &self.writes {
            let free = from.saturating_sub(at).min(left);
            left -= free;
            at += free;
            if left == 0 {
                break;
            }
            at = at.max(from + n);
        }
        at + left - 1
    }

    /// Ends the oldest operation if all its beats are taken.
    pub fn end(&mut self) -> Option<Ended> {
        let r = self.running.front()?;
        if r.work.is_some_and(|w| r.taken < w.beats) {
            return None;
        }
        let r = self.running.pop_front()?;
        let results = lat::RESULTS + 2 * self.link;
        let begin = r.started.at + lat::MAT_START;
        let Some(w) = r.work else {
            // Nothing to do: the walkers step over it.
            let drained = begin.max(self.drained + 1);
            self.drained = drained;
            self.issued = (begin - 1).max(self.issued + 1);
            let (first, last) = (begin, begin);
            let none = Ended {
                started: r.started,
                done: drained + results,
                first,
                last,
                computing: 0,
                parameters: 0,
                stream: 0,
                output: 0,
            };
            return Some(none);
        };
        let end = r.base + w.before(w.beats - 1) + w.each as f64 - 1.0;
        let last = end as u64;
        self.issued = last;
        let drained = self.drained;
        let computing = w.computing();
        let parameters = w.beats - w.values;
        let ended = Ended {
            done: drained + results,
            first: r.first,
            last,
            computing,
            parameters,
            stream: r.waited as u64,
            output: (last + 1 - r.first).saturating_sub(computing + parameters + r.waited as u64),
            started: r.started,
        };
        Some(ended)
    }
}
