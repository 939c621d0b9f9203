//! Every latency of the RTL that the model uses, in cycles, by the place in `hw/rtl` that sets it. When a pipeline gets
//! or loses a stage, this is the file to change; `accllm timing-check` says what became of the error.

/// `ctrl/run_control`, `ctrl/sequencer`: from the first cycle that CYCLES counts to the first instruction in EXECUTE.
pub const START: u64 = 10;
/// The same from the end of loading the program.
pub const START_AFTER_LOAD: u64 = 6;
/// `ctrl/sequencer`: from one EXECUTE to the next: registers, operands, execute.
pub const INSTRUCTION: u64 = 3;
/// More after a jump.
pub const JUMP: u64 = 2;
/// `ctrl/control` (`quiet`): from the last `done` to an instruction that waits for idle units.
pub const IDLE_UNITS: u64 = 4;
/// `ctrl/run_control`: cycles counted after END's EXECUTE, its own included.
pub const END: u64 = 6;

/// `ctrl/issue`: from dispatch to the head of an empty queue.
pub const DIRECT: u64 = 1;
/// From dispatch to the read of the queue's memory.
pub const FETCH: u64 = 1;
/// From that read to the earliest move to the head; from the move to the head being there.
pub const REFILL: u64 = 1;
/// `ctrl/semaphores`: from `done` to the start of the operation that waits for it.
pub const SIGNAL: u64 = 2;
/// From the head to the start, where a semaphore has been signalled before.
pub const GRANT: u64 = 1;
/// From `done` to a free place among the operations in flight.
pub const RETIRE: u64 = 1;
/// `ctrl/issue`: operations in flight.
pub const FLIGHT: usize = 4;

/// `mem/prefetch`: from the start to the first segment; one more where n * k is computed.
pub const SEGMENT: u64 = 5;
/// From an operation without beats to its `done`.
pub const SEGMENT_NONE: u64 = 4;
/// From one segment to the next.
pub const NEXT_SEGMENT: u64 = 3;
/// From a reader's taking a segment to the next push.
pub const SEGMENT_ROOM: u64 = 2;
/// `mem/chan_reader`: segments that wait.
pub const SEGMENTS: usize = 4;
/// From a push to a reader's taking the segment.
pub const TAKE_SEGMENT: u64 = 2;
/// From there, or from a request, to the next request.
pub const REQUEST: u64 = 3;
/// From the decision to take a beat to a request that needs its room.
pub const ROOM: u64 = 3;
/// From the request's decision to its acceptance by the memory.
pub const ADDRESS: u64 = 1;
/// `mem/chan_reader`, `mat/beat_rows`: from a beat at the port to the first cycle in which its row can be asked for.
pub const ASK: u64 = 3;
/// `mat/beat_rows`: rows that are asked for in turn, one a cycle.
pub const CANDIDATES: u64 = 3;
/// `mat/beat_rows`, `mat/mat_issue`: from asking for a row that is complete to the decision to take it.
pub const ROW: u64 = 3;

/// `mat/mat_queue`, `mat/mat_issue`: from the start to the first decision.
pub const MAT_START: u64 = 2;
/// `mat/mat_issue` to `mat/mat_drain`: from the last decision of an entry to the first read of its sums.
pub const SUMS: u64 = 10;
/// `mat/mat_drain` to `done`: from the last read; and twice the configuration's `link`.
pub const RESULTS: u64 = 11;
/// `buf/vmem`: from the unit's write to the cycle that it takes from the vector unit.
pub const WRITE_PORT: u64 = 1;
/// `mat/mat_issue`: from the read of an entry to the decision that uses it again.
pub const ENTRY: u64 = 1;
/// `mat/mat_qsum`: beside a cycle a row, from the start of a MATK to its q_sums.
pub const Q_SUMS: u64 = 4;

