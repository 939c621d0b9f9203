//! Prefetcher and channel readers: from operations to segments, from segments to bursts, from bursts to rows of beats.
//!
//! All channels do the same at the same time, but for the moments of their memories' refreshes; channels whose memories
//! refresh together are one here. A burst is begun when the FIFOs have room for it, which the matrix unit makes; what the
//! FIFOs hold is the difference of two counts of beats.

use super::latency as lat;
use super::matrix::Work;
use super::memory::Left;
use super::operands::{Constants, Operation};
use super::port::Port;
use super::row::{self as rows, Rows};
use accllm_hw::beat::KeyBeats;
use accllm_hw::config::{BEAT_BYTES, Config};
use accllm_hw::isa::Op;
use std::collections::VecDeque;

/// Beats of a page, which no burst crosses.
const PAGE: u64 = 64;

/// Segments of an operation: first beat, beats, beats from one to the next, how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segments {
    pub at: u64,
    pub beats: u64,
    pub stride: u64,
    pub count: u64,
}

/// What a matrix operation reads of every channel: (docs/rtl.md, Streams).
pub(super) fn segments(o: &Operation, constants: &Constants) -> Segments {
    let (n, k) = (u64::from(o.n), u64::from(o.k));
    let none = o.n == 0 || o.m == 0;
    let (beats, count) = match o.op {
        Op::MATW => {
            let values = n * k;
            let scales = if o.flags & 3 == 0 { 0 } else { values.div_ceil(8) };
            (values + scales + n.div_ceil(16), u64::from(!none && k > 0))
        }
        Op::MATK => {
            let keys = KeyBeats::of(constants.hdp() as usize);
            (keys.total(n as usize) as u64, u64::from(!none))
        }
        _ => (n, if none { 0 } else { o.sh.into() }),
    };
    Segments { at: o.a.into(), beats, stride: k, count }
}

/// Beats of a burst that are on their way: rows of beats that all channels complete.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub beats: u64,
    /// Beat of the piece, cycle from which the matrix unit may take it and one more each cycle.
    pub knots: Vec<(u64, u64)>,
}

/// When the matrix unit took beats, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Pops {
    runs: VecDeque<Popped>,
    count: u64,
}

/// Beats of an operation that the matrix unit takes at its own pace.
#[derive(Debug, Clone)]
struct Popped {
    /// Beats of all operations up to its end.
    end: u64,
    work: Work,
    /// The first one of the operation that is none of these, and the cycle of the operation's first beat at this pace.
    until: u64,
    base: f64,
}

impl Pops {
    /// Beats of an operation before number `until`, of which so many were not pushed before.
    pub fn push(&mut self, work: &Work, base: f64, until: u64, beats: u64) {
        self.count += beats;
        self.runs.push_back(Popped { end: self.count, work: *work, until, base });
    }

    /// The cycle in which beat number `count` (from 1) is taken; forgets those before its page.
    fn at(&mut self, count: u64) -> Option<u64> {
        while self.runs.front().is_some_and(|run| run.end + PAGE < count) {
            self.runs.pop_front();
        }
        let run = self.runs.iter().find(|run| run.end >= count)?;
        let beat = run.until - 1 - (run.end - count);
        Some((run.base + run.work.before(beat)) as u64)
    }
}

/// The segment that is being read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: u64,
    left: u64,
    /// First cycle in which the next burst may be asked for.
    ask: u64,
}

/// Prefetcher, readers and what is in the FIFOs.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    fifo: u64,
    burst: u64,
    /// Channels that refresh together: their port.
    ports: Vec<Port>,
    /// Which of them a channel is.
    class: Vec<usize>,
    /// The operation that is being turned into segments: those left, earliest next push.
    prefetching: Option<(Segments, u64)>,
    /// From when on the prefetcher takes an operation.
    pub free: u64,
    /// Segments that wait for the readers: earliest cycle to take it, first beat, beats.
    segments: VecDeque<(u64, u64, u64)>,
    /// When the readers took the last segments.
    taken: VecDeque<u64>,
    reading: Option<Reading>,
    /// The last request of the segment before.
    requested: u64,
    issued: u64,
    pub pops: Pops,
    /// Beats that have not come, of each burst that has been asked for.
    bursts: VecDeque<u64>,
    rows: Rows,
    pub pieces: VecDeque<Piece>,
    /// Until then the ports have been run; beats that are not known come so much later at least; so far ahead of everything
    /// else the ports may be.
    time: u64,
    way: u64,
    ahead: u64,
    writes: Writes,
    /// Of the ports: whether there is something to do, whether an address waits, when the last one was taken.
    busy: bool,
    waits: bool,
    accepted: u64,
}

