//! A compiled program with everything that its users need to know.
use crate::emit::{Prefill, emit};
use crate::error::{Error, Result};
use crate::label::Label;
use crate::layout::{Layout, Settings};
use crate::spec::ModelSpec;
use accllm_hw::config::Config;
use accllm_hw::isa::Instr;

/// A program for one model, configuration and attention shape. It serves decode and prefill at every position.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// The engine that it is for.
    pub config: Config,
    /// The model, without its tensors.
    pub spec: ModelSpec,
    /// Memory map.
    pub layout: Layout,
    /// Instructions.
    pub code: Vec<Instr>,
    /// What each instruction does.
    pub labels: Vec<Label>,
}

impl Program {
    /// Compiles a model for a configuration.
    ///
    /// # Errors
    /// The configuration is against its rules; the model is outside the engine's limits, or does not fit the configuration.
    pub fn compile(spec: &ModelSpec, config: &Config, settings: &Settings) -> Result<Self> {
        let config = &config.checked()?;
        let layout = Layout::new(spec, config, settings)?;
        let emitted = match emit(spec, &layout, config, Prefill::Fast) {
            Err(Error::TooSmall { .. }) if settings.sequences > 1 => {
                emit(spec, &layout, config, Prefill::Short)
            }
            other => other,
        };
        match emitted {
            Ok((code, labels)) => Ok(Self { config: *config, spec: spec.clone(), layout, code, labels }),
            // Blocks of one token need no loops over tokens: try them where the block was left open.
            Err(Error::TooSmall { .. })
                if settings.block.is_none() && layout.shape.block > 1 && settings.sequences == 1 =>
            {
                Self::compile(spec, config, &settings.with_block(1))
            }
            Err(e) => Err(e),
        }
    }
}
