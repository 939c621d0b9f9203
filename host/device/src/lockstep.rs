//! Executions side by side: integer reference == golden executor, tensor by tensor, and golden executor == RTL,
//! element by element.

use super::{Device, GoldenDevice, Outcome, Verilator, pair, read_head};
use crate::tensors::Tensors;
use crate::{Error, Result};
use accllm_compiler::abi::reg;
use accllm_compiler::{Program, Step};
use accllm_hw::isa::ARGS;
use accllm_llm::int::{Logits, Sequence};
use accllm_llm::model::QuantModel;
use accllm_sim::golden::Executed;

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
    reference: Sequence<'m>,
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
        let reference = Sequence::with_lambda(model, program.layout.shape.lambda)?;
        Ok(Self { program: program.clone(), golden, rtl, reference, compared: Compared::default() })
    }

    /// Token ids that the host wrote for a run of `n` tokens.
    fn ids(&mut self, n: usize) -> Result<Vec<u32>> {
        let shape = &self.program.layout.shape;
        let mut bytes = vec![0; 4 * shape.token_rows()];
        let rows: Vec<usize> = (0..n).map(|t| 4 * shape.row_of(t, n)).collect();
        self.golden.read_aux(self.program.layout.aux.ids, &mut bytes)?;
        let id = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Ok(rows.into_iter().map(id).collect())
    }

    fn count(&mut self, tensors: u64, elements: u64) {
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
        self.reference.restore(position, |layer, head| read_head(golden, layout, position, layer, head))
    }

    fn run(&mut self, args: [u32; ARGS]) -> Result<Outcome> {
        if [reg::BATCH, reg::SEQ].iter().any(|r| args[usize::from(*r) - 1] != 0) {
            let what =
                "the integer reference goes along with the first sequence only; use a device without it";
            return Err(Error::Argument(what.into()));
        }
        let Step { position, tokens, head } = Step::of_args(&args);
        let ids = self.ids(tokens)?;
        if position != self.reference.position() {
            let at = self.reference.position();
            return Err(Error::Argument(format!(
                "lockstep goes on at position {at}, the step is at {position}"
            )));
        }
        let mut tensors = Tensors::new(&self.program, position, ids.len(), head);
        self.reference.step(&ids, Logits::Last, &mut tensors.recorder())?;
        let Some(rtl) = &mut self.rtl else {
            let golden = self.golden.run_observed(args, &mut |record: Executed| tensors.check(&record))?;
            let (tensors, elements) = tensors.finish()?;
            self.count(tensors, elements);
            return Ok(golden);
        };
        let check = |record: &Executed| tensors.check(record);
        let ran = pair::run(&self.program, &mut self.golden, rtl, args, check, &mut ())?;
        // The reference first: what golden executor and RTL agree on may be wrong all the same.
        let (tensors, elements) = tensors.finish()?;
        self.count(tensors, elements);
        let (outcome, report) = ran.agreed()?;
        self.count(report.tensors, report.elements);
        Ok(outcome)
    }

    fn compared(&self) -> Option<Compared> {
        Some(self.compared)
    }

    fn finish(&mut self) -> Result<()> {
        self.rtl.as_mut().map_or(Ok(()), Device::finish)
    }
}