/// Writes whose answers are not all there.
#[derive(Debug, Clone, Default)]
struct Writes {
    /// Answers that are missing, the latest so far; oldest first.
    open: VecDeque<(usize, u64)>,
    /// Number of the oldest one.
    oldest: usize,
    /// Those of each port, by number.
    of: Vec<VecDeque<usize>>,
    /// Cycles of the last answers.
    answered: VecDeque<u64>,
}

impl Writes {
    fn answer(&mut self, port: usize, cycle: u64) {
        let Some(number) = self.of[port].pop_front() else { return };
        if let Some((missing, latest)) = self.open.get_mut(number - self.oldest) {
            *missing -= 1;
            *latest = cycle.max(*latest);
        }
        while let Some(&(0, latest)) = self.open.front() {
            self.open.pop_front();
            self.oldest += 1;
            self.answered.push_back(latest);
        }
    }
}

impl Stream {
    pub fn new(config: &Config, left: &Left, age: u64) -> Self {
        let ports: Vec<_> = left.channels.iter().map(|behind| Port::new(behind, age)).collect();
        let way = ports.iter().map(Port::way).min().unwrap_or(0);
        Self {
            fifo: config.fifo as u64,
            burst: config.burst as u64,
            rows: Rows::default(),
            way,
            ahead: way + lat::ASK + lat::ROW + lat::ROOM - rows::LATE,
            writes: Writes { of: vec![VecDeque::new(); ports.len()], ..Writes::default() },
            ports,
            class: left.class.clone(),
            prefetching: None,
            free: 0,
            segments: VecDeque::new(),
            taken: VecDeque::from(vec![0; lat::SEGMENTS]),
            reading: None,
            requested: 0,
            issued: 0,
            pops: Pops::default(),
            bursts: VecDeque::new(),
            pieces: VecDeque::new(),
            time: 0,
            busy: false,
            waits: false,
            accepted: 0,
        }
    }

    /// The ports, at the end of the run.
    pub fn ports(self) -> Vec<Port> {
        self.ports
    }

    /// A write of one beat to a channel, or with `None` to all of them.
    pub fn write(&mut self, channel: Option<usize>, cycle: u64, beat: u64) {
        let addr = beat * BEAT_BYTES as u64;
        let number = self.writes.oldest + self.writes.open.len();
        let to = match channel.and_then(|c| self.class.get(c)) {
            Some(&class) => class..class + 1,
            None => 0..self.ports.len(),
        };
        self.writes.open.push_back((to.len(), 0));
        for port in to {
            self.ports[port].write(cycle, addr);
            self.writes.of[port].push_back(number);
        }
        self.advance(cycle);
    }

    /// Cycles of the answers to writes, in the order of the writes.
    pub fn answered(&mut self) -> &mut VecDeque<u64> {
        &mut self.writes.answered
    }

    /// When the memories are next to be run, if there is something to do for them: before anything can be known that is asked
    /// of them because of what they do meanwhile. Without writes it does not matter if a request comes late by less than a
    /// burst, for then either many are waiting or the FIFOs are full.
    pub fn memory_at(&self, writing: bool) -> Option<u64> {
        let ahead = if writing { self.ahead } else { self.ahead.max(PAGE.min(self.fifo / 4)) };
        self.busy.then_some(self.time + ahead)
    }

    /// Runs the memories up to a cycle.
    pub fn advance(&mut self, cycle: u64) {
        let mut rows = u64::MAX;
        (self.busy, self.waits) = (false, false);
        for (i, port) in self.ports.iter_mut().enumerate() {
            port.advance(cycle);
            rows = rows.min(port.beats());
            self.busy |= port.busy();
            self.waits |= port.waits();
            self.accepted = self.accepted.max(port.accepted);
            while let Some(answer) = port.answers.pop_front() {
                self.writes.answer(i, answer);
            }
        }
        self.time = self.time.max(cycle);
        for port in &mut self.ports {
            port.pop(rows, |beat, cycles| self.rows.come(beat, cycles));
        }
        self.rows.complete(if self.busy { self.time + self.way } else { u64::MAX });
        self.cut();
    }

