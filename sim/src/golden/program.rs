//! A loaded program: instruction words, decoded once; illegal words fault only when they are reached.

use accllm_hw::config::{BEAT_BYTES, Config};
use accllm_hw::isa::{DecodeError, INSTR_BYTES, Instr, Op};

use super::fault::{Fault, FaultCode};
use super::limits::Limits;
use super::memory::{Memory, Port};

/// A program in instruction memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Program {
    code: Vec<Result<(Op, Instr), DecodeError>>,
}

impl Program {
    /// From instructions, through their encoding: operand bits that have no place in it are cut off.
    pub fn from_instrs(instrs: &[Instr]) -> Self {
        Self { code: instrs.iter().map(|i| Instr::decode(&i.encode())).collect() }
    }

    /// From encoded bytes; a last incomplete instruction is filled up with zeros (and so illegal).
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let word = |part: &[u8]| {
            let mut w = [0; INSTR_BYTES];
            w[..part.len()].copy_from_slice(part);
            Instr::decode(&w)
        };
        Self { code: bytes.chunks(INSTR_BYTES).map(word).collect() }
    }

    /// Loads `len` instructions from beat `address` of auxiliary memory, as at start with PROGRAM_LEN = `len`.
    ///
    /// # Errors
    /// Fault PROGRAM where the program lies outside auxiliary memory or does not fit the instruction memory.
    pub fn load<M: Memory>(
        config: &Config,
        limits: &Limits,
        memory: &M,
        address: u32,
        len: u32,
    ) -> Result<Self, Fault> {
        let beats = u64::from(len).div_ceil((BEAT_BYTES / INSTR_BYTES) as u64);
        if len as usize > config.imem || u64::from(address) + beats > u64::from(limits.aux_limit) {
            return Err(Fault::new(
                FaultCode::Program,
                address.into(),
                format!(
                    "{len} instructions at auxiliary beat {address}: '{}' holds {}, and {} beats may be read",
                    config.name, config.imem, limits.aux_limit
                ),
            ));
        }
        let mut bytes = Vec::with_capacity(beats as usize * BEAT_BYTES);
        for b in 0..beats {
            let beat = memory
                .read_beat(Port::Aux, u64::from(address) + b)
                .map_err(|e| Fault::new(FaultCode::AxiAux, e.beat, e.to_string()))?;
            bytes.extend_from_slice(&beat);
        }
        bytes.truncate(len as usize * INSTR_BYTES);
        Ok(Self::from_bytes(&bytes))
    }

    /// Instructions.
    pub fn len(&self) -> usize {
        self.code.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.code.is_empty()
    }

    /// The instruction at `pc`, or the fault of reaching it.
    pub(super) fn fetch(&self, pc: u32) -> Result<(Op, &Instr), Fault> {
        match self.code.get(pc as usize) {
            Some(Ok((op, instr))) => Ok((*op, instr)),
            Some(Err(e)) => Err(Fault::illegal(e.to_string())),
            None => Err(Fault::new(
                FaultCode::Program,
                pc.into(),
                format!("the program has {} instructions and no END on this path", self.code.len()),
            )),
        }
    }
}
