//! What the model knows of the memories: the same parameters as the detailed models.

use crate::memory::hbm2::{Params, ParamsError, Ticks};
use crate::memory::{IDEAL_LATENCY, MemoryKind};
use accllm_hw::config::Config;

/// The pace of the memory behind one port.
#[derive(Debug, Clone, PartialEq)]
pub enum Pace {
    /// A beat every cycle, the first one so many cycles after its address.
    Ideal(u64),
    /// DRAM with these parameters; so much of a refresh interval (0 to 1) has passed at the memory's first cycle.
    Dram(Box<Params>, f64),
}

/// The memories behind all ports.
#[derive(Debug, Clone, PartialEq)]
pub struct Memories {
    /// Behind the channels, in order.
    pub channels: Vec<Pace>,
    /// Behind the auxiliary port.
    pub aux: Pace,
    /// Cycles of the memories before the run begins: they set where in its interval a refresh is.
    pub age: u64,
}

/// There is no such memory.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MemoryError {
    /// A parameter is out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The pace is random.
    #[error("the timing model has no memory of kind '{0}'; take ideal or a DRAM")]
    Kind(&'static str),
}

impl Memories {
    /// Those that [`MemoryKind::model`] puts behind the ports of an engine.
    ///
    /// # Errors
    /// A kind without a fixed pace.
    pub fn of(kind: MemoryKind, config: &Config) -> Result<Self, MemoryError> {
        if let MemoryKind::Stalling(_) = kind {
            return Err(MemoryError::Kind(kind.name()));
        }
        let pace = |port: usize, aux| match kind.params(aux, config.mhz) {
            None => Pace::Ideal(IDEAL_LATENCY),
            Some(params) => Pace::Dram(Box::new(params), kind.phase(port as u64, aux)),
        };
        let channels = (0..config.channels).map(|port| pace(port, false)).collect();
        Ok(Self { channels, aux: pace(config.channels, true), age: 0 })
    }
}

impl Pace {
    pub(super) fn ticks(&self) -> Result<Option<Ticks>, ParamsError> {
        match self {
            Self::Ideal(_) => Ok(None),
            Self::Dram(params, _) => Ticks::new(params).map(Some),
        }
    }
}
