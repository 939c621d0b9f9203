//! The engine that the command line names, for the verbs that write texts.

use super::args::{Choice, DeviceArg, MemoryArg, Target};
use super::out::{Out, own_stdout};
use super::prepare;
use accllm_compiler::{MemoryImage, Program};
use accllm_device::timeline::Record;
use accllm_device::{Device, GoldenDevice, LockstepDevice, Verilator, VerilatorOptions, Xrt, xrt};
use accllm_device::{Error, Result};
use accllm_hw::config::Config;
use accllm_text::engine::{DeviceEngine, Engine, Reference};
use accllm_text::model::Ready;
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

/// An engine, with the model on it.
pub struct Opened<'m> {
    pub engine: Box<dyn Engine + 'm>,
    /// On compiled programs.
    pub config: Option<&'static Config>,
}

/// Refuses what has no meaning, before any work.
pub fn check(target: &Target, extras: &Extras) -> Result<()> {
    prepare::check(&target.shape)?;
    let only =
        |option: &str, devices: &str| Err(Error::Argument(format!("{option} needs --device {devices}")));
    if target.program.is_some() && target.device == DeviceArg::Integer {
        return only("--program", "golden, verilator or xrt");
    }
    if extras.lockstep && matches!(target.device, DeviceArg::Integer | DeviceArg::Xrt) {
        return only("--lockstep", "golden or verilator");
    }
    if target.device != DeviceArg::Verilator {
        if extras.wave.is_some() {
            return only("--wave", "verilator");
        }
        if extras.trace.is_some() {
            return only("--trace", "verilator");
        }
        if target.memory != MemoryArg::Ideal {
            return only("--memory", "verilator");
        }
    }
    if target.device == DeviceArg::Xrt {
        target.card.options()?;
    }
    [&extras.wave, &extras.trace]
        .into_iter()
        .flatten()
        .try_for_each(|path| accllm_device::output::check_file(path))
}

/// The engine with the model's program and image.
pub fn open<'m>(target: &Target, extras: &Extras, ready: &'m Ready, out: &Out) -> Result<Opened<'m>> {
    if target.device == DeviceArg::Integer {
        let engine = Reference::new(&ready.model, prepare::lambda(&target.shape, ready))?;
        return Ok(Opened { engine: Box::new(engine), config: None });
    }
    let (program, image) = match &target.program {
        Some(file) => prepare::load(file, ready)?,
        None => {
            let program = prepare::program(&target.shape, ready)?;
            let image = MemoryImage::new(&program, &ready.model)?;
            (program, image)
        }
    };
    let device = device(target, extras, &program, &image, ready, out)?;
    let config = Some(program.config()?);
    Ok(Opened { engine: Box::new(DeviceEngine::new(&program, device)), config })
}

/// The device with the model's program and image.
fn device<'m>(
    target: &Target,
    extras: &Extras,
    program: &Program,
    image: &MemoryImage,
    ready: &'m Ready,
    out: &Out,
) -> Result<Box<dyn Device + 'm>> {
    if target.device == DeviceArg::Xrt {
        own_stdout()?;
        let bar = out.bytes("uploading");
        let card = Xrt::open(program, image, &target.card.options()?, &mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        return Ok(Box::new(card?));
    }
    let golden = || GoldenDevice::new(program, image);
    let rtl = match target.device {
        DeviceArg::Verilator => {
            let _busy = out.busy("loading the RTL (builds it at its first use)");
            let options = VerilatorOptions {
                memory: target.memory.kind(target.memory_seed),
                trace: extras.lockstep,
                timeline: extras.trace.clone().map_or(Record::Off, Record::File),
                wave: extras.wave.clone(),
                rtl: None,
            };
            Some(Verilator::new(program, image, &options)?)
        }
        _ => None,
    };
    Ok(match rtl {
        rtl if extras.lockstep => Box::new(LockstepDevice::new(program, &ready.model, golden()?, rtl)?),
        Some(rtl) => Box::new(rtl),
        None => Box::new(golden()?),
    })
}

/// Name of a device.
pub fn name(device: DeviceArg) -> &'static str {
    match device {
        DeviceArg::Integer => "integer",
        DeviceArg::Golden => "golden",
        DeviceArg::Verilator => "verilator",
        DeviceArg::Xrt => "xrt",
    }
}

/// Whether the device is a card, not a simulated one.
pub fn on_card(target: &Target) -> bool {
    target.device == DeviceArg::Xrt && !xrt::emulated()
}

/// Name of the memory behind the device.
pub fn memory(target: &Target) -> &'static str {
    match target.memory {
        _ if target.device == DeviceArg::Xrt => "the card's",
        MemoryArg::Ideal => "ideal",
        MemoryArg::Stalling => "stalling",
        MemoryArg::Hbm2 => "hbm2",
    }
}

/// The choice of tokens, checked.
pub fn sampling(choice: &Choice, seed: u64) -> Result<Sampling> {
    let Choice { temperature, top_k, top_p } = *choice;
    let sampling = Sampling { temperature, top_k, top_p, seed };
    sampling.check()?;
    Ok(sampling)
}
