//! Executions side by side: integer reference == golden executor, tensor by tensor, and golden executor == RTL,
//! element by element.

use super::place::Places;
use super::{Device, GoldenDevice, Outcome, Verilator, read_head};
use crate::tensors::Tensors;
use crate::{Error, Result};
use accllm_compiler::Program;
use accllm_compiler::lambda::reg;
use accllm_hw::isa::ARGS;
use accllm_quant::int::{Logits, Session};
use accllm_quant::model::QuantModel;
use accllm_sim::golden::Executed;
use accllm_sim::lockstep::Lockstep;

/// How much has been compared, without a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Compared {
    /// Tensors: of a token and head between reference and golden executor, of an instruction between golden
    /// executor and RTL.
    pub tensors: u64,
    /// Their elements.
    pub elements: u64,
}

/// A golden executor, the integer reference beside it, and the RTL if there is one. Results are those of the RTL,
/// else of the golden executor.
pub struct LockstepDevice<'m> {
    program: Program,
    golden: GoldenDevice,
    rtl: Option<Verilator>,
    reference: Session<'m>,
    compared: Compared,
}

impl<'m> LockstepDevice<'m> {
    /// Devices with the same program, and the model that it was compiled from.
    ///
    /// # Errors
    /// The program's attention shape is outside the limits of the contract.
    pub fn new(
        program: &Program,
        model: &'m QuantModel,
        golden: GoldenDevice,
        rtl: Option<Verilator>,
    ) -> Result<Self> {
        let reference = Session::with_lambda(model, program.layout.shape.lambda)?;
        Ok(Self { program: program.clone(), golden, rtl, reference, compared: Compared::default() })
    }

    /// Token ids that the host wrote for a run of `n` tokens.
    fn ids(&mut self, n: usize) -> Result<Vec<u32>> {
        let mut bytes = vec![0; 4 * n];
        self.golden.read_aux(self.program.layout.aux.ids, &mut bytes)?;
        Ok(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    fn count(&mut self, (tensors, elements): (u64, u64)) {
        self.compared.tensors += tensors;
        self.compared.elements += elements;
    }
}

impl Device for LockstepDevice<'_> {
    fn write_aux(&mut self, beat: usize, bytes: &[u8]) -> Result<()> {
        self.golden.write_aux(beat, bytes)?;
        self.rtl.as_mut().map_or(Ok(()), |rtl| rtl.write_aux(beat, bytes))
    }

    fn read_aux(&mut self, beat: usize, bytes: &mut [u8]) -> Result<()> {
        match &mut self.rtl {
            Some(rtl) => rtl.read_aux(beat, bytes),
            None => self.golden.read_aux(beat, bytes),
        }
    }

    fn write_channel(&mut self, channel: usize, beat: usize, bytes: &[u8]) -> Result<()> {
        self.golden.write_channel(channel, beat, bytes)?;
        self.rtl.as_mut().map_or(Ok(()), |rtl| rtl.write_channel(channel, beat, bytes))
    }

    fn read_channel(&mut self, channel: usize, beat: usize, bytes: &mut [u8]) -> Result<()> {
        match &mut self.rtl {
            Some(rtl) => rtl.read_channel(channel, beat, bytes),
            None => self.golden.read_channel(channel, beat, bytes),
        }
    }

    /// The reference takes its cache from the golden executor's channels.
    fn resume(&mut self, position: u64) -> Result<()> {
        let (golden, layout) = (&mut self.golden, &self.program.layout);
        self.reference.restore(position, |layer, head| read_head(golden, layout, position, (layer, head)))
    }

    fn run(&mut self, args: [u32; ARGS]) -> Result<Outcome> {
        let arg = |register: u8| args.get(usize::from(register) - 1).copied().unwrap_or(0);
        let ids = self.ids(arg(reg::NTOK) as usize)?;
        let position = u64::from(arg(reg::POS));
        if position != self.reference.position() {
            let at = self.reference.position();
            return Err(Error::Argument(format!(
                "lockstep goes on at position {at}, the step is at {position}"
            )));
        }
        let mut tensors = Tensors::new(&self.program, position, ids.len(), arg(reg::HEAD) != 0);
        self.reference.step(&ids, Logits::Last, &mut tensors.recorder())?;
        let mut compare = Lockstep::new();
        let mut places = Places::new(&self.program, &args);
        let with_rtl = self.rtl.is_some();
        let golden = self.golden.run_observed(args, &mut |record: Executed| {
            tensors.check(&record);
            if with_rtl {
                places.learn(&record);
                compare.expect(record);
            }
        })?;
        let counts = tensors.finish()?;
        let Some(rtl) = &mut self.rtl else {
            self.count(counts);
            return Ok(golden);
        };
        let outcome = rtl.run_observed(args, &mut compare);
        // A difference says more than the fault or the hang that may follow from it.
        let report = if outcome.is_ok() { compare.finish() } else { compare.report() };
        if let Some(d) = &report.difference {
            return Err(Error::Mismatch(format!("RTL and golden executor differ: {}", d.message(&places))));
        }
        let rtl = outcome?;
        if (rtl.token, rtl.logit) != (golden.token, golden.logit) {
            return Err(Error::Mismatch(format!(
                "result registers: RTL token {} with logit {}, golden {} with {}",
                rtl.token, rtl.logit, golden.token, golden.logit
            )));
        }
        self.count(counts);
        self.count((report.tensors, report.elements));
        Ok(rtl)
    }

    fn compared(&self) -> Option<Compared> {
        Some(self.compared)
    }
}
