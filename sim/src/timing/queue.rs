//! The issue queue of a unit (`ctrl/issue`) and the semaphores between the units.

use super::latency as lat;
use super::operands::Operation;
use accllm_hw::isa::SEMAPHORES;
use std::collections::VecDeque;

/// The signals of every semaphore that nobody has taken, oldest first: the cycle of the `done` that gave each.
///
/// The k-th operation that waits for a semaphore takes the k-th signal. That is what the hardware does where one unit waits
/// for it and one unit gives it, as in every program of the compiler.
#[derive(Debug, Clone, Default)]
pub(super) struct Semaphores([VecDeque<u64>; SEMAPHORES + 1]);

impl Semaphores {
    pub fn signal(&mut self, operation: &Operation, done: u64) {
        for s in operation.signal {
            if s > 0 {
                self.0[usize::from(s)].push_back(done);
            }
        }
    }

    /// When what `waits` asks for has all been signalled; `None` while it has not.
    fn signalled(&self, waits: [u8; 2]) -> Option<u64> {
        let mut latest = 0;
        for (i, &s) in waits.iter().enumerate() {
            if s == 0 {
                continue;
            }
            let earlier = usize::from(i == 1 && waits[0] == s);
            latest = latest.max(*self.0[usize::from(s)].get(earlier)?);
        }
        Some(latest)
    }

    fn take(&mut self, waits: [u8; 2]) {
        for s in waits {
            if s > 0 {
                self.0[usize::from(s)].pop_front();
            }
        }
    }
}

/// A started operation.
#[derive(Debug, Clone)]
pub(super) struct Started {
    pub operation: Operation,
    pub waits: [u8; 2],
    /// Cycle in which the unit took it.
    pub at: u64,
    /// Cycle in which it was dispatched, in which it was the oldest of its queue.
    pub dispatched: u64,
    pub head: u64,
}

/// An issue queue.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    depth: usize,
    pending: VecDeque<(Operation, [u8; 2], u64)>,
    /// Cycles in which the unit took its operations, the last `depth + 2` of them.
    takes: VecDeque<u64>,
    taken: usize,
    /// Cycles of `done` of the operations in flight, as far as known, oldest first.
    flight: VecDeque<Option<u64>>,
    /// When the operation before went from the queue's read register to the head.
    refilled: u64,
    last_done: u64,
    /// Dispatches whose operations have not been taken plus those that have.
    pushed: usize,
}

impl Queue {
    pub fn new(depth: usize) -> Self {
        Self {
            depth,
            pending: VecDeque::new(),
            takes: VecDeque::new(),
            taken: 0,
            flight: VecDeque::new(),
            refilled: 0,
            last_done: 0,
            pushed: 0,
        }
    }

    /// First cycle in which one more operation has room; `None` while that depends on operations that have not started.
    pub fn room(&self) -> Option<u64> {
        // The operation `depth` before has left the memory when the one two before it was taken.
        let Some(left) = self.pushed.checked_sub(self.depth + 2) else { return Some(0) };
        let Some(at) = left.checked_sub(self.taken - self.takes.len()) else { return Some(0) };
        self.takes.get(at).map(|t| t + lat::FETCH + 1)
    }

    pub fn push(&mut self, operation: Operation, waits: [u8; 2], cycle: u64) {
        self.pending.push_back((operation, waits, cycle));
        self.pushed += 1;
    }

    /// Whether nothing is queued, and no operation in flight of which the end is not known.
    pub fn settled(&self) -> bool {
        self.pending.is_empty() && self.flight.iter().all(Option::is_some)
    }

    /// The last `done`.
    pub fn last_done(&self) -> u64 {
        self.last_done
    }

    /// When the oldest comes to the head, and when it went there from the read register.
    fn head(&self, dispatched: u64) -> (u64, u64) {
        match self.takes.back() {
            Some(&take) if take >= dispatched => {
                let fetch = (dispatched + lat::FETCH).max(self.refilled + 1);
                let refill = (fetch + lat::REFILL).max(take);
                (refill + 1, refill)
            }
            _ => (dispatched + lat::DIRECT, self.refilled),
        }
    }

    /// When the oldest operation can start, where the unit takes it from `unit` on; `None` while that is not known.
    pub fn start(&self, semaphores: &Semaphores, unit: u64) -> Option<u64> {
        let &(_, waits, dispatched) = self.pending.front()?;
        let signalled = semaphores.signalled(waits)?;
        if self.flight.len() == lat::FLIGHT && self.flight.front()?.is_none() {
            return None;
        }
        let oldest = match self.flight.len() {
            lat::FLIGHT => self.flight.front().copied().flatten().unwrap_or(0) + lat::RETIRE,
            _ => 0,
        };
        let (head, _) = self.head(dispatched);
        let granted = match waits {
            [0, 0] => head,
            _ => (head + lat::GRANT).max(signalled + lat::SIGNAL),
        };
        Some(granted.max(oldest).max(unit))
    }

    /// Starts the oldest operation in a cycle that [`Queue::start`] gave.
    pub fn take(&mut self, semaphores: &mut Semaphores, at: u64) -> Option<Started> {
        let (operation, waits, dispatched) = self.pending.pop_front()?;
        let (head, refilled) = self.head(dispatched);
        self.refilled = refilled;
        semaphores.take(waits);
        if self.takes.len() > self.depth + 2 {
            self.takes.pop_front();
        }
        self.takes.push_back(at);
        self.taken += 1;
        if self.flight.len() == lat::FLIGHT {
            self.flight.pop_front();
        }
        self.flight.push_back(None);
        Some(Started { operation, waits, at, dispatched, head })
    }

    /// The oldest operation in flight whose end was not known ends in `cycle`.
    pub fn done(&mut self, cycle: u64) {
        if let Some(slot) = self.flight.iter_mut().find(|f| f.is_none()) {
            *slot = Some(cycle);
        }
        self.last_done = self.last_done.max(cycle);
    }
}
