//! A device that holds a program: one run after the other, and what they counted.

use crate::Result;
use accllm_compiler::{Layout, Program};
use accllm_device::perf::Work;
use accllm_device::{Device, Outcome};
use accllm_hw::isa::ARGS;
use accllm_hw::numbers::numbers;

/// What a run is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Of a prompt.
    Prefill,
    /// Of single tokens.
    Decode,
}

/// A device with the layout of its program.
pub struct Loaded<D> {
    /// The device.
    pub device: D,
    /// Of the program that it holds.
    pub layout: Layout,
    /// Runs of prompts.
    pub prefill: Work,
    /// Runs of single tokens.
    pub decode: Work,
}

impl<D: Device> Loaded<D> {
    /// A device that holds `program` and has not run it yet.
    pub fn new(program: &Program, device: D) -> Self {
        Self { device, layout: program.layout.clone(), prefill: Work::default(), decode: Work::default() }
    }

    /// Runs the program once with these arguments and this IO block, into which `tokens` tokens go.
    ///
    /// # Errors
    /// The device's.
    pub fn run(&mut self, args: [u32; ARGS], io: &[u8], phase: Phase, tokens: usize) -> Result<Outcome> {
        self.device.write_aux(self.layout.aux.ids, io)?;
        let outcome = self.device.run(args)?;
        let work = match phase {
            Phase::Prefill => &mut self.prefill,
            Phase::Decode => &mut self.decode,
        };
        work.add(tokens, outcome.counters);
        Ok(outcome)
    }

    /// Logits that the last run left in a row: 0, or one for each sequence of a batch.
    ///
    /// # Errors
    /// The device's.
    pub fn logits(&mut self, row: usize) -> Result<Vec<i32>> {
        let aux = &self.layout.aux;
        let mut bytes = vec![0; 4 * self.layout.shape.sizes.vocab];
        self.device.read_aux(aux.logits + row * aux.logits_row, &mut bytes)?;
        Ok(numbers(&bytes).collect())
    }
}
