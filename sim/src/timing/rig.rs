//! The RTL beside the model: both run a probe, on memories full of zeros, and their cycles are compared.

use super::probe::{BEATS, Probe, WRITABLE};
use super::{Left, Memories, Report, Timing, TimingError};
use crate::engine::{Engine, EngineError, EngineSpec, RunReport, Silent, opt_level};
use crate::golden::Limits;
use crate::memory::{BEAT_BYTES, KindError, MemoryKind, Store, StoreError};
use accllm_hw::config::Config;

/// More than any probe takes.
const MOST_CYCLES: u64 = 50_000_000;

/// A probe cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// The RTL cannot be built or run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model cannot run it.
    #[error(transparent)]
    Timing(#[from] TimingError),
    /// The memory kind has no model.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// There is no room for the memories.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The probe is not a legal program.
    #[error("a probe of {0} faults: {1}")]
    Fault(&'static str, String),
}

/// An engine in Verilator and its model.
pub struct Rig {
    engine: Engine,
    memories: Memories,
    left: Left,
}

/// What both say of a run.
#[derive(Debug, Clone)]
pub struct Both {
    /// The RTL: *simulated*.
    pub rtl: RunReport,
    /// The model: *estimated*.
    pub model: Report,
}

impl Both {
    /// Cycles of the model less those of the RTL.
    pub fn error(&self) -> i64 {
        self.model.cycles() as i64 - self.rtl.cycles as i64
    }
}

impl Rig {
    /// Builds the RTL, or finds it in the cache. Random configurations are built quickly, others to run fast.
    ///
    /// # Errors
    /// No Verilator or C++ compiler, or no such memory.
    pub fn new(config: &Config, kind: MemoryKind) -> Result<Self, RigError> {
        let size = u64::from(BEATS) * BEAT_BYTES as u64;
        let memory = |port: usize| -> Result<_, RigError> {
            Ok(kind.model(Store::new(size)?, port as u64, port == config.channels, config.mhz)?)
        };
        let memories = (0..=config.channels).map(memory).collect::<Result<_, _>>()?;
        let mut engine = EngineSpec::new(config).opt(opt_level(config)).build(memories)?;
        engine.set_limits(&Limits {
            channel_limit: BEATS,
            write_low: WRITABLE,
            write_high: BEATS,
            aux_limit: BEATS,
            aux_write_low: WRITABLE,
            aux_write_high: BEATS,
            work: u64::MAX,
        })?;
        let memories = Memories::of(kind, config).map_err(TimingError::from)?;
        let left = memories.fresh().map_err(TimingError::from)?;
        Ok(Self { engine, memories, left })
    }

    /// Runs a probe twice: the first run loads the program.
    ///
    /// # Errors
    /// It faults, or hangs.
    pub fn run(&mut self, probe: &Probe) -> Result<[Both; 2], RigError> {
        self.engine.load_program(0, &probe.code)?;
        Ok([self.once(probe, true)?, self.once(probe, false)?])
    }

    fn once(&mut self, probe: &Probe, load: bool) -> Result<Both, RigError> {
        let rtl = self.engine.run([0; 15], MOST_CYCLES, &mut Silent)?;
        if let Some(fault) = rtl.fault() {
            return Err(RigError::Fault(probe.op.info().name, fault));
        }
        let config = *self.engine.config();
        let timing = Timing::new(&config, &self.memories);
        let timing = if load { timing.loading(0) } else { timing };
        let model = timing.run_on(&mut self.left, self.engine.began(), &probe.code, [0; 15])?;
        Ok(Both { rtl, model })
    }
}
