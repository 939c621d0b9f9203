//! A card through XRT as a device: an Alveo U280, or hardware emulation with the Verilated engine in its place. The same
//! code drives both. See `docs/xrt.md`.

mod api;
mod card;
mod contract;
mod emulation;
mod fault;
mod handles;
mod measure;
mod upload;
mod worker;
pub mod xclbin;

pub use emulation::given_up;
pub use measure::Measured;
pub use worker::{leave, stuck};

use super::limits::limits;
use super::{Device, Outcome};
use crate::progress::Progress;
use crate::{Error, Result};
use accllm_compiler::{MemoryImage, Program};
use accllm_hw::config::BEAT_BYTES;
use accllm_hw::isa::ARGS;
use accllm_hw::kernel::Kernel;
use accllm_hw::regs;
use card::{Card, End, Place};
use handles::Way;
use std::path::PathBuf;
use std::time::Duration;
use worker::Worker;
use xclbin::Xclbin;

/// How long opening a card and loading an xclbin may take.
const OPEN: Duration = Duration::from_secs(180);
/// How long a transfer or an allocation may take.
const MOVE: Duration = Duration::from_secs(60);
/// What is added to the time limit of a run before XRT itself is given up.
const GRACE: Duration = Duration::from_secs(10);
/// Granularity of buffers.
const PAGE: usize = 4096;

/// Which card, with what.
#[derive(Debug, Clone)]
pub struct XrtOptions {
    /// Index (`0`) or PCIe address (`0000:65:00.1`) of the card.
    pub card: String,
    /// The xclbin to load.
    pub xclbin: PathBuf,
    /// How long a run may take; `None`: 10 s on a card, an hour in emulation.
    pub limit: Option<Duration>,
    /// Reads back what was uploaded, and compares.
    pub verify: bool,
}

impl XrtOptions {
    /// The first card.
    pub fn new(xclbin: impl Into<PathBuf>) -> Self {
        Self { card: "0".into(), xclbin: xclbin.into(), limit: None, verify: true }
    }
}

/// A card with a program and its memory image.
pub struct Xrt {
    worker: Worker<Card>,
    kernel: Kernel,
    xclbin: Xclbin,
    program: Program,
    limit: Duration,
    verify: bool,
    places: Vec<Place>,
    /// Whether the engine holds the program, so that a run need not load it.
    loaded: bool,
}

/// Whether XRT is there: how it would be used, or why it cannot be.
pub fn available() -> Result<String> {
    api::Api::get()?;
    emulation::check_environment()?;
    Ok(match emulation::mode() {
        Some(mode) => format!("emulation ({mode})"),
        None => match cards().join(", ").as_str() {
            "" => "no card".into(),
            cards => format!("cards {cards}"),
        },
    })
}

/// PCIe addresses of the cards that XRT's driver serves.
pub fn cards() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/bus/pci/drivers/xocl").into_iter().flatten().flatten();
    let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
    let mut cards: Vec<_> = names.filter(|n| n.contains(':')).collect();
    cards.sort();
    cards
}

/// Whether XRT emulates the card.
pub fn emulated() -> bool {
    emulation::mode().is_some()
}

impl Xrt {
    /// Opens the card, loads the xclbin, uploads the image and loads the program. `progress` is told about the upload.
    ///
    /// # Errors
    /// XRT is missing or fails; the xclbin is for another card, kernel, contract or has other memories; the image does
    /// not fit; the upload was damaged.
    pub fn open(
        program: &Program,
        image: &MemoryImage,
        options: &XrtOptions,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let kernel = Kernel::new(&program.config);
        let xclbin = Xclbin::read(&options.xclbin)?;
        xclbin.check(&kernel, &upload::sizes(image))?;
        api::Api::get()?;
        emulation::check_environment()?;
        let mut watch = emulation::Watch::new();
        let emulated = emulated();
        let worker = Worker::new(Box::new(move || if emulated { watch.look() } else { None }))?;
        let (card, file, want) = (options.card.clone(), xclbin.clone(), kernel.clone());
        let default = Duration::from_secs(if emulated { 3600 } else { 10 });
        let mut xrt = Self {
            worker,
            kernel,
            xclbin,
            program: program.clone(),
            limit: options.limit.unwrap_or(default),
            verify: options.verify,
            places: Vec::new(),
            loaded: false,
        };
        xrt.worker.open("open the card", OPEN, move || Card::open(&card, &file, &want))?;
        xrt.load(program, image, progress)?;
        Ok(xrt)
    }

    /// Puts another program and image, of the same configuration, in place of the one that is loaded.
    ///
    /// # Errors
    /// As [`Xrt::open`].
    pub fn load(&mut self, program: &Program, image: &MemoryImage, progress: &dyn Progress) -> Result<()> {
        let kernel = Kernel::new(&program.config);
        if kernel != self.kernel {
            let (has, wants) = (&self.kernel.name, &kernel.name);
            return Err(Error::Argument(format!(
                "the card holds {has}, the program needs {wants}; open it again"
            )));
        }
        let bytes = upload::sizes(image);
        self.xclbin.check(&kernel, &bytes)?;
        self.loaded = false;
        self.places.clear();
        self.program = program.clone();
        let want = self.kernel.clone();
        self.places = self.worker.call("allocate buffers", MOVE, move |card| card.allocate(&want, &bytes))?;
        self.upload(image, progress)?;
        let l = limits(program)?;
        let settings = vec![
            (regs::PROGRAM_ADDR, u32::try_from(program.layout.aux.program).unwrap_or(u32::MAX)),
            (regs::PROGRAM_LEN, u32::try_from(program.code.len()).unwrap_or(u32::MAX)),
            (regs::CHANNEL_LIMIT, l.channel_limit),
            (regs::WRITE_LOW, l.write_low),
            (regs::WRITE_HIGH, l.write_high),
            (regs::AUX_LIMIT, l.aux_limit),
            (regs::AUX_WRITE_LOW, l.aux_write_low),
            (regs::AUX_WRITE_HIGH, l.aux_write_high),
            (regs::WATCHDOG, 0),
        ];
        self.set(settings)?;
        // A step of no tokens: the engine loads the program, so that no later run has to.
        self.run([0; ARGS]).map(|_| ())
    }