/// `vec/vec_front`: from an operation's start to its being ready.
pub const SETUP: u64 = 3;
/// The same where two operands are multiplied.
pub const SETUP_PRODUCT: u64 = 6;
/// EMBED: from the start to the read of its token, from the read to its being ready.
pub const TOKEN: [u64; 2] = [4, 11];
/// `vec/vec_ctrl`: from taking an operation to its first step.
pub const FIRST_STEP: u64 = 1;
/// `vec/vec_pipe`: from a step to its result at the end of the lanes.
pub const EARLY: u64 = 9;
/// One product.
pub const MIDDLE: u64 = 11;
/// Two products.
pub const LATE: u64 = 15;
/// SILU.
pub const SIGMOID: u64 = 18;
/// `vec/vec_ctrl`: from the end of everything to `done`, for results written from the lanes.
pub const WRITTEN: u64 = 2;
/// `vec/vec_queue`, `vec/vec_dst`: more, for results that pass the queue to vector memory.
pub const QUEUED: u64 = 2;
/// Results that may wait there before steps do.
pub const QUEUE_ROOM: u64 = 16;
/// `vec/vec_queue`: from the end of the lanes to who takes a result.
pub const QUEUE: u64 = 1;
/// QQ: from the lanes' end to `done`: the codes' sum.
pub const CODE_SUM: u64 = 4;
/// STATK, STATQ: from the last step to `done`.
pub const STAT: u64 = 20;
/// SUMSQ.
pub const SUM_OF_SQUARES: u64 = 19;
/// SOFTMAX.
pub const SOFTMAX: u64 = 23;
/// From a SOFTMAX's last step to an ATTQ that may begin meanwhile; until when it may.
pub const CHAIN: [u64; 2] = [15, 22];
/// ARGMAX.
pub const ARGMAX: u64 = 12;
/// `vec/vec_block`: from a block's last word at the end of the lanes to `done`, beside its words.
pub const BLOCK: u64 = 8;
/// `vec/vec_rows`: from asking for a row's factors to the peak.
pub const FACTORS: u64 = 6;
/// From the peak to the row's first word.
pub const PEAK: u64 = 2;
/// From the last step of the operation before to the earliest request of factors.
pub const DRAINED: u64 = 5;
/// `vec/vec_scan`: from the start to the first word.
pub const SCAN: u64 = 7;
/// From the last word of a row to its maximum.
pub const MAXIMUM: u64 = 10;

/// `vec/vec_kv`: from taking an operation to the first request, at least.
pub const SLOT: u64 = 6;
/// From handing over to the first piece.
pub const PIECE: u64 = 1;
/// From a request's last piece to the next piece: `mem/chan_writer` gets rid of address and data.
pub const WRITER: u64 = 3;
/// From that last piece to the memory's having the data.
pub const WRITE: u64 = 2;
/// K: from the first piece of codes to the last one.
pub const CODES: u64 = 8;
/// The second beat of a key: from where parameters would be offered to its first piece.
pub const SECOND_BEAT: u64 = 1;
/// From the last piece to the next head, or to the key's second beat.
pub const NEXT_HEAD: u64 = 1;
/// V: from a request to the next one.
pub const NEXT_VALUES: u64 = 2;
/// From the last response to `done`.
pub const SYNC: u64 = 3;

/// `ctrl/aux_read`: from the request of a unit to the address at the memory; between the addresses of bursts.
pub const AUX_ADDRESS: [u64; 2] = [6, 2];
/// From a beat at the port to the step that uses it.
pub const AUX_BEAT: u64 = 2;
/// From the loader's request to its address; from the first beat to the first instruction.
pub const LOADER: [u64; 3] = [11, 1, 1];
/// `ctrl/aux_write`: cycles of a beat, from its being offered to the memory's having it.
pub const AUX_WRITE: [u64; 2] = [2, 3];
/// STORE: words between the steps and the port.
pub const STORE_ROOM: u64 = 32;
