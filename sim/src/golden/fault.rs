//! Faults, with the codes of the STATUS register.

use accllm_hw::regs::FAULTS;

/// Why a run stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum FaultCode {
    /// Illegal instruction, bad loop nesting, or a unit constant without a legal value.
    Illegal = 1,
    /// The program does not fit, lies outside auxiliary memory, or runs past its end.
    Program = 2,
    /// A channel read outside the memory map.
    ReadRange = 3,
    /// A channel write outside the writable range.
    WriteRange = 4,
    /// An access outside auxiliary memory, or a token id outside the vocabulary.
    AuxRange = 5,
    /// An on-chip address outside its buffer, or not aligned.
    OnchipRange = 6,
    /// The memory refused a channel read.
    AxiRead = 7,
    /// The memory refused a channel write.
    AxiWrite = 8,
    /// The memory refused an auxiliary access.
    AxiAux = 9,
    /// A wait for a semaphore that no earlier instruction has signalled.
    Stall = 10,
    /// A semaphore counted past 255.
    Semaphore = 11,
    /// [`super::Limits::work`] is used up. The hardware has no such limit.
    WorkLimit = 256,
}

impl FaultCode {
    /// The number in STATUS (256 for the limit that only the executor has).
    pub fn number(self) -> u32 {
        self as u32
    }

    /// Name as in the register table.
    pub fn name(self) -> &'static str {
        FAULTS.iter().find(|f| f.0 == self.number()).map_or("WORK_LIMIT", |f| f.1)
    }
}

/// A fault: what stopped the run, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} at instruction {pc}: {message}", code.name())]
pub struct Fault {
    /// Which fault.
    pub code: FaultCode,
    /// Index of the instruction.
    pub pc: u32,
    /// Channel or address, as in FAULT_INFO.
    pub info: u32,
    /// What was out of order, in words.
    pub message: String,
}

impl Fault {
    /// A fault whose `pc` the sequencer fills in.
    pub(super) fn new(code: FaultCode, info: u64, message: impl Into<String>) -> Self {
        Self { code, pc: 0, info: info as u32, message: message.into() }
    }

    pub(super) fn illegal(message: impl Into<String>) -> Self {
        Self::new(FaultCode::Illegal, 0, message)
    }

    pub(super) fn onchip(address: u64, message: impl Into<String>) -> Self {
        Self::new(FaultCode::OnchipRange, address, message)
    }
}
