//! The memory map of a program as the limit registers state it.

use crate::{Error, Result};
use accllm_compiler::Program;
use accllm_sim::golden::Limits;

/// Reads anywhere in the image; writes to the KV cache and the logits only.
pub fn limits(program: &Program) -> Result<Limits> {
    let l = &program.layout;
    let beat = |at: usize| {
        u32::try_from(at).map_err(|_| {
            Error::Argument(format!("the memory map ends at beat {at}, beyond the engine's 32-bit addresses"))
        })
    };
    Ok(Limits {
        channel_limit: beat(l.kv.end)?,
        write_low: beat(l.kv.start)?,
        write_high: beat(l.kv.end)?,
        aux_limit: beat(l.aux.end)?,
        aux_write_low: beat(l.aux.logits)?,
        aux_write_high: beat(l.aux.end)?,
        work: u64::MAX,
    })
}
