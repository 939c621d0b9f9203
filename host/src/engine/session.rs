//! A compiled program on a device as an engine.

use super::Engine;
use crate::device::{Counters, Device, Outcome};
use crate::{Error, Result};
use accllm_compiler::{Layout, Program, Step};

/// Sums of what the hardware counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Work {
    /// Runs of the program.
    pub runs: u64,
    /// Tokens that went in.
    pub tokens: u64,
    /// Sums of the counters; zero on devices without clock.
    pub counters: Counters,
}

/// A text on a device: the prompt in blocks, then token by token.
pub struct Session<D> {
    device: D,
    layout: Layout,
    position: u64,
    prefill: Work,
    decode: Work,
}

impl<D: Device> Session<D> {
    /// An empty text on a device that holds `program`.
    pub fn new(program: &Program, device: D) -> Self {
        let layout = program.layout.clone();
        Self { device, layout, position: 0, prefill: Work::default(), decode: Work::default() }
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The device, to finish what it records.
    pub fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// Runs for texts of several tokens: prompts.
    pub fn prefill(&self) -> &Work {
        &self.prefill
    }

    /// Runs for single tokens.
    pub fn decode(&self) -> &Work {
        &self.decode
    }

    /// One run of the program; the next token, if the head was asked for.
    fn step(&mut self, tokens: &[u32], head: bool) -> Result<Outcome> {
        let step = Step { position: self.position, tokens: tokens.len(), head };
        let args = self.layout.args(step)?;
        let block = self.layout.io_block(self.position, tokens)?;
        self.device.write_aux(self.layout.aux.ids, &block)?;
        let outcome = self.device.run(args)?;
        self.position += tokens.len() as u64;
        Ok(outcome)
    }

    /// Logits of the last token fed.
    ///
    /// # Errors
    /// Nothing was fed yet.
    pub fn logits(&mut self) -> Result<Vec<i32>> {
        if self.position == 0 {
            return Err(Error::Argument("there are no logits before the first token".into()));
        }
        let mut bytes = vec![0; 4 * self.layout.shape.dims.vocab];
        self.device.read_aux(self.layout.aux.logits, &mut bytes)?;
        Ok(bytes.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
}

impl<D: Device> Engine for Session<D> {
    fn feed(&mut self, tokens: &[u32]) -> Result<u32> {
        let blocks = tokens.len().div_ceil(self.layout.shape.block);
        let mut next = Err(Error::Argument("there is no token to continue from".into()));
        for (i, block) in tokens.chunks(self.layout.shape.block).enumerate() {
            let outcome = self.step(block, i + 1 == blocks)?;
            let work = if tokens.len() > 1 { &mut self.prefill } else { &mut self.decode };
            work.add(block.len(), outcome.counters);
            next = Ok(outcome.token);
        }
        next
    }
}

impl Work {
    pub(crate) fn add(&mut self, tokens: usize, counters: Option<Counters>) {
        self.runs += 1;
        self.tokens += tokens as u64;
        let (Some(c), sum) = (counters, &mut self.counters) else { return };
        sum.cycles += c.cycles;
        sum.mat_busy += c.mat_busy;
        sum.mat_stall_stream += c.mat_stall_stream;
        sum.mat_stall_wait += c.mat_stall_wait;
        sum.mat_stall_out += c.mat_stall_out;
        sum.mat_idle += c.mat_idle;
        sum.vec_busy += c.vec_busy;
        sum.vec_wait += c.vec_wait;
        sum.beats_read += c.beats_read;
        sum.beats_written += c.beats_written;
        sum.aux_beats_read += c.aux_beats_read;
        sum.aux_beats_written += c.aux_beats_written;
        sum.prefetch_wait += c.prefetch_wait;
        sum.instructions += c.instructions;
    }
}
