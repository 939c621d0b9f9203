//! The engine's SystemVerilog in Verilator as a device.

use super::limits::limits;
use super::{Device, Outcome};
use crate::timeline::{Record, Recorder};
use crate::{Error, Result};
use accllm_compiler::{MemoryImage, Program};
use accllm_hw::config::{BEAT_BYTES, Config};
use accllm_hw::isa::ARGS;
use accllm_hw::regs;
use accllm_sim::engine::{Engine, EngineSpec, Observer, Silent};
use accllm_sim::memory::MemoryKind;
use accllm_sim::verilate::OptLevel;
use std::path::PathBuf;

/// Cycles a run may take per beat of the image: more than any correct run needs.
const CYCLES_PER_BEAT: u64 = 64;

/// How the engine is simulated.
#[derive(Debug, Clone)]
pub struct VerilatorOptions {
    /// Memory behind the ports.
    pub memory: MemoryKind,
    /// Trace outputs, which lockstep needs.
    pub trace: bool,
    /// What is recorded of the runs, see [`crate::timeline`].
    pub timeline: Record,
    /// Wave file to write.
    pub wave: Option<PathBuf>,
    /// Folder of the RTL where it is not the repository's `hw/rtl`.
    pub rtl: Option<PathBuf>,
    /// How hard the C++ compiler works: whether it is built or runs quickly.
    pub opt: OptLevel,
}

/// The Verilated engine.
pub struct Verilator {
    engine: Engine,
    aux: usize,
    max_cycles: u64,
    waves: bool,
    recorder: Option<Recorder>,
}

impl Verilator {
    /// Builds the model of a configuration, or finds it in the cache; takes half a minute the first time.
    ///
    /// # Errors
    /// No Verilator or C++ compiler, or the model does not compile.
    pub fn build(config: &Config) -> Result<()> {
        EngineSpec::new(config).design()?;
        Ok(())
    }

    /// Builds the engine, fills its memories and loads the program.
    ///
    /// # Errors
    /// As [`Verilator::build`], or the wave file cannot be written.
    pub fn new(program: &Program, image: &MemoryImage, options: &VerilatorOptions) -> Result<Self> {
        let config = &program.config;
        let memories = image
            .channels
            .iter()
            .chain([&image.aux])
            .zip(0..)
            .map(|(bytes, port)| {
                options.memory.shared(bytes, port, port == config.channels as u64, config.mhz)
            })
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let recorder = Recorder::new(&options.timeline, program, options.memory.name())?;
        let trace = options.trace || recorder.is_some() || options.wave.is_none();
        let spec = EngineSpec::new(config).trace(trace).opt(options.opt);
        let spec = options.rtl.iter().fold(spec, EngineSpec::rtl);
        let mut engine = spec.waves(options.wave.is_some()).build(memories)?;
        if let Some(path) = &options.wave {
            engine.open_waves(path)?;
        }
        engine.set_limits(&limits(program)?)?;
        engine.write(regs::PROGRAM_ADDR, program.layout.aux.program as u32)?;
        engine.write(regs::PROGRAM_LEN, program.code.len() as u32)?;
        let beats = image.channels.iter().map(|c| c.len()).sum::<usize>() / BEAT_BYTES;
        let max_cycles = (beats as u64 * program.layout.shape.block as u64 * CYCLES_PER_BEAT).max(1 << 24);
        // A step of no tokens: the engine loads the program, so that no later run has to.
        let mut device =
            Self { engine, aux: config.channels, max_cycles, waves: options.wave.is_some(), recorder: None };
        device.run_observed([0; ARGS], &mut Silent)?;
        device.recorder = recorder;
        Ok(device)
    }

    /// The recording of the runs, if one was asked for, until [`Device::finish`].
    pub fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }

    /// Cycles of the memories before the last run, see [`Engine::began`].
    pub fn began(&self) -> u64 {
        self.engine.began()
    }

    /// [`Device::run`] with an observer of everything that the hardware does.
    ///
    /// # Errors
    /// The engine's fault, a hang, or a violation of the bus protocol.
    pub fn run_observed(&mut self, args: [u32; ARGS], observer: &mut impl Observer) -> Result<Outcome> {
        let report = match &mut self.recorder {
            None => self.engine.run(args, self.max_cycles, observer)?,
            Some(recorder) => {
                let both = &mut (observer, recorder.begin());
                let report = self.engine.run(args, self.max_cycles, both);
                recorder.end(&args);
                report?
            }
        };
        if let Some(fault) = report.fault() {
            return Err(Error::Fault(format!("the engine faulted: {fault}")));
        }
        if let Some(violation) = self.engine.violations().first() {
            return Err(Error::Fault(format!("the engine broke the rules of AXI: {violation}")));
        }
        Ok(Outcome {
            token: report.result_index,
            logit: report.result_value,
            counters: Some(report.counters),
        })
    }
}

impl Device for Verilator {
    fn write_aux(&mut self, beat: usize, bytes: &[u8]) -> Result<()> {
        self.write_channel(self.aux, beat, bytes)
    }

    fn read_aux(&mut self, beat: usize, bytes: &mut [u8]) -> Result<()> {
        self.read_channel(self.aux, beat, bytes)
    }

    fn write_channel(&mut self, channel: usize, beat: usize, bytes: &[u8]) -> Result<()> {
        let store = self.engine.memory_mut(channel).store_mut();
        Ok(store.write((beat * BEAT_BYTES) as u64, bytes)?)
    }

    fn read_channel(&mut self, channel: usize, beat: usize, bytes: &mut [u8]) -> Result<()> {
        let store = self.engine.memory(channel).store();
        Ok(store.read((beat * BEAT_BYTES) as u64, bytes)?)
    }

    fn run(&mut self, args: [u32; ARGS]) -> Result<Outcome> {
        self.run_observed(args, &mut Silent)
    }

    fn finish(&mut self) -> Result<()> {
        self.recorder.take().map_or(Ok(()), Recorder::finish)
    }
}

impl Drop for Verilator {
    fn drop(&mut self) {
        if self.waves {
            // The last waves; nobody is left to tell about a full disk.
            let _ = self.engine.close_waves();
        }
    }
}
