//! Golden executor and RTL as one device, compared in every run, without a reference model beside them.

use super::{Compared, Device, GoldenDevice, Outcome, Verilator, pair};
use crate::Result;
use accllm_compiler::Program;
use accllm_hw::isa::ARGS;

/// Both with the same program. Results are those of the RTL.
pub struct PairDevice {
    program: Program,
    golden: GoldenDevice,
    rtl: Verilator,
    compared: Compared,
}

impl PairDevice {
    /// Devices that hold `program`.
    pub fn new(program: &Program, golden: GoldenDevice, rtl: Verilator) -> Self {
        Self { program: program.clone(), golden, rtl, compared: Compared::default() }
    }
}

impl Device for PairDevice {
    fn write_aux(&mut self, beat: usize, bytes: &[u8]) -> Result<()> {
        self.golden.write_aux(beat, bytes)?;
        self.rtl.write_aux(beat, bytes)
    }

    fn read_aux(&mut self, beat: usize, bytes: &mut [u8]) -> Result<()> {
        self.rtl.read_aux(beat, bytes)
    }

    fn write_channel(&mut self, channel: usize, beat: usize, bytes: &[u8]) -> Result<()> {
        self.golden.write_channel(channel, beat, bytes)?;
        self.rtl.write_channel(channel, beat, bytes)
    }

    fn read_channel(&mut self, channel: usize, beat: usize, bytes: &mut [u8]) -> Result<()> {
        self.rtl.read_channel(channel, beat, bytes)
    }

    fn run(&mut self, args: [u32; ARGS]) -> Result<Outcome> {
        let ran = pair::run(&self.program, &mut self.golden, &mut self.rtl, args, |_| {}, &mut ())?;
        let (outcome, report) = ran.agreed()?;
        self.compared.tensors += report.tensors;
        self.compared.elements += report.elements;
        Ok(outcome)
    }

    fn compared(&self) -> Option<Compared> {
        Some(self.compared)
    }
}
