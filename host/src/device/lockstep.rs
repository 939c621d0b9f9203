//! Golden executor and RTL side by side: every element that one writes, the other must write.

use super::place::Places;
use super::{Device, GoldenDevice, Outcome, Verilator};
use crate::{Error, Result};
use accllm_compiler::Program;
use accllm_hw::isa::ARGS;
use accllm_sim::golden::Executed;
use accllm_sim::lockstep::Lockstep;

/// How much has been compared, without a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Compared {
    /// Outputs of instructions.
    pub tensors: u64,
    /// Their elements.
    pub elements: u64,
}

/// Both devices; results are the RTL's.
pub struct LockstepDevice {
    program: Program,
    golden: GoldenDevice,
    rtl: Verilator,
    compared: Compared,
}

impl LockstepDevice {
    /// Two devices with the same program and image.
    pub fn new(program: &Program, golden: GoldenDevice, rtl: Verilator) -> Self {
        Self { program: program.clone(), golden, rtl, compared: Compared::default() }
    }
}

impl Device for LockstepDevice {
    fn write_aux(&mut self, beat: usize, bytes: &[u8]) -> Result<()> {
        self.golden.write_aux(beat, bytes)?;
        self.rtl.write_aux(beat, bytes)
    }

    fn read_aux(&mut self, beat: usize, bytes: &mut [u8]) -> Result<()> {
        self.rtl.read_aux(beat, bytes)
    }

    fn run(&mut self, args: [u32; ARGS]) -> Result<Outcome> {
        let mut compare = Lockstep::new();
        let mut places = Places::new(&self.program, &args);
        let golden = self.golden.run_observed(args, &mut |record: Executed| {
            places.learn(&record);
            compare.expect(record);
        })?;
        let rtl = self.rtl.run_observed(args, &mut compare);
        // A difference says more than the fault or the hang that may follow from it.
        let report = if rtl.is_ok() { compare.finish() } else { compare.report() };
        self.compared.tensors += report.tensors;
        self.compared.elements += report.elements;
        if let Some(d) = &report.difference {
            return Err(Error::Mismatch(format!("RTL and golden executor differ: {}", d.message(&places))));
        }
        let rtl = rtl?;
        if (rtl.token, rtl.logit) != (golden.token, golden.logit) {
            return Err(Error::Mismatch(format!(
                "result registers: RTL token {} with logit {}, golden {} with {}",
                rtl.token, rtl.logit, golden.token, golden.logit
            )));
        }
        Ok(rtl)
    }

    fn compared(&self) -> Option<Compared> {
        Some(self.compared)
    }
}
