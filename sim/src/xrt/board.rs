//! The emulated card: memories by address, and the kernel's registers.

use super::window::Window;
use crate::engine::{Engine, EngineDesign, EngineError};
use crate::memory::{MemoryModel, Store, StoreError};
use accllm_hw::kernel::xclbin::UNIT_BASE;
use accllm_hw::kernel::{Kernel, Memory, SLAVE_RANGE};
use accllm_hw::regs;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Clock cycles between two looks at the clock or the socket.
const CHUNK: u64 = 256;
/// How long a poll of CTRL may hold the host up while a run goes on: saves both sides thousands of polls.
const POLL: Duration = Duration::from_millis(2);
/// What is read from a card that does not answer.
const ALL_ONES: u32 = u32::MAX;

/// Why an access failed.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// No memory at the address.
    #[error("{len} bytes at {address:#x} lie in no memory of the card")]
    Address {
        /// First byte.
        address: u64,
        /// Bytes.
        len: u64,
    },
    /// The simulated engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine broke a rule of the bus.
    #[error("the engine broke the rules of AXI: {0}")]
    Violation(String),
    /// An access outside a memory.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The card.
pub struct Board {
    engine: Engine,
    kernel: Kernel,
    /// Memories that no port is connected to.
    spare: BTreeMap<usize, Store>,
    running: bool,
    broken: bool,
    frozen: bool,
}

impl Board {
    /// A card with the kernel and the memories of its masters in their order, each of the size of [`Memory::bytes`].
    ///
    /// # Errors
    /// The model of the engine cannot be made.
    pub fn new(
        design: &EngineDesign,
        kernel: &Kernel,
        memories: Vec<Box<dyn MemoryModel>>,
    ) -> Result<Self, BoardError> {
        let windows = kernel.masters.iter().zip(memories);
        let windows = windows.map(|(m, inner)| Box::new(Window::new(inner, m.memory.base())));
        let engine = design.engine(windows.map(|w| w as Box<dyn MemoryModel>).collect())?;
        let spare = BTreeMap::new();
        Ok(Self { engine, kernel: kernel.clone(), spare, running: false, broken: false, frozen: false })
    }

    /// The memory behind a master, to inject faults.
    pub fn memory_mut(&mut self, master: usize) -> &mut dyn MemoryModel {
        self.engine.memory_mut(master)
    }

    /// Stops the engine's clock during runs, as if it hung for ever.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    /// Makes it a card that has failed.
    #[cfg(test)]
    pub(super) fn fail(&mut self) {
        self.broken = true;
    }

    /// Whether a run goes on.
    pub fn running(&self) -> bool {
        self.running && !self.broken
    }

    /// Lets a part of the run pass.
    ///
    /// # Errors
    /// The engine fails; the card then reads as all ones.
    pub fn advance(&mut self) -> Result<(), BoardError> {
        if self.frozen {
            std::thread::sleep(Duration::from_millis(1));
            return Ok(());
        }
        let result = self.chunk();
        self.broken |= result.is_err();
        result
    }

    fn chunk(&mut self) -> Result<(), BoardError> {
        if !self.engine.advance(CHUNK)? {
            return Ok(());
        }
        // The run has ended. The interrupt is ours: hosts poll CTRL.
        self.running = false;
        self.engine.write(regs::ISR, 1)?;
        match self.engine.violations().first() {
            Some(v) => Err(BoardError::Violation(v.clone())),
            None => Ok(()),
        }
    }

    /// Writes a register at an address of the card. Addresses that belong to no register take anything, as on the card.
    ///
    /// # Errors
    /// The engine fails; the card then reads as all ones.
    pub fn write_register(&mut self, address: u64, value: u32) -> Result<(), BoardError> {
        let Some(offset) = offset(address).filter(|_| !self.broken) else { return Ok(()) };
        // The interrupt enables stay on: they are how the end of a run is seen here.
        if offset == regs::GIER || offset == regs::IER || offset == regs::ISR {
            return Ok(());
        }
        let result = self.engine.write(offset, value);
        self.running |= offset == regs::CTRL && value & 1 != 0;
        self.broken |= result.is_err();
        Ok(result?)
    }

    /// Reads a register at an address of the card; all ones where there is none, and for a card that has failed.
    ///
    /// # Errors
    /// The engine fails; the card then reads as all ones.
    pub fn read_register(&mut self, address: u64) -> Result<u32, BoardError> {
        let Some(offset) = offset(address) else { return Ok(ALL_ONES) };
        if offset == regs::CTRL {
            let start = Instant::now();
            while self.running() && start.elapsed() < POLL {
                self.advance()?;
            }
        }
        if self.broken {
            return Ok(ALL_ONES);
        }
        let result = self.engine.read(offset);
        self.broken |= result.is_err();
        Ok(result?)
    }

    /// Writes memory at an address of the card.
    ///
    /// # Errors
    /// There is none.
    pub fn write(&mut self, address: u64, data: &[u8]) -> Result<(), BoardError> {
        let (memory, offset) = place(address, data.len())?;
        Ok(self.store(memory)?.write(offset, data)?)
    }

    /// Reads memory at an address of the card.
    ///
    /// # Errors
    /// There is none.
    pub fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), BoardError> {
        let (memory, offset) = place(address, data.len())?;
        Ok(self.store(memory)?.read(offset, data)?)
    }

    fn store(&mut self, memory: Memory) -> Result<&mut Store, BoardError> {
        if let Some(master) = self.kernel.masters.iter().position(|m| m.memory == memory) {
            return Ok(self.engine.memory_mut(master).store_mut());
        }
        let spare = self.spare.entry(memory.index());
        Ok(match spare {
            std::collections::btree_map::Entry::Occupied(o) => o.into_mut(),
            std::collections::btree_map::Entry::Vacant(v) => v.insert(Store::new(memory.bytes())?),
        })
    }
}

/// Offset of a register in the kernel's slave.
fn offset(address: u64) -> Option<u32> {
    let offset = address.checked_sub(UNIT_BASE)?;
    (offset < SLAVE_RANGE).then_some(offset as u32)
}

/// The memory at an address, and the offset in it.
fn place(address: u64, len: usize) -> Result<(Memory, u64), BoardError> {
    let len = len as u64;
    let memory = Memory::all().find(|m| m.contains(address, len));
    memory.map(|m| (m, address - m.base())).ok_or(BoardError::Address { address, len })
}
