//! Register map of `s_axi_control` (32-bit AXI4-Lite): one table, from which `accllm_regs_pkg.sv` and
//! `docs/registers.md` are made. Control registers follow the ap_ctrl_hs/chain protocol of Vitis RTL kernels.

/// Access of a register from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read and write.
    Rw,
    /// Read only.
    Ro,
}

/// A register, or an array of `count` registers `stride` bytes apart.
#[derive(Debug, Clone, Copy)]
pub struct Reg {
    /// Name.
    pub name: &'static str,
    /// Byte offset.
    pub offset: u32,
    /// Bits: 32, or 64 (low word first).
    pub bits: u32,
    /// Elements.
    pub count: u32,
    /// Access.
    pub access: Access,
    /// Meaning.
    pub doc: &'static str,
}

macro_rules! regs {
    ($($name:ident = $offset:literal, $bits:literal x $count:literal, $access:ident, $doc:literal;)+) => {
        $(#[doc = $doc] pub const $name: u32 = $offset;)+
        /// The register table.
        pub const REGS: &[Reg] = &[$(Reg {
            name: stringify!($name), offset: $offset, bits: $bits, count: $count, access: Access::$access, doc: $doc,
        },)+];
    };
}

regs! {
    CTRL = 0x000, 32 x 1, Rw, "ap_ctrl: bit 0 start (write 1), 1 done (cleared by reading), 2 idle, 3 ready, 4 continue, 7 auto_restart (reads 0)";
    GIER = 0x004, 32 x 1, Rw, "bit 0: interrupt enable";
    IER = 0x008, 32 x 1, Rw, "bit 0: interrupt on done";
    ISR = 0x00c, 32 x 1, Rw, "bit 0: done happened; write 1 toggles";
    PROGRAM_ADDR = 0x010, 32 x 1, Rw, "program, beat offset in auxiliary memory";
    PROGRAM_LEN = 0x014, 32 x 1, Rw, "program length in instructions; 0: keep the one that is loaded";
    CHANNEL_LIMIT = 0x018, 32 x 1, Rw, "beats of every channel that may be read";
    WRITE_LOW = 0x01c, 32 x 1, Rw, "first beat of every channel that may be written (KV cache)";
    WRITE_HIGH = 0x020, 32 x 1, Rw, "one past the last beat that may be written";
    AUX_LIMIT = 0x024, 32 x 1, Rw, "beats of auxiliary memory that may be read";
    AUX_WRITE_LOW = 0x028, 32 x 1, Rw, "first beat of auxiliary memory that may be written";
    AUX_WRITE_HIGH = 0x02c, 32 x 1, Rw, "one past the last";
    WATCHDOG = 0x030, 32 x 1, Rw, "cycles without progress of any unit until a stall fault; 0 counts as 2^20";
    ARG = 0x034, 32 x 15, Rw, "arguments, become registers 1..15 at start";
    AUX_BASE = 0x070, 64 x 1, Rw, "byte address of auxiliary memory";
    CHANNEL_BASE = 0x078, 64 x 32, Rw, "byte address of each channel's memory";
    STATUS = 0x180, 32 x 1, Ro, "fault code, 0 = none (see faults)";
    FAULT_PC = 0x184, 32 x 1, Ro, "index of the instruction that faulted";
    FAULT_INFO = 0x188, 32 x 1, Ro, "channel or address of the fault";
    RESULT_INDEX = 0x18c, 32 x 1, Ro, "ARGMAX: index";
    RESULT_VALUE = 0x190, 32 x 1, Ro, "ARGMAX: value (signed)";
    VERSION = 0x194, 32 x 1, Ro, "contract version in bits 15:0, channels in 23:16, lanes in 31:24";
    CYCLES = 0x200, 64 x 1, Ro, "cycles of the last run";
    MAT_BUSY = 0x208, 64 x 1, Ro, "cycles in which the tiles computed";
    MAT_STALL_STREAM = 0x210, 64 x 1, Ro, "cycles in which a matrix instruction waited for a channel's beats";
    MAT_STALL_WAIT = 0x218, 64 x 1, Ro, "cycles in which the next matrix instruction waited for a semaphore";
    MAT_STALL_OUT = 0x220, 64 x 1, Ro, "cycles in which results waited for the vector memory";
    MAT_IDLE = 0x228, 64 x 1, Ro, "cycles without a matrix instruction";
    VEC_BUSY = 0x230, 64 x 1, Ro, "cycles in which a vector instruction ran";
    VEC_WAIT = 0x238, 64 x 1, Ro, "cycles in which the next vector instruction waited for a semaphore";
    BEATS_READ = 0x240, 64 x 1, Ro, "beats read, all channels";
    BEATS_WRITTEN = 0x248, 64 x 1, Ro, "beats written, all channels";
    AUX_BEATS_READ = 0x250, 64 x 1, Ro, "beats read from auxiliary memory";
    AUX_BEATS_WRITTEN = 0x258, 64 x 1, Ro, "beats written to auxiliary memory";
    PREFETCH_WAIT = 0x260, 64 x 1, Ro, "cycles in which the prefetcher waited for a semaphore";
    INSTRUCTIONS = 0x268, 64 x 1, Ro, "instructions executed";
    MAT_DONE = 0x270, 64 x 1, Ro, "matrix instructions completed";
    VEC_DONE = 0x278, 64 x 1, Ro, "vector instructions completed";
    CONFIG = 0x280, 32 x 32, Ro, "parameters of the engine, in the order of docs/configurations.md; 0 after the last one";
}

/// Version of the contract (ISA, formats, register map), in VERSION.
pub const CONTRACT_VERSION: u32 = 6;

/// Code of the fault STALL, whose FAULT_INFO says who waits.
pub const FAULT_STALL: u32 = 10;

/// Fault codes of STATUS.
pub const FAULTS: &[(u32, &str, &str)] = &[
    (1, "ILLEGAL", "illegal instruction (unknown opcode, or bad loop nesting); index in FAULT_PC"),
    (
        2,
        "PROGRAM",
        "the program does not fit the instruction memory, lies outside auxiliary memory, or runs past its end",
    ),
    (3, "READ_RANGE", "a channel read outside the memory map"),
    (4, "WRITE_RANGE", "a channel write outside the writable range"),
    (5, "AUX_RANGE", "an access outside auxiliary memory, or a token id outside the vocabulary"),
    (6, "ONCHIP_RANGE", "an on-chip address outside its buffer"),
    (7, "AXI_READ", "AXI error response to a channel read; FAULT_INFO is the channel"),
    (8, "AXI_WRITE", "AXI error response to a channel write; FAULT_INFO is the channel"),
    (9, "AXI_AUX", "AXI error response on the auxiliary port"),
    (10, "STALL", "no progress for WATCHDOG cycles: a stalled channel, or a semaphore that nobody signals"),
    (11, "SEMAPHORE", "a semaphore counted past 255"),
];

/// Name and text of a fault code.
pub fn fault_text(code: u32) -> String {
    FAULTS
        .iter()
        .find(|f| f.0 == code)
        .map_or_else(|| format!("unknown fault {code}"), |f| format!("{}: {}", f.1, f.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_do_not_overlap() {
        let mut used = std::collections::BTreeSet::new();
        for r in REGS {
            for word in 0..r.count * r.bits / 32 {
                assert!(used.insert(r.offset + 4 * word), "{}", r.name);
            }
        }
    }
}
