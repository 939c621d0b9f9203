//! Where and how a text is computed: what the arguments of `run`, `chat` and `serve` say, resolved and checked once,
//! before any work.

use crate::args::{Choice, DeviceArg, MemoryArg, ShapeArgs, Writer};
use crate::out::{Bars, Out, own_stdout};
use crate::prepare;
use accllm_compiler::{MemoryImage, Program};
use accllm_device::timeline::Record;
use accllm_device::{
    Device, GoldenDevice, LockstepDevice, Verilator, VerilatorOptions, Xrt, XrtOptions, xrt,
};
use accllm_device::{Error, Result, output};
use accllm_hw::config::Config;
use accllm_sim::verilate::OptLevel;
use accllm_text::model::Ready;
use accllm_text::runner::{DeviceRunner, Reference, Runner};
use accllm_text::sample::Sampling;
use std::path::PathBuf;

/// What only `accllm run` asks of a device.
#[derive(Default)]
pub struct Extras {
    /// Compare every tensor.
    pub lockstep: bool,
    /// Wave file.
    pub wave: Option<PathBuf>,
    /// Timeline.
    pub trace: Option<PathBuf>,
}

/// The device, with what it needs.
#[derive(Debug, Clone)]
enum Place {
    /// The integer reference model.
    Integer,
    /// The golden executor.
    Golden,
    /// The RTL.
    Verilator(VerilatorOptions),
    /// A card, or one that is emulated.
    Xrt(XrtOptions),
}

/// Checked arguments.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How tokens are chosen.
    pub sampling: Sampling,
    place: Place,
    /// Compare every tensor.
    lockstep: bool,
    /// Compiled already.
    program: Option<PathBuf>,
    shape: ShapeArgs,
}

/// A runner with the model on it.
pub struct Opened<'m> {
    pub runner: Box<dyn Runner + 'm>,
    /// Of compiled programs.
    pub hardware: Option<Hardware>,
}

/// What figures of a runner are about.
pub struct Hardware {
    /// Configuration of the engine.
    pub config: Config,
    /// Name of the memory behind it.
    pub memory: &'static str,
    /// Whether it is a card, and not simulated.
    pub card: bool,
}

impl Plan {
    /// What these arguments ask for; `seed` is of the choice of tokens.
    pub fn new(args: &Writer, seed: u64, extras: &Extras) -> Result<Self> {
        let target = &args.target;
        prepare::check(&target.shape)?;
        let only = |given: bool, option: &str, devices: &str| match given {
            true => Err(Error::Argument(format!("{option} needs --device {devices}"))),
            false => Ok(()),
        };
        let (integer, rtl) = (target.device == DeviceArg::Integer, target.device == DeviceArg::Verilator);
        only(integer && target.program.is_some(), "--program", "golden, verilator or xrt")?;
        let compares = rtl || target.device == DeviceArg::Golden;
        only(!compares && extras.lockstep, "--lockstep", "golden or verilator")?;
        only(!rtl && extras.wave.is_some(), "--wave", "verilator")?;
        only(!rtl && extras.trace.is_some(), "--trace", "verilator")?;
        only(!rtl && target.memory != MemoryArg::Ideal, "--memory", "verilator")?;
        let place = match target.device {
            DeviceArg::Integer => Place::Integer,
            DeviceArg::Golden => Place::Golden,
            DeviceArg::Xrt => Place::Xrt(target.card.options()?),
            DeviceArg::Verilator => Place::Verilator(VerilatorOptions {
                memory: target.memory.kind(target.memory_seed),
                trace: extras.lockstep,
                timeline: extras.trace.clone().map_or(Record::Off, Record::File),
                wave: extras.wave.clone(),
                rtl: None,
                opt: OptLevel::Fast,
            }),
        };
        [&extras.wave, &extras.trace].into_iter().flatten().try_for_each(|path| output::check_file(path))?;
        Ok(Self {
            sampling: sampling(&args.choice, seed)?,
            place,
            lockstep: extras.lockstep,
            program: target.program.clone(),
            shape: target.shape.clone(),
        })
    }

    /// Name of the device.
    pub fn device(&self) -> &'static str {
        match self.place {
            Place::Integer => "integer",
            Place::Golden => "golden",
            Place::Verilator(_) => "verilator",
            Place::Xrt(_) => "xrt",
        }
    }

    /// The runner with the model, and its program and image where the device has them.
    pub fn open<'m>(&self, ready: &'m Ready, out: &Out) -> Result<Opened<'m>> {
        if matches!(self.place, Place::Integer) {
            let runner = Reference::new(&ready.model, prepare::lambda(&self.shape, ready.model.lambda))?;
            return Ok(Opened { runner: Box::new(runner), hardware: None });
        }
        let (program, image) = match &self.program {
            Some(file) => prepare::load(file, ready)?,
            None => {
                let program = prepare::program(&self.shape, ready)?;
                let image = MemoryImage::new(&program, &ready.model)?;
                (program, image)
            }
        };
        let device = self.load(&program, &image, ready, out)?;
        let (memory, card) = match &self.place {
            Place::Verilator(options) => (options.memory.name(), false),
            Place::Xrt(_) => ("the card's", !xrt::emulated()),
            Place::Integer | Place::Golden => ("ideal", false),
        };
        let hardware = Some(Hardware { config: program.config, memory, card });
        Ok(Opened { runner: Box::new(DeviceRunner::new(&program, device)), hardware })
    }

    /// The device with the model's program and image.
    fn load<'m>(
        &self,
        program: &Program,
        image: &MemoryImage,
        ready: &'m Ready,
        out: &Out,
    ) -> Result<Box<dyn Device + 'm>> {
        let rtl = match &self.place {
            Place::Xrt(options) => {
                own_stdout()?;
                return Ok(Box::new(Xrt::open(program, image, options, &Bars::bytes())?));
            }
            Place::Verilator(options) => {
                let _busy = out.busy("loading the RTL (builds it at its first use)");
                Some(Verilator::new(program, image, options)?)
            }
            Place::Integer | Place::Golden => None,
        };
        let golden = || GoldenDevice::new(program, image);
        Ok(match rtl {
            rtl if self.lockstep => Box::new(LockstepDevice::new(program, &ready.model, golden()?, rtl)?),
            Some(rtl) => Box::new(rtl),
            None => Box::new(golden()?),
        })
    }
}

/// The choice of tokens, checked.
fn sampling(choice: &Choice, seed: u64) -> Result<Sampling> {
    let Choice { temperature, top_k, top_p, min_p, repetition_penalty } = *choice;
    let sampling =
        Sampling { temperature, top_k, top_p, min_p, repetition_penalty, seed, ..Sampling::default() };
    sampling.check()?;
    Ok(sampling)
}
