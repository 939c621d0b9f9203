//! What a run tells.

use accllm_hw::regs;

/// The 64-bit counters, in register order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)] // the register table says what they mean
pub struct Counters {
    pub cycles: u64,
    pub mat_busy: u64,
    pub mat_stall_stream: u64,
    pub mat_stall_wait: u64,
    pub mat_stall_out: u64,
    pub mat_idle: u64,
    pub vec_busy: u64,
    pub vec_wait: u64,
    pub beats_read: u64,
    pub beats_written: u64,
    pub aux_beats_read: u64,
    pub aux_beats_written: u64,
    pub prefetch_wait: u64,
    pub instructions: u64,
    pub mat_done: u64,
    pub vec_done: u64,
}

impl Counters {
    /// Number of counters.
    pub const COUNT: usize = 16;

    /// From the values in register order.
    pub fn from_values(v: [u64; Self::COUNT]) -> Self {
        Self {
            cycles: v[0],
            mat_busy: v[1],
            mat_stall_stream: v[2],
            mat_stall_wait: v[3],
            mat_stall_out: v[4],
            mat_idle: v[5],
            vec_busy: v[6],
            vec_wait: v[7],
            beats_read: v[8],
            beats_written: v[9],
            aux_beats_read: v[10],
            aux_beats_written: v[11],
            prefetch_wait: v[12],
            instructions: v[13],
            mat_done: v[14],
            vec_done: v[15],
        }
    }
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, o: Self) {
        self.cycles += o.cycles;
        self.mat_busy += o.mat_busy;
        self.mat_stall_stream += o.mat_stall_stream;
        self.mat_stall_wait += o.mat_stall_wait;
        self.mat_stall_out += o.mat_stall_out;
        self.mat_idle += o.mat_idle;
        self.vec_busy += o.vec_busy;
        self.vec_wait += o.vec_wait;
        self.beats_read += o.beats_read;
        self.beats_written += o.beats_written;
        self.aux_beats_read += o.aux_beats_read;
        self.aux_beats_written += o.aux_beats_written;
        self.prefetch_wait += o.prefetch_wait;
        self.instructions += o.instructions;
        self.mat_done += o.mat_done;
        self.vec_done += o.vec_done;
    }
}

/// A finished run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunReport {
    /// Cycles from start to done.
    pub cycles: u64,
    /// The counter registers.
    pub counters: Counters,
    /// RESULT_INDEX.
    pub result_index: u32,
    /// RESULT_VALUE.
    pub result_value: i32,
    /// STATUS: 0, or the code of a fault.
    pub status: u32,
    /// FAULT_PC.
    pub fault_pc: u32,
    /// FAULT_INFO.
    pub fault_info: u32,
}

impl RunReport {
    /// Whether the run ended without a fault.
    pub fn ok(&self) -> bool {
        self.status == 0
    }

    /// The fault in words, if there is one.
    pub fn fault(&self) -> Option<String> {
        let what = match self.status {
            0 => return None,
            regs::FAULT_STALL => waits(self.fault_info),
            _ => format!("info {:#x}", self.fault_info),
        };
        Some(format!("instruction {}: {} ({what})", self.fault_pc, regs::fault_text(self.status)))
    }
}

/// The bits of a STALL fault's FAULT_INFO, and of the trace state, in words.
pub fn waits(info: u32) -> String {
    const TEXT: [&str; 9] = [
        "the next matrix operation waits for a semaphore",
        "the matrix unit runs",
        "the next vector operation waits for a semaphore",
        "the vector unit runs",
        "the prefetcher waits for a semaphore",
        "the prefetcher runs",
        "the matrix unit waits for beats",
        "the program is being loaded",
        "traffic of the run before does not end",
    ];
    let parts: Vec<_> =
        TEXT.iter().enumerate().filter(|(i, _)| info >> i & 1 != 0).map(|(_, t)| *t).collect();
    if parts.is_empty() { "no unit has work".to_owned() } else { parts.join(", ") }
}