    /// Addresses of the buffers on the card: channels, then auxiliary memory.
    pub fn addresses(&self) -> Vec<u64> {
        self.places.iter().map(|p| p.address).collect()
    }

    /// Frees everything on the card, and closes it.
    ///
    /// # Errors
    /// XRT does not return from that.
    pub fn close(mut self) -> Result<()> {
        self.shut()
    }

    fn shut(&mut self) -> Result<()> {
        let done = self.worker.close();
        if emulated() {
            if self.worker.is_stuck() {
                emulation::clean_up();
            }
            emulation::remove_folder();
        }
        done
    }

    fn set(&mut self, values: Vec<(u32, u32)>) -> Result<()> {
        let want = self.kernel.clone();
        self.worker.call("set arguments", MOVE, move |card| card.set(&want, &values))
    }

    /// The bytes of a buffer from `beat` on, in the host's copy.
    fn copy(&mut self, buffer: usize, beat: usize, len: usize) -> Result<(usize, &mut [u8])> {
        if self.worker.is_stuck() {
            return Err(Error::Xrt(
                "an earlier call to the card did not return; open it again in a new process".into(),
            ));
        }
        let name = self.kernel.masters.get(buffer).map_or("a buffer", |m| m.name.as_str());
        let Some(place) = self.places.get_mut(buffer) else {
            return Err(Error::Xrt(format!("there is no memory of {name} on the card")));
        };
        let at = beat.saturating_mul(BEAT_BYTES);
        let bytes = place.map.bytes();
        let size = bytes.len();
        match bytes.get_mut(at..at.saturating_add(len)) {
            Some(part) => Ok((at, part)),
            None => Err(Error::Argument(format!(
                "{len} bytes at beat {beat} do not lie inside {name}'s memory of {size} bytes"
            ))),
        }
    }

    fn write(&mut self, buffer: usize, beat: usize, bytes: &[u8]) -> Result<()> {
        let (at, part) = self.copy(buffer, beat, bytes.len())?;
        part.copy_from_slice(bytes);
        self.sync(buffer, Way::ToCard, at, bytes.len())
    }

    fn read(&mut self, buffer: usize, beat: usize, bytes: &mut [u8]) -> Result<()> {
        let (at, _) = self.copy(buffer, beat, bytes.len())?;
        self.sync(buffer, Way::FromCard, at, bytes.len())?;
        let (_, part) = self.copy(buffer, beat, bytes.len())?;
        bytes.copy_from_slice(part);
        Ok(())
    }

    fn sync(&mut self, buffer: usize, way: Way, offset: usize, len: usize) -> Result<()> {
        self.worker.call("move memory", MOVE, move |card| card.sync(buffer, way, offset, len))
    }
}

impl Device for Xrt {
    fn write_aux(&mut self, beat: usize, bytes: &[u8]) -> Result<()> {
        self.write(self.kernel.config.channels, beat, bytes)
    }

    fn read_aux(&mut self, beat: usize, bytes: &mut [u8]) -> Result<()> {
        self.read(self.kernel.config.channels, beat, bytes)
    }

    fn write_channel(&mut self, channel: usize, beat: usize, bytes: &[u8]) -> Result<()> {
        self.write(channel, beat, bytes)
    }

    fn read_channel(&mut self, channel: usize, beat: usize, bytes: &mut [u8]) -> Result<()> {
        self.read(channel, beat, bytes)
    }

    fn run(&mut self, args: [u32; ARGS]) -> Result<Outcome> {
        let (first, limit) = (self.kernel.arg(regs::ARG).unwrap_or(0), self.limit);
        let end =
            self.worker.call("run the program", limit + GRACE, move |card| card.run(first, args, limit))?;
        let place = |r| fault::place(&self.program, &args, r);
        let r = match end {
            End::Finished(r) => r,
            End::GivenUp(state, r) => {
                let why =
                    fault::fault(&self.program, &args, &r).unwrap_or_else(|| format!("it was {}", place(&r)));
                return Err(Error::Fault(format!("XRT gave the run up (state {state}): {why}")));
            }
            End::TimedOut(r) => {
                let (c, seconds) = (&r.counters, limit.as_secs_f64());
                let why = fault::fault(&self.program, &args, &r).unwrap_or_else(|| {
                    format!("no fault is reported, {} instructions in {} cycles", c.instructions, c.cycles)
                });
                // XRT has no way to stop a run, and fails when its buffers are freed.
                self.worker.abandon("an earlier run did not end".into());
                return Err(Error::Fault(format!("the run did not end within {seconds} s: {why}")));
            }
        };
        if let Some(why) = fault::fault(&self.program, &args, &r) {
            let len = u32::try_from(self.program.code.len()).unwrap_or(u32::MAX);
            // The next run loads the program again.
            self.loaded = false;
            self.set(vec![(regs::PROGRAM_LEN, len)])?;
            return Err(Error::Fault(why));
        }
        if !self.loaded {
            self.set(vec![(regs::PROGRAM_LEN, 0)])?;
            self.loaded = true;
        }
        Ok(Outcome { token: r.index, logit: r.value as i32, counters: Some(r.counters) })
    }
}

impl Drop for Xrt {
    fn drop(&mut self) {
        // Nobody is left to tell; `stuck` says it to the program.
        let _ = self.shut();
    }
}
