//! What every unit does in a cycle: the trace outputs `trace_units` and `trace_pc`, and the beats at the ports.

/// One of the units that take operations in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// The prefetcher, which gets the matrix operations too.
    Prefetch,
    /// The matrix unit.
    Matrix,
    /// The vector unit.
    Vector,
}

/// One cycle of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// The bits of `trace_units`.
    pub units: u32,
    /// The instruction that the sequencer is at.
    pub pc: u16,
    /// Ports, one bit each, at which a read beat moves.
    pub read: u64,
    /// Ports at which a written beat moves.
    pub written: u64,
}

impl Activity {
    /// Index of a bit of `trace_units`; for the first three kinds, of the prefetcher's.
    const WAITS: [u32; 3] = [4, 0, 2];
    const STREAM: u32 = 6;
    const LOAD: u32 = 7;
    const FLUSH: u32 = 8;
    const QUEUED: u32 = 9;
    const START: u32 = 12;
    const DONE: u32 = 15;
    const BEGIN: u32 = 18;
    const COMPUTE: u32 = 19;
    const OUT: u32 = 20;
    const POP: u32 = 21;
    const EXECUTED: u32 = 22;
    const RUN: u32 = 23;

    #[inline]
    fn bit(&self, i: u32) -> bool {
        self.units >> i & 1 != 0
    }

    /// The next operation of a unit waits for a semaphore.
    #[inline]
    pub fn waits(&self, unit: Queue) -> bool {
        self.bit(Self::WAITS[unit as usize])
    }

    /// An operation of a unit has started and is not done.
    #[inline]
    pub fn runs(&self, unit: Queue) -> bool {
        self.bit(Self::WAITS[unit as usize] + 1)
    }

    /// A unit has operations that wait or run.
    #[inline]
    pub fn queued(&self, unit: Queue) -> bool {
        self.bit(Self::QUEUED + unit as u32)
    }

    /// A unit takes its next operation.
    #[inline]
    pub fn starts(&self, unit: Queue) -> bool {
        self.bit(Self::START + unit as u32)
    }

    /// A unit's oldest operation is done.
    #[inline]
    pub fn done(&self, unit: Queue) -> bool {
        self.bit(Self::DONE + unit as u32)
    }

    /// The tiles come to the next matrix operation, in the next cycle.
    #[inline]
    pub fn begins(&self) -> bool {
        self.bit(Self::BEGIN)
    }

    /// The tiles compute.
    #[inline]
    pub fn computes(&self) -> bool {
        self.bit(Self::COMPUTE)
    }

    /// The tiles take a beat of parameters or scales, and compute nothing.
    #[inline]
    pub fn side_beat(&self) -> bool {
        self.bit(Self::POP) && !self.computes()
    }

    /// The tiles wait for a channel's beats.
    #[inline]
    pub fn starves(&self) -> bool {
        self.bit(Self::STREAM)
    }

    /// The tiles wait for room for results.
    #[inline]
    pub fn blocked(&self) -> bool {
        self.bit(Self::OUT)
    }

    /// All channels hand a beat to the tiles.
    #[inline]
    pub fn pops(&self) -> bool {
        self.bit(Self::POP)
    }

    /// The sequencer is through with instruction [`Activity::pc`]: a control instruction is executed, another one is on
    /// its way to its unit.
    #[inline]
    pub fn executed(&self) -> bool {
        self.bit(Self::EXECUTED)
    }

    /// The program is being loaded.
    #[inline]
    pub fn loads(&self) -> bool {
        self.bit(Self::LOAD)
    }

    /// The engine waits for the end of earlier traffic.
    #[inline]
    pub fn flushes(&self) -> bool {
        self.bit(Self::FLUSH)
    }

    /// The cycle belongs to a run: CYCLES counts it.
    #[inline]
    pub fn in_run(&self) -> bool {
        self.bit(Self::RUN)
    }
}
