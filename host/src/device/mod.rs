//! What can run a compiled program, behind one interface: the golden executor, the RTL in Verilator, both in
//! lockstep, later a card.

mod both;
mod golden;
mod limits;
mod lockstep;
pub mod pair;
mod place;
mod verilator;

use crate::Result;
use accllm_hw::isa::ARGS;
pub use accllm_sim::engine::Counters;
pub use both::PairDevice;
pub use golden::GoldenDevice;
pub use lockstep::{Compared, LockstepDevice};
pub(crate) use verilator::memory;
pub use verilator::{MemoryKind, Verilator, VerilatorOptions};

/// The result of one run of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The token with the largest logit; meaningful when the step asked for the head.
    pub token: u32,
    /// Its logit.
    pub logit: i32,
    /// What the hardware counted; `None` on devices without clock.
    pub counters: Option<Counters>,
}

/// A device with a program and its memory image loaded.
pub trait Device {
    /// Writes bytes to auxiliary memory from `beat` on.
    ///
    /// # Errors
    /// They lie outside of it.
    fn write_aux(&mut self, beat: usize, bytes: &[u8]) -> Result<()>;

    /// Reads bytes from auxiliary memory from `beat` on.
    ///
    /// # Errors
    /// They lie outside of it.
    fn read_aux(&mut self, beat: usize, bytes: &mut [u8]) -> Result<()>;

    /// Runs the program once with these arguments (registers 1..=15).
    ///
    /// # Errors
    /// A fault of the device, or in lockstep the first difference.
    fn run(&mut self, args: [u32; ARGS]) -> Result<Outcome>;

    /// What has been compared so far; `None` on devices that compare nothing.
    fn compared(&self) -> Option<Compared> {
        None
    }

    /// All runs are done: completes the files that record them.
    ///
    /// # Errors
    /// A file cannot be written.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Device for Box<dyn Device + '_> {
    fn write_aux(&mut self, beat: usize, bytes: &[u8]) -> Result<()> {
        (**self).write_aux(beat, bytes)
    }

    fn read_aux(&mut self, beat: usize, bytes: &mut [u8]) -> Result<()> {
        (**self).read_aux(beat, bytes)
    }

    fn run(&mut self, args: [u32; ARGS]) -> Result<Outcome> {
        (**self).run(args)
    }

    fn compared(&self) -> Option<Compared> {
        (**self).compared()
    }

    fn finish(&mut self) -> Result<()> {
        (**self).finish()
    }
}
