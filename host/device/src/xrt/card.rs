//! What lives on XRT's thread: the open card, its kernel, buffers and the run.

use super::api::Api;
use super::contract;
use super::emulation;
use super::fault::Registers;
use super::handles::{Buffer, Device, Kernel, Map, Run, RunState, Way};
use super::xclbin::Xclbin;
use crate::{Error, Result};
use accllm_hw::isa::ARGS;
use accllm_hw::kernel;
use accllm_hw::regs;
use accllm_sim::engine::Counters;
use std::time::{Duration, Instant};

/// Shortest and longest time between two looks at the state of a run.
const LOOK: (Duration, Duration) = (Duration::from_micros(20), Duration::from_millis(1));

/// An open card. Fields are dropped in this order.
pub struct Card {
    run: Run,
    buffers: Vec<Buffer>,
    kernel: Kernel,
    device: Device,
}

/// A buffer as the other thread sees it.
pub struct Place {
    /// Its memory on the host.
    pub map: Map,
    /// Its address on the card.
    pub address: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// By itself, perhaps with a fault.
    Finished(Registers),
    /// XRT gave it up; the number of its state.
    GivenUp(i32, Registers),
    /// Not at all.
    TimedOut(Registers),
}

impl Card {
    /// Opens a card and loads the xclbin, which was checked against `want`.
    pub fn open(card: &str, xclbin: &Xclbin, want: &kernel::Kernel) -> Result<Self> {
        let api = Api::get()?;
        emulation::prepare(api)?;
        let device = Device::open(api, card)?;
        let named = |e| Error::Xrt(format!("card {card}, {}: {e}", xclbin.path.display()));
        if let Some(name) = device.name() {
            contract::platform(&name, &xclbin.platform).map_err(named)?;
        }
        let handlers = emulation::Handlers::save();
        let id = device.load(&xclbin.bytes, &xclbin.path.display().to_string());
        handlers.restore();
        let id = id?;
        let kernel = Kernel::open(&device, &id, &want.name)?;
        for (i, arg) in want.args.iter().enumerate() {
            let offset = kernel.offset(i);
            if offset != arg.offset {
                return Err(named(format!(
                    "XRT places argument {i}, {}, at {offset:#x}, this program at {:#x}",
                    arg.name, arg.offset
                )));
            }
        }
        contract::version(kernel.read(regs::VERSION)?, want).map_err(named)?;
        contract::parameters(want, |offset| kernel.read(offset))?.map_err(named)?;
        let run = Run::new(&kernel)?;
        Ok(Self { run, buffers: Vec::new(), kernel, device })
    }

    /// Allocates a buffer per master, in place of those that were there.
    pub fn allocate(&mut self, want: &kernel::Kernel, bytes: &[usize]) -> Result<Vec<Place>> {
        self.buffers.clear();
        for (m, (master, len)) in want.masters.iter().zip(bytes).enumerate() {
            let Some(arg) = want.pointer(m) else { continue };
            let group = self.kernel.group(arg)?;
            let memory = master.memory.to_string();
            let buffer = Buffer::new(&self.device, *len, group, &master.name, &memory)?;
            let address = buffer.address();
            if !master.memory.contains(address, *len as u64) {
                return Err(Error::Xrt(format!(
                    "XRT allocated {len} bytes for {} at {address:#x}, which is not in {memory}",
                    master.name
                )));
            }
            self.run.set_buffer(arg, &buffer)?;
            self.buffers.push(buffer);
        }
        Ok(self.buffers.iter().map(|b| Place { map: b.map(), address: b.address() }).collect())
    }

    /// Sets scalar arguments, by register offset.
    pub fn set(&mut self, want: &kernel::Kernel, values: &[(u32, u32)]) -> Result<()> {
        for (offset, value) in values {
            if let Some(arg) = want.arg(*offset) {
                self.run.set(arg, *value)?;
            }
        }
        Ok(())
    }

    /// Moves a part of a buffer.
    pub fn sync(&mut self, buffer: usize, way: Way, offset: usize, len: usize) -> Result<()> {
        let b = self.buffers.get_mut(buffer);
        b.ok_or_else(|| Error::Xrt(format!("the card has no buffer {buffer}")))?.sync(way, offset, len)
    }

    /// One run. `first` is the index of the argument registers.
    pub fn run(&mut self, first: usize, args: [u32; ARGS], limit: Duration) -> Result<End> {
        for (i, value) in args.into_iter().enumerate() {
            self.run.set(first + i, value)?;
        }
        let state = self.start_and_wait(limit)?;
        let registers = self.registers()?;
        Ok(match state {
            RunState::Completed => End::Finished(registers),
            RunState::Failed(state) => End::GivenUp(state, registers),
            RunState::Going => End::TimedOut(registers),
        })
    }

    /// Starts the run and waits for its end, or until the limit.
    pub fn start_and_wait(&mut self, limit: Duration) -> Result<RunState> {
        self.run.start()?;
        let start = Instant::now();
        loop {
            match self.run.state() {
                RunState::Going if start.elapsed() <= limit => {
                    // Late by about a fiftieth.
                    std::thread::sleep((start.elapsed() / 50).clamp(LOOK.0, LOOK.1));
                }
                state => return Ok(state),
            }
        }
    }

    /// What the engine says about the last run, or the one that goes on.
    fn registers(&self) -> Result<Registers> {
        let read = |offset| self.kernel.read(offset);
        let mut counters = [0; Counters::COUNT];
        // Nothing counts more than 32 in a cycle, so that in a short run all upper halves are zero.
        let mut short = false;
        for (c, offset) in counters.iter_mut().zip((regs::CYCLES..).step_by(8)) {
            let high = if short { 0 } else { read(offset + 4)? };
            *c = u64::from(read(offset)?) | u64::from(high) << 32;
            short |= offset == regs::CYCLES && *c < 1 << 27;
        }
        Ok(Registers {
            status: read(regs::STATUS)?,
            pc: read(regs::FAULT_PC)?,
            info: read(regs::FAULT_INFO)?,
            index: read(regs::RESULT_INDEX)?,
            value: read(regs::RESULT_VALUE)?,
            counters: Counters::from_values(counters),
        })
    }
}
