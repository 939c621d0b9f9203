//! What can run a compiled program, behind one interface: the golden executor, the RTL in Verilator, both in
//! lockstep, a card through XRT.

// Nothing panics on input: what fails is an error value.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo, clippy::unimplemented)
)]

mod both;
pub mod emulation;
pub mod error;
mod golden;
mod kv;
mod limits;
mod lockstep;
pub mod output;
pub mod pair;
pub mod perf;
mod place;
pub mod progress;
pub mod tensors;
pub mod timeline;
pub mod timing;
mod verilator;
pub mod xrt;

use accllm_hw::isa::ARGS;
pub use accllm_sim::engine::Counters;
pub use accllm_sim::memory::MemoryKind;
pub use both::PairDevice;
pub use error::{Error, Result};
pub use golden::GoldenDevice;
pub use kv::{read_head, write_head};
pub use lockstep::{Compared, LockstepDevice};
pub use verilator::{Verilator, VerilatorOptions};
pub use xrt::{Xrt, XrtOptions};

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

    /// Writes bytes to a channel from `beat` on. A device may count on whole beats.
    ///
    /// # Errors
    /// They lie outside of it.
    fn write_channel(&mut self, channel: usize, beat: usize, bytes: &[u8]) -> Result<()>;

    /// Reads bytes from a channel from `beat` on.
    ///
    /// # Errors
    /// They lie outside of it.
    fn read_channel(&mut self, channel: usize, beat: usize, bytes: &mut [u8]) -> Result<()>;

    /// Says that the next run goes on at `position`, which is not where the last one ended: the text was taken back,
    /// or its KV cache written into the channels. Only devices that keep a position of their own have to care.
    ///
    /// # Errors
    /// The device cannot go on there.
    fn resume(&mut self, position: u64) -> Result<()> {
        let _ = position;
        Ok(())
    }

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

    fn write_channel(&mut self, channel: usize, beat: usize, bytes: &[u8]) -> Result<()> {
        (**self).write_channel(channel, beat, bytes)
    }

    fn read_channel(&mut self, channel: usize, beat: usize, bytes: &mut [u8]) -> Result<()> {
        (**self).read_channel(channel, beat, bytes)
    }

    fn resume(&mut self, position: u64) -> Result<()> {
        (**self).resume(position)
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
