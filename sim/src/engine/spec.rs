//! How an engine is built.

use super::{Engine, EngineError};
use crate::memory::MemoryModel;
use crate::verilate::{Design, OptLevel, VerilateSpec};
use accllm_hw::config::Config;
use accllm_hw::config::random::drawn;
use std::path::PathBuf;

/// How hard the C++ compiler works for a configuration where nobody says it: random ones are run for a moment, so that a
/// build which is done soon is worth more to them than one which runs fast.
pub fn opt_level(config: &Config) -> OptLevel {
    if drawn(config) { OptLevel::Quick } else { OptLevel::Fast }
}

/// What to build. Built designs are cached, see [`crate::verilate`].
#[derive(Debug, Clone)]
pub struct EngineSpec {
    config: Config,
    opt: OptLevel,
    asserts: bool,
    trace: bool,
    waves: bool,
    rtl: PathBuf,
}

impl EngineSpec {
    /// An engine of this configuration: optimised, with assertions and trace outputs, without waves.
    pub fn new(config: &Config) -> Self {
        Self {
            config: *config,
            opt: OptLevel::Fast,
            asserts: true,
            trace: true,
            waves: false,
            rtl: "hw/rtl".into(),
        }
    }

    /// How hard the C++ compiler works.
    pub fn opt(mut self, opt: OptLevel) -> Self {
        self.opt = opt;
        self
    }

    /// Keeps or drops the assertions of the RTL.
    pub fn asserts(mut self, on: bool) -> Self {
        self.asserts = on;
        self
    }

    /// Keeps or drops the trace outputs; without them an observer sees memory writes only.
    pub fn trace(mut self, on: bool) -> Self {
        self.trace = on;
        self
    }

    /// Compiles wave dumping in, for [`Engine::open_waves`].
    pub fn waves(mut self, on: bool) -> Self {
        self.waves = on;
        self
    }

    /// Takes the sources from another folder than `hw/rtl`, with the same files: a variant of the design.
    pub fn rtl(mut self, folder: impl Into<PathBuf>) -> Self {
        self.rtl = folder.into();
        self
    }

    /// The Verilator description.
    pub fn verilate(&self) -> VerilateSpec {
        let list = include_str!("../../../hw/rtl/files.f");
        let files = list.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        let sources = std::iter::once("lint.vlt").chain(files).map(|file| self.rtl.join(file));
        let spec = VerilateSpec::new("accllm_core", sources)
            .clock("ap_clk")
            .opt(self.opt)
            .asserts(self.asserts)
            .trace_fst(self.waves)
            .param("TRACE", u8::from(self.trace));
        self.config.rtl_params().into_iter().fold(spec, |spec, (name, value)| spec.param(name, value))
    }

    /// Builds the design or finds it in the cache; many engines can be made from it.
    ///
    /// # Errors
    /// No tools, or the design does not compile.
    pub fn design(&self) -> Result<EngineDesign, EngineError> {
        Ok(EngineDesign { config: self.config, design: self.verilate().load()?, trace: self.trace })
    }

    /// [`EngineSpec::design`], then [`EngineDesign::engine`].
    ///
    /// # Errors
    /// As those two.
    pub fn build(&self, memories: Vec<Box<dyn MemoryModel>>) -> Result<Engine, EngineError> {
        self.design()?.engine(memories)
    }
}

/// A built design.
#[derive(Debug, Clone)]
pub struct EngineDesign {
    pub(super) config: Config,
    pub(super) design: Design,
    pub(super) trace: bool,
}

impl EngineDesign {
    /// An engine after reset behind which these memories lie: one per channel, then the auxiliary one.
    ///
    /// # Errors
    /// Wrong number of memories, or a design whose ports differ from the contract.
    pub fn engine(&self, memories: Vec<Box<dyn MemoryModel>>) -> Result<Engine, EngineError> {
        Engine::new(self, memories)
    }
}
