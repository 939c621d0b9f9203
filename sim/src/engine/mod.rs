//! The engine: `accllm_core` through Verilator, with a memory model behind each of its AXI ports.
//!
//! ```no_run
//! use accllm_sim::engine::{EngineSpec, Silent};
//! use accllm_sim::memory::{Ideal, MemoryModel, Store};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = accllm_hw::config::find("tiny")?;
//! let memories = (0..=config.channels)
//!     .map(|_| Ok(Box::new(Ideal::new(Store::new(1 << 28)?, 30)) as Box<dyn MemoryModel>))
//!     .collect::<Result<_, accllm_sim::memory::StoreError>>()?;
//! let mut engine = EngineSpec::new(config).build(memories)?;
//! engine.load_program(0, &[])?;
//! let report = engine.run([0; 15], 1_000_000, &mut Silent)?;
//! println!("{} cycles", report.cycles);
//! # Ok(())
//! # }
//! ```

mod activity;
mod axi;
mod error;
mod event;
mod host;
mod report;
mod spec;
mod trace;
mod units;

pub use activity::{Activity, Queue};
pub use error::EngineError;
pub use event::{Observer, Silent};
pub use report::{Counters, RunReport, waits};
pub use spec::{EngineDesign, EngineSpec, opt_level};

use crate::golden::Limits;
use crate::memory::MemoryModel;
use crate::verilate::{Model, Port};
use accllm_hw::config::{BEAT_BYTES, Config};
use accllm_hw::isa::{ARGS, INSTR_BYTES, Instr};
use accllm_hw::regs;
use axi::Axi;
use host::Host;
use std::ops::ControlFlow;
use std::path::Path;
use trace::Trace;

/// Clock cycles within which a register access must be answered.
const REGISTER_CYCLES: u32 = 64;

/// Cycles from the host's write of CTRL to the first one of the run.
const START_CYCLES: u64 = 3;

/// An observer and what it asked for.
struct Watch<'a, O> {
    observer: &'a mut O,
    events: bool,
    activity: bool,
}

impl<'a, O> Watch<'a, O> {
    fn nothing(observer: &'a mut O) -> Self {
        Self { observer, events: false, activity: false }
    }
}

/// A running engine.
pub struct Engine {
    config: Config,
    model: Model,
    memories: Vec<Box<dyn MemoryModel>>,
    axi: Axi,
    host: Host,
    trace: Option<Trace>,
    /// Byte addresses where channels' and auxiliary memory begin, as in the registers.
    bases: Vec<u64>,
    /// Cycles of the memories before the first cycle of the last run.
    began: u64,
    rst_n: Port,
    interrupt: Port,
}

