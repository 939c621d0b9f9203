//! Semaphores and the order between the units.

use super::access::{Access, Accesses, Actor, Space};
use super::machine::Visit;
use super::{Check, violation};
use crate::layout::Layout;
use crate::program::Program;
use accllm_hw::config::Config;
use accllm_hw::isa::{SEMAPHORES, Unit};
use std::collections::VecDeque;

/// Instructions (counted from 1) of each actor that are known to be complete.
type Clock = [u32; 3];

/// State of one semaphore.
#[derive(Default)]
struct Semaphore {
    /// What each signal that nobody has waited for yet carries.
    tokens: VecDeque<Clock>,
    /// Signals so far.
    signals: u32,
    /// Instruction number, at the waiting actor, of each wait.
    waits: Vec<u32>,
    waiter: usize,
}

/// Latest accesses of each actor to each granule of a memory.
struct Shadow {
    /// log2 of the addresses of a granule.
    grain: u32,
    base: u64,
    /// `[write][actor]`, by granule.
    last: [[Vec<u32>; 3]; 2],
    /// Reads of what nobody has written are errors.
    strict: bool,
}

impl Shadow {
    fn new(base: u64, size: usize, grain: usize, strict: bool) -> Self {
        let granules = size.div_ceil(grain) + 1;
        let empty = || std::array::from_fn(|_| vec![0; granules]);
        Self { grain: grain.ilog2(), base, last: [empty(), empty()], strict }
    }
}

pub(super) struct Order<'a> {
    layout: &'a Layout,
    accesses: Accesses<'a>,
    semaphores: [Semaphore; SEMAPHORES + 1],
    /// Knowledge of each actor, itself included.
    clocks: [Clock; 3],
    /// Shadows of vmem, act, score, scalars, KV cache.
    shadows: [Shadow; 5],
    /// Program counter of the instructions of each actor.
    pcs: [Vec<u32>; 3],
    largest: u32,
}

const ACTORS: [&str; 3] = ["the prefetcher", "the matrix unit", "the vector unit"];

impl<'a> Order<'a> {
    pub fn new(program: &'a Program, config: &Config) -> Self {
        let l = &program.layout;
        Self {
            layout: l,
            accesses: Accesses::new(l),
            semaphores: std::array::from_fn(|_| Semaphore::default()),
            clocks: [[0; 3]; 3],
            shadows: [
                Shadow::new(0, config.vmem, config.vec, true),
                Shadow::new(0, config.act, 1, true),
                Shadow::new(0, config.sbuf, config.vec, false),
                Shadow::new(0, config.scalars, 1, true),
                Shadow::new(l.kv.start as u64, l.kv.end - l.kv.start, 1, false),
            ],
            pcs: std::array::from_fn(|_| Vec::new()),
            largest: 0,
        }
    }

    pub fn visit(&mut self, v: &Visit<'_>) -> Check<()> {
        let unit = if v.op.info().unit == Unit::Matrix { Actor::Matrix } else { Actor::Vector };
        if unit == Actor::Matrix {
            self.begin(v.pc, Actor::Prefetcher, &[v.instr.prefetch_wait])?;
        }
        self.begin(v.pc, unit, &v.instr.wait)?;
        let mut accesses = std::mem::replace(&mut self.accesses, Accesses::new(self.layout));
        accesses.of(v);
        let result = accesses.list.iter().try_for_each(|a| self.access(v.pc, a));
        self.accesses = accesses;
        result?;
        if unit == Actor::Matrix {
            // A matrix instruction is complete only after its own prefetch.
            let seen = self.clocks[Actor::Prefetcher as usize];
            join(&mut self.clocks[Actor::Matrix as usize], &seen);
        }
        v.instr.signal.iter().try_for_each(|&s| self.signal(v.pc, unit, s))
    }

