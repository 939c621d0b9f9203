//! Golden executor and RTL side by side: every element that one writes, the other must write.

use super::{Device, GoldenDevice, Outcome, Verilator};
use crate::{Error, Result};
use accllm_hw::isa::ARGS;
use accllm_sim::golden::Executed;
use accllm_sim::lockstep::{Lockstep, Nowhere, Report};

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
    golden: GoldenDevice,
    rtl: Verilator,
    compared: Compared,
}

impl LockstepDevice {
    /// Two devices with the same program and image.
    pub fn new(golden: GoldenDevice, rtl: Verilator) -> Self {
        Self { golden, rtl, compared: Compared::default() }
    }

    fn check(&mut self, report: &Report) -> Result<()> {
        self.compared.tensors += report.tensors;
        self.compared.elements += report.elements;
        match &report.difference {
            None => Ok(()),
            Some(d) => Err(Error::Mismatch(format!(
                "RTL and golden executor differ after {} equal elements; the first difference: {}",
                self.compared.elements,
                d.message(&Nowhere)
            ))),
        }
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
        let golden = self.golden.run_observed(args, &mut |record: Executed| compare.expect(record))?;
        let rtl = self.rtl.run_observed(args, &mut compare);
        // A difference says more than the fault or the hang that may follow from it.
        let report = if rtl.is_ok() { compare.finish() } else { compare.report() };
        self.check(&report)?;
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