    /// Makes pieces of the rows that are complete.
    fn cut(&mut self) {
        while let Some(left) = self.bursts.front_mut() {
            let beats = self.rows.there().min(*left);
            if beats == 0 {
                return;
            }
            let mut knots: Vec<(u64, u64)> = Vec::new();
            for (beat, cycle) in (0..).zip(self.rows.take(beats)) {
                if knots.last().is_none_or(|&(b, c)| cycle > c + beat - b) {
                    knots.push((beat, cycle));
                }
            }
            *left -= beats;
            if *left == 0 {
                self.bursts.pop_front();
            }
            self.pieces.push_back(Piece { beats, knots });
        }
    }

    /// Whether the prefetcher has an operation.
    pub fn prefetching(&self) -> bool {
        self.prefetching.is_some()
    }

    /// The prefetcher takes an operation in cycle `at`; its `done` where that follows at once.
    pub fn begin(&mut self, o: &Operation, constants: &Constants, at: u64) -> Option<u64> {
        let s = segments(o, constants);
        let product = u64::from(o.op == Op::MATW);
        if s.count == 0 {
            self.free = at + lat::SEGMENT_NONE + product;
            return Some(self.free);
        }
        self.prefetching = Some((s, at + lat::SEGMENT + product));
        None
    }

    /// The cycle of the next push, if it is known.
    pub fn push_at(&self) -> Option<u64> {
        let (_, earliest) = self.prefetching?;
        let waiting = self.segments.len();
        if waiting >= lat::SEGMENTS {
            return None;
        }
        // The readers must have taken the fourth segment before this one.
        let before = self.taken.len() + waiting - lat::SEGMENTS;
        let room = self.taken.get(before).map_or(0, |t| t + lat::SEGMENT_ROOM);
        Some(earliest.max(room))
    }

    /// Pushes a segment; the `done` of the operation where it was its last.
    pub fn push(&mut self, at: u64) -> Option<u64> {
        let (s, earliest) = self.prefetching.as_mut()?;
        self.segments.push_back((at + lat::TAKE_SEGMENT, s.at, s.beats));
        s.at += s.stride;
        s.count -= 1;
        *earliest = at + lat::NEXT_SEGMENT;
        if s.count > 0 {
            return None;
        }
        self.prefetching = None;
        self.free = at + 1;
        Some(self.free)
    }

    /// The readers take their next segment when they can.
    fn take_segment(&mut self) {
        if self.reading.is_some() {
            return;
        }
        let Some((visible, at, beats)) = self.segments.pop_front() else { return };
        let cycle = visible.max(self.requested);
        self.taken.pop_front();
        self.taken.push_back(cycle);
        if beats > 0 {
            self.reading = Some(Reading { at, left: beats, ask: cycle + lat::REQUEST });
        }
    }

    fn part(&self, r: &Reading) -> u64 {
        (PAGE - r.at % PAGE).min(self.burst)
    }

    /// The cycle of the next request, if it is known.
    pub fn request_at(&mut self) -> Option<u64> {
        self.take_segment();
        let r = self.reading?;
        // The ports have taken the address before.
        if self.waits {
            return None;
        }
        let ask = r.ask.max(self.accepted + 1);
        let need = (self.issued + self.part(&r)).saturating_sub(self.fifo);
        if need == 0 {
            return Some(ask);
        }
        Some(ask.max(self.pops.at(need)? + lat::ROOM))
    }

    /// Asks for a burst.
    pub fn request(&mut self, at: u64) {
        let Some(mut r) = self.reading else { return };
        let beats = self.part(&r).min(r.left);
        self.bursts.push_back(beats);
        for port in &mut self.ports {
            port.read(at + lat::ADDRESS, r.at * BEAT_BYTES as u64, beats);
        }
        self.issued += beats;
        r.at += beats;
        r.left -= beats;
        r.ask = at + lat::REQUEST;
        self.requested = at;
        self.reading = (r.left > 0).then_some(r);
        self.advance(at + lat::ADDRESS + 1);
        self.take_segment();
    }
}
