//! The golden executor as a device.

use super::limits::limits;
use super::{Device, Outcome};
use crate::{Error, Result};
use accllm_compiler::{MemoryImage, Program};
use accllm_hw::config::BEAT_BYTES;
use accllm_hw::isa::ARGS;
use accllm_sim::golden::{self, Golden, Image, Memory as _, Observer, Port, Silent};

/// Executes the program instruction by instruction.
pub struct GoldenDevice {
    golden: Golden,
    code: golden::Program,
    memory: Image,
}

impl GoldenDevice {
    /// Loads a program, from the image as the hardware does. What is not written stays shared with the image.
    ///
    /// # Errors
    /// The program lies outside the image.
    pub fn new(program: &Program, image: &MemoryImage) -> Result<Self> {
        let config = &program.config;
        let limits = limits(program)?;
        let memory = Image::shared(&image.channels, &image.aux);
        let at = u32::try_from(program.layout.aux.program).unwrap_or(u32::MAX);
        let len = u32::try_from(program.code.len()).unwrap_or(u32::MAX);
        let code = golden::Program::load(config, &limits, &memory, at, len).map_err(Error::fault)?;
        Ok(Self { golden: Golden::with_limits(config, limits), code, memory })
    }

    /// [`Device::run`] with an observer of everything that is written.
    ///
    /// # Errors
    /// The fault, with the instruction.
    pub fn run_observed(&mut self, args: [u32; ARGS], observer: &mut impl Observer) -> Result<Outcome> {
        self.golden.run(&self.code, args, &mut self.memory, observer).map_err(Error::fault)?;
        let (token, logit) = self.golden.state.result();
        Ok(Outcome { token, logit, counters: None })
    }

    /// Writes the memories' contents over an image of the same program: all state of a text is in them.
    ///
    /// # Errors
    /// The image has other channels.
    pub fn copy_memory(&self, image: &mut MemoryImage) -> Result<()> {
        for port in 0..=self.memory.channels() {
            let from = if port < self.memory.channels() { Port::Channel(port) } else { Port::Aux };
            for (i, to) in (0..).zip(image.port_mut(port).as_chunks_mut::<BEAT_BYTES>().0) {
                *to = self.memory.read_beat(from, i)?;
            }
        }
        Ok(())
    }

    /// Beats of memory in pages of its own: those that have been written to.
    pub fn written_beats(&self) -> usize {
        let ports = (0..self.memory.channels()).map(Port::Channel).chain([Port::Aux]);
        ports.map(|p| self.memory.written(p).count()).sum()
    }
}

fn read(memory: &Image, port: Port, beat: usize, bytes: &mut [u8]) -> Result<()> {
    for (i, part) in (beat as u64..).zip(bytes.chunks_mut(BEAT_BYTES)) {
        let data = memory.read_beat(port, i)?;
        part.copy_from_slice(&data[..part.len()]);
    }
    Ok(())
}

impl Device for GoldenDevice {
    fn write_aux(&mut self, beat: usize, bytes: &[u8]) -> Result<()> {
        Ok(self.memory.put_bytes(Port::Aux, beat as u64, bytes)?)
    }

    fn read_aux(&mut self, beat: usize, bytes: &mut [u8]) -> Result<()> {
        read(&self.memory, Port::Aux, beat, bytes)
    }

    fn write_channel(&mut self, channel: usize, beat: usize, bytes: &[u8]) -> Result<()> {
        Ok(self.memory.put_bytes(Port::Channel(channel), beat as u64, bytes)?)
    }

    fn read_channel(&mut self, channel: usize, beat: usize, bytes: &mut [u8]) -> Result<()> {
        read(&self.memory, Port::Channel(channel), beat, bytes)
    }

    fn run(&mut self, args: [u32; ARGS]) -> Result<Outcome> {
        self.run_observed(args, &mut Silent)
    }
}