    /// Counts the instruction and takes its tokens.
    fn begin(&mut self, pc: usize, actor: Actor, waits: &[u8]) -> Check<()> {
        let me = actor as usize;
        self.pcs[me].push(pc as u32);
        self.clocks[me][me] = self.pcs[me].len() as u32;
        for &s in waits.iter().filter(|s| **s > 0) {
            let semaphore = &mut self.semaphores[usize::from(s)];
            let Some(token) = semaphore.tokens.pop_front() else {
                let what = format!(
                    "deadlock: {} waits for semaphore {s}, which nothing earlier signals",
                    ACTORS[me]
                );
                return violation(pc, what);
            };
            semaphore.waits.push(self.clocks[me][me]);
            semaphore.waiter = me;
            join(&mut self.clocks[me], &token);
        }
        Ok(())
    }

    fn signal(&mut self, pc: usize, actor: Actor, s: u8) -> Check<()> {
        if s == 0 {
            return Ok(());
        }
        let clock = self.clocks[actor as usize];
        let semaphore = &mut self.semaphores[usize::from(s)];
        semaphore.signals += 1;
        semaphore.tokens.push_back(clock);
        // Waits that have certainly happened before this signal.
        let known = clock[semaphore.waiter];
        let done = semaphore.waits.partition_point(|&w| w <= known) as u32;
        let count = semaphore.signals - done;
        self.largest = self.largest.max(count);
        if count > 255 {
            return violation(pc, format!("semaphore {s} can count to {count}; 255 is the limit"));
        }
        Ok(())
    }

    fn access(&mut self, pc: usize, access: &Access) -> Check<()> {
        let index = match access.space {
            Space::Vmem => 0,
            Space::Act => 1,
            Space::Score => 2,
            Space::Scalar => 3,
            Space::Channel if access.start >= self.layout.kv.start as u64 => 4,
            Space::Channel | Space::Aux => return Ok(()),
        };
        let me = access.actor as usize;
        let (clock, shadow) = (self.clocks[me], &mut self.shadows[index]);
        for range in access.ranges() {
            let first = (range.start - shadow.base) >> shadow.grain;
            let last = (range.end - 1 - shadow.base) >> shadow.grain;
            for g in first as usize..=last as usize {
                let [reads, writes] = &mut shadow.last;
                if shadow.strict && !access.write && writes.iter().all(|w| w[g] == 0) {
                    let at = shadow.base + ((g as u64) << shadow.grain);
                    return violation(
                        pc,
                        format!("reads {:?} {at}, which nothing has written", access.space),
                    );
                }
                for other in (0..3).filter(|&o| o != me) {
                    let latest = writes[other][g].max(if access.write { reads[other][g] } else { 0 });
                    if latest > clock[other] {
                        let earlier = self.pcs[other][latest as usize - 1];
                        let at = shadow.base + ((g as u64) << shadow.grain);
                        let verb = if access.write { "writes" } else { "reads" };
                        let what = format!(
                            "{} {verb} {:?} {at} without waiting for {} at instruction {earlier}",
                            ACTORS[me], access.space, ACTORS[other]
                        );
                        return violation(pc, what);
                    }
                }
                let mine = if access.write { writes } else { reads };
                mine[me][g] = clock[me];
            }
        }
        Ok(())
    }

    /// At END all tokens are taken. Returns the largest count of a semaphore.
    pub fn finish(&self) -> Check<u32> {
        match self.semaphores.iter().position(|s| !s.tokens.is_empty()) {
            Some(s) => {
                let left = self.semaphores[s].tokens.len();
                let last = self.pcs[Actor::Vector as usize].last().map_or(0, |&pc| pc as usize);
                violation(last, format!("{left} signals of semaphore {s} are never waited for"))
            }
            None => Ok(self.largest),
        }
    }
}

fn join(clock: &mut Clock, other: &Clock) {
    for (c, o) in clock.iter_mut().zip(other) {
        *c = (*c).max(*o);
    }
}