impl Engine {
    fn new(design: &EngineDesign, memories: Vec<Box<dyn MemoryModel>>) -> Result<Self, EngineError> {
        let config = design.config;
        let want = config.channels + 1;
        if memories.len() != want {
            return Err(EngineError::Memories { config: config.name.to_string(), want, got: memories.len() });
        }
        let model = design.design.model()?;
        // Verilator may decorate the name, because it is a word that C++ programs use.
        let interrupt = model.ports().iter().find(|p| p.name.ends_with("interrupt")).map(|p| p.name.clone());
        let mut engine = Self {
            axi: Axi::resolve(&model, want)?,
            host: Host::resolve(&model)?,
            trace: if design.trace { Some(Trace::resolve(&model, &config)?) } else { None },
            rst_n: model.port_shaped("ap_rst_n", 1, 1)?,
            interrupt: model.port_shaped(interrupt.as_deref().unwrap_or("interrupt"), 1, 1)?,
            bases: vec![0; want],
            began: 0,
            config,
            model,
            memories,
        };
        engine.reset()?;
        Ok(engine)
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The memory of a channel, or of auxiliary memory at index `channels`.
    pub fn memory(&self, port: usize) -> &dyn MemoryModel {
        &*self.memories[port]
    }

    /// That memory, to load it or to inject faults.
    pub fn memory_mut(&mut self, port: usize) -> &mut dyn MemoryModel {
        &mut *self.memories[port]
    }

    /// Auxiliary memory.
    pub fn aux_mut(&mut self) -> &mut dyn MemoryModel {
        let port = self.config.channels;
        self.memory_mut(port)
    }

    /// Puts another memory behind a port and resets the engine; returns the old one.
    ///
    /// # Errors
    /// The model fails.
    pub fn replace_memory(
        &mut self,
        port: usize,
        memory: Box<dyn MemoryModel>,
    ) -> Result<Box<dyn MemoryModel>, EngineError> {
        let old = std::mem::replace(&mut self.memories[port], memory);
        self.reset()?;
        Ok(old)
    }

    /// The model itself, for ports that nothing here knows.
    pub fn model_mut(&mut self) -> &mut Model {
        &mut self.model
    }

    /// Resets the engine: registers go back to zero, on-chip memories and the contents of the memories stay. Open
    /// bursts are dropped on both sides.
    ///
    /// # Errors
    /// The model fails.
    pub fn reset(&mut self) -> Result<(), EngineError> {
        self.memories.iter_mut().for_each(|m| m.reset());
        self.bases.fill(0);
        self.axi.reset();
        for p in [self.host.awvalid, self.host.wvalid, self.host.arvalid] {
            self.model.set_u64(p, 0);
        }
        self.model.set_u64(self.host.bready, 1);
        self.model.set_u64(self.host.rready, 1);
        self.model.set_u64(self.host.wstrb, 15);
        self.axi.drive(&mut self.model, &self.memories);
        self.model.set_u64(self.rst_n, 0);
        self.model.cycles(4)?;
        self.model.set_u64(self.rst_n, 1);
        self.model.cycles(2)?;
        self.write(regs::GIER, 1)?;
        self.write(regs::IER, 1)
    }

    /// One clock cycle with an observer; `Break` when it wants to stop.
    #[inline]
    fn clock(&mut self, cycle: u64, w: &mut Watch<impl Observer>) -> Result<ControlFlow<()>, EngineError> {
        self.model.fall()?;
        let mut flow = ControlFlow::Continue(());
        if (w.events || w.activity)
            && let Some(trace) = &mut self.trace
        {
            if w.events {
                w.observer.beats(self.axi.delivered());
                flow = self.axi.writes(&self.model, cycle, trace.vector_op(), &self.bases, w.observer);
                if flow.is_continue() {
                    flow = trace.events(&self.model, cycle, w.observer);
                }
            }
            if w.activity {
                w.observer.activity(&trace.activity(&self.model, &self.axi));
            }
        }
        self.axi.sample(&self.model, &mut self.memories);
        self.model.rise()?;
        self.axi.drive(&mut self.model, &self.memories);
        Ok(flow)
    }

    /// Lets `cycles` clock cycles pass.
    ///
    /// # Errors
    /// The model fails.
    pub fn idle(&mut self, cycles: u64) -> Result<(), EngineError> {
        for _ in 0..cycles {
            let _ = self.clock(0, &mut Watch::nothing(&mut Silent))?;
        }
        Ok(())
    }

    /// Lets clock cycles pass until the interrupt is raised, at most `cycles`; returns whether it is.
    ///
    /// # Errors
    /// The model fails.
    pub fn advance(&mut self, cycles: u64) -> Result<bool, EngineError> {
        for _ in 0..cycles {
            if self.model.get_u64(self.interrupt) != 0 {
                return Ok(true);
            }
            let _ = self.clock(0, &mut Watch::nothing(&mut Silent))?;
        }
        Ok(self.model.get_u64(self.interrupt) != 0)
    }

    /// Writes a register.
    ///
    /// # Errors
    /// No answer, or the model fails.
    pub fn write(&mut self, address: u32, value: u32) -> Result<(), EngineError> {
        self.write_watched(address, value, &mut Watch::nothing(&mut Silent))
    }

    fn write_watched(
        &mut self,
        address: u32,
        value: u32,
        w: &mut Watch<impl Observer>,
    ) -> Result<(), EngineError> {
        self.model.set_u64(self.host.awaddr, address.into());
        self.model.set_u64(self.host.wdata, value.into());
        self.model.set_u64(self.host.awvalid, 1);
        self.model.set_u64(self.host.wvalid, 1);
        for _ in 0..REGISTER_CYCLES {
            self.model.fall()?;
            let aw = self.model.get_u64(self.host.awready) != 0;
            let data = self.model.get_u64(self.host.wready) != 0;
            let answered = self.model.get_u64(self.host.bvalid) != 0;
            let _ = self.clock(0, w)?;
            if aw {
                self.model.set_u64(self.host.awvalid, 0);
            }
            if data {
                self.model.set_u64(self.host.wvalid, 0);
            }
            if answered {
                self.note_base(address, value);
                return Ok(());
            }
        }
        Err(EngineError::Register { address })
    }

    /// Remembers a base that was written.
    fn note_base(&mut self, address: u32, value: u32) {
        let (port, byte) = match address.checked_sub(regs::CHANNEL_BASE) {
            Some(offset) => (offset as usize / 8, offset % 8),
            None if (regs::AUX_BASE..regs::AUX_BASE + 8).contains(&address) => {
                (self.config.channels, address - regs::AUX_BASE)
            }
            None => return,
        };
        if let Some(base) = self.bases.get_mut(port) {
            let shift = 8 * (byte & 4);
            *base = *base & !(0xffff_ffff << shift) | u64::from(value) << shift;
        }
    }

    /// Reads a register.
    ///
    /// # Errors
    /// No answer, or the model fails.
    pub fn read(&mut self, address: u32) -> Result<u32, EngineError> {
        self.model.set_u64(self.host.araddr, address.into());
        self.model.set_u64(self.host.arvalid, 1);
        for _ in 0..REGISTER_CYCLES {
            self.model.fall()?;
            let ar = self.model.get_u64(self.host.arready) != 0;
            let answered = self.model.get_u64(self.host.rvalid) != 0;
            let value = self.model.get_u64(self.host.rdata) as u32;
            self.idle(1)?;
            if ar {
                self.model.set_u64(self.host.arvalid, 0);
            }
            if answered {
                return Ok(value);
            }
        }
        Err(EngineError::Register { address })
    }

    /// Writes a 64-bit register, low word first.
    ///
    /// # Errors
    /// As [`Engine::write`].
    pub fn write64(&mut self, address: u32, value: u64) -> Result<(), EngineError> {
        self.write(address, value as u32)?;
        self.write(address + 4, (value >> 32) as u32)
    }

    /// Reads a 64-bit register.
    ///
    /// # Errors
    /// As [`Engine::read`].
    pub fn read64(&mut self, address: u32) -> Result<u64, EngineError> {
        Ok(u64::from(self.read(address)?) | u64::from(self.read(address + 4)?) << 32)
    }

    /// Sets the memory map.
    ///
    /// # Errors
    /// As [`Engine::write`].
    pub fn set_limits(&mut self, limits: &Limits) -> Result<(), EngineError> {
        for (reg, value) in [
            (regs::CHANNEL_LIMIT, limits.channel_limit),
            (regs::WRITE_LOW, limits.write_low),
            (regs::WRITE_HIGH, limits.write_high),
            (regs::AUX_LIMIT, limits.aux_limit),
            (regs::AUX_WRITE_LOW, limits.aux_write_low),
            (regs::AUX_WRITE_HIGH, limits.aux_write_high),
        ] {
            self.write(reg, value)?;
        }
        Ok(())
    }

    /// Sets the byte addresses at which the channels' and the auxiliary memory begin (0 after reset).
    ///
    /// # Errors
    /// As [`Engine::write`].
    pub fn set_bases(&mut self, channels: &[u64], aux: u64) -> Result<(), EngineError> {
        for (i, &base) in channels.iter().enumerate() {
            self.write64(regs::CHANNEL_BASE + 8 * i as u32, base)?;
        }
        self.write64(regs::AUX_BASE, aux)
    }

    /// Sets WATCHDOG.
    ///
    /// # Errors
    /// As [`Engine::write`].
    pub fn set_watchdog(&mut self, cycles: u32) -> Result<(), EngineError> {
        self.write(regs::WATCHDOG, cycles)
    }

    /// Writes a program to auxiliary memory from `beat` on and has the next run load it; runs after that keep it.
    ///
    /// # Errors
    /// It lies outside the memory, or as [`Engine::write`].
    pub fn load_program(&mut self, beat: u32, program: &[Instr]) -> Result<(), EngineError> {
        let bytes: Vec<u8> = program.iter().flat_map(Instr::encode).collect();
        self.load_program_bytes(beat, &bytes)
    }

    /// [`Engine::load_program`] of encoded instructions.
    ///
    /// # Errors
    /// As there.
    pub fn load_program_bytes(&mut self, beat: u32, bytes: &[u8]) -> Result<(), EngineError> {
        let at = self.bases[self.config.channels] + u64::from(beat) * BEAT_BYTES as u64;
        self.aux_mut().store_mut().write(at, bytes)?;
        self.write(regs::PROGRAM_ADDR, beat)?;
        self.write(regs::PROGRAM_LEN, (bytes.len() / INSTR_BYTES) as u32)
    }

    /// One run: start, wait for done, read the report. A fault is in the report. After a run without a fault the
    /// program is kept for the next one.
    ///
    /// # Errors
    /// The run does not end within `max_cycles`, an assertion of the RTL fails, or the observer stops it.
    pub fn run(
        &mut self,
        args: [u32; ARGS],
        max_cycles: u64,
        observer: &mut impl Observer,
    ) -> Result<RunReport, EngineError> {
        for (i, &value) in args.iter().enumerate() {
            self.write(regs::ARG + 4 * i as u32, value)?;
        }
        let (events, activity) = (observer.wants(), observer.wants_activity());
        match &mut self.trace {
            Some(trace) => trace.begin(),
            None if events || activity => return Err(EngineError::NoTrace),
            None => {}
        }
        let mut cycle = 0;
        // Nothing is written before the register access is answered, but cycles of the run pass.
        let mut watch = Watch { observer, events: false, activity };
        self.began = self.memories[0].counters().cycles + START_CYCLES;
        self.write_watched(regs::CTRL, 1, &mut watch)?;
        watch.events = events;
        while self.model.get_u64(self.interrupt) == 0 {
            if cycle == max_cycles {
                return Err(self.hang(max_cycles));
            }
            if self.clock(cycle, &mut watch)?.is_break() {
                return Err(EngineError::Stopped { cycle });
            }
            cycle += 1;
        }
        self.write(regs::ISR, 1)?;
        self.read(regs::CTRL)?;
        let report = self.report()?;
        if report.ok() {
            self.write(regs::PROGRAM_LEN, 0)?;
        }
        Ok(report)
    }

    /// Cycles of the memories before the first cycle of the last run that CYCLES counts; refreshes follow from it.
    pub fn began(&self) -> u64 {
        self.began
    }

    /// The report of the last run.
    ///
    /// # Errors
    /// As [`Engine::read`].
    pub fn report(&mut self) -> Result<RunReport, EngineError> {
        let mut values = [0; Counters::COUNT];
        for (i, v) in values.iter_mut().enumerate() {
            *v = self.read64(regs::CYCLES + 8 * i as u32)?;
        }
        Ok(RunReport {
            cycles: values[0],
            counters: Counters::from_values(values),
            result_index: self.read(regs::RESULT_INDEX)?,
            result_value: self.read(regs::RESULT_VALUE)? as i32,
            status: self.read(regs::STATUS)?,
            fault_pc: self.read(regs::FAULT_PC)?,
            fault_info: self.read(regs::FAULT_INFO)?,
        })
    }

    #[cold]
    fn hang(&mut self, cycles: u64) -> EngineError {
        let mut state = match &self.trace {
            Some(t) => {
                let s = t.state(&self.model);
                format!("instruction {}: {}", s >> 16, report::waits(s & 0xffff))
            }
            None => "built without trace outputs".to_owned(),
        };
        if let Ok(n) = self.read64(regs::INSTRUCTIONS) {
            state += &format!("; {n} instructions executed");
        }
        let busy: Vec<_> = (0..self.memories.len()).filter(|&i| !self.memories[i].idle()).collect();
        if !busy.is_empty() {
            state += &format!("; bursts open at memory ports {busy:?}");
        }
        EngineError::Hang { cycles, state }
    }

    /// Starts an FST wave dump; the engine must be built with [`EngineSpec::waves`].
    ///
    /// # Errors
    /// Not built with waves, or the file cannot be written.
    pub fn open_waves(&mut self, path: &Path) -> Result<(), EngineError> {
        Ok(self.model.trace_open(path)?)
    }

    /// Ends the wave dump.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn close_waves(&mut self) -> Result<(), EngineError> {
        Ok(self.model.trace_close()?)
    }

    /// What the memories have noticed that a correct master does not do; empty when all is well.
    pub fn violations(&self) -> Vec<String> {
        let text =
            |i: usize| self.memories[i].violations().first().iter().map(move |v| format!("port {i}, {v}"));
        (0..self.memories.len()).flat_map(text).collect()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({}, cycle {})", self.config.name, self.model.time())
    }
}
