//! Prefetcher and channel readers: from operations to segments, from segments to bursts, from bursts to rows of beats.
//!
//! All channels do the same at the same time, but for the moments of their memories' refreshes; channels whose memories
//! refresh together are one here. A burst is begun when the FIFOs have room for it, which the matrix unit makes; what the
//! FIFOs hold is the difference of two counts of beats.

use super::latency as lat;
use super::memory::{Memories, MemoryError};
use super::operands::{Constants, Operation};
use super::port::{Arrival, Port};
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
            let chunk = if constants.hdp() == 64 { 8 } else { 16 };
            (n + n.div_ceil(chunk), u64::from(!none))
        }
        _ => (n, if none { 0 } else { o.sh.into() }),
    };
    Segments { at: o.a.into(), beats, stride: k, count }
}

/// A burst whose beats are on their way: the row of beats that all channels complete.
#[derive(Debug, Clone)]
pub(super) struct Burst {
    pub beats: u64,
    /// Beat of the burst, cycle from which the matrix unit may take it and one more each cycle.
    pub knots: Vec<(u64, u64)>,
}

/// When the matrix unit took beats, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Pops {
    /// Beats up to its end and in it, cycles of its first and last beat.
    runs: VecDeque<(u64, u64, u64, u64)>,
    count: u64,
}

impl Pops {
    pub fn push(&mut self, beats: u64, first: u64, last: u64) {
        self.count += beats;
        self.runs.push_back((self.count, beats, first, last));
    }

    /// The cycle in which beat number `count` (from 1) is taken; forgets those before it.
    fn at(&mut self, count: u64) -> Option<u64> {
        while let Some(&(end, beats, first, last)) = self.runs.front() {
            if end >= count {
                let back = end - count;
                return Some(last - (last - first) * back / (beats - 1).max(1));
            }
            self.runs.pop_front();
        }
        None
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
    pub bursts: VecDeque<Burst>,
    arrival: Arrival,
}

impl Stream {
    pub fn new(config: &Config, memories: &Memories) -> Result<Self, MemoryError> {
        let mut paces = Vec::new();
        let mut class = Vec::new();
        for pace in memories.channels.iter().take(config.channels) {
            let found = paces.iter().position(|p| p == pace).unwrap_or(paces.len());
            if found == paces.len() {
                paces.push(pace.clone());
            }
            class.push(found);
        }
        Ok(Self {
            fifo: config.fifo as u64,
            burst: config.burst as u64,
            ports: paces.iter().map(|p| Port::new(p, memories.age)).collect::<Result<_, _>>()?,
            class,
            prefetching: None,
            free: 0,
            segments: VecDeque::new(),
            taken: VecDeque::from(vec![0; lat::SEGMENTS]),
            reading: None,
            requested: 0,
            issued: 0,
            pops: Pops::default(),
            bursts: VecDeque::new(),
            arrival: Arrival::default(),
        })
    }

    /// A write of one beat to a channel, or with `None` to all of them: the cycle of the last answer.
    pub fn write(&mut self, channel: Option<usize>, cycle: u64, beat: u64) -> u64 {
        let addr = beat * BEAT_BYTES as u64;
        match channel.and_then(|c| self.class.get(c)) {
            Some(&class) => self.ports[class].write(cycle, addr),
            None => self.ports.iter_mut().map(|p| p.write(cycle, addr)).max().unwrap_or(cycle),
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
        let need = (self.issued + self.part(&r)).saturating_sub(self.fifo);
        if need == 0 {
            return Some(r.ask);
        }
        Some(r.ask.max(self.pops.at(need)? + lat::ROOM))
    }

    /// Asks for a burst.
    pub fn request(&mut self, at: u64) {
        let Some(mut r) = self.reading else { return };
        let beats = self.part(&r).min(r.left);
        let mut burst = Burst { beats, knots: vec![(0, 0)] };
        let mut accepted = 0;
        for port in &mut self.ports {
            let addr = r.at * BEAT_BYTES as u64;
            accepted = accepted.max(port.read(at + lat::ADDRESS, addr, beats, &mut self.arrival));
            let knots = self.arrival.knots.iter().map(|k| (u64::from(k.0), k.1));
            for (beat, cycle) in knots.chain([(beats - 1, self.arrival.last)]) {
                let cycle = cycle + lat::ARRIVAL;
                if beat == 0 {
                    burst.knots[0].1 = burst.knots[0].1.max(cycle);
                } else if cycle > burst.knots[0].1 + beat {
                    burst.knots.push((beat, cycle));
                }
            }
        }
        self.bursts.push_back(burst);
        self.issued += beats;
        r.at += beats;
        r.left -= beats;
        r.ask = (at + lat::REQUEST).max(accepted + 1);
        self.requested = at;
        self.reading = (r.left > 0).then_some(r);
        self.take_segment();
    }
}
