//! What the model knows of the memories: the same parameters as the detailed models.

use super::port::Port;
use crate::memory::hbm2::{Params, ParamsError, Scheduler, Ticks};
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
}

/// What runs leave in the memories for the next one: the rows that are open, and when refreshes are due.
#[derive(Debug, Clone)]
pub struct Left {
    /// Behind the channels that refresh together, and behind the auxiliary port.
    pub(super) channels: Vec<Behind>,
    pub(super) aux: Behind,
    /// Which of `channels` a channel is.
    pub(super) class: Vec<usize>,
}

/// What is behind a port.
#[derive(Debug, Clone)]
pub(super) enum Behind {
    /// The ideal memory: cycles from an address to its first beat.
    Ideal(u64),
    /// DRAM, whose time is that of the memory.
    Dram(Box<Scheduler>),
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
        Ok(Self { channels, aux: pace(config.channels, true) })
    }

    /// The memories at their first cycle: all rows are closed.
    ///
    /// # Errors
    /// A parameter is out of range.
    pub fn fresh(&self) -> Result<Left, MemoryError> {
        let mut paces = Vec::new();
        let mut class = Vec::new();
        for pace in &self.channels {
            let found = paces.iter().position(|p| *p == pace).unwrap_or(paces.len());
            if found == paces.len() {
                paces.push(pace);
            }
            class.push(found);
        }
        let channels = paces.into_iter().map(Pace::behind).collect::<Result<_, _>>()?;
        Ok(Left { channels, aux: self.aux.behind()?, class })
    }
}

impl Left {
    /// Keeps what is behind the ports at the end of a run.
    pub(super) fn keep(&mut self, channels: Vec<Port>, aux: Port) {
        self.channels = channels.into_iter().map(Port::behind).collect();
        self.aux = aux.behind();
    }
}

impl Pace {
    pub(super) fn behind(&self) -> Result<Behind, ParamsError> {
        Ok(match self {
            Self::Ideal(latency) => Behind::Ideal((*latency).max(1)),
            Self::Dram(params, phase) => {
                let k = Ticks::new(params)?;
                let passed = k.passed(*phase);
                Behind::Dram(Box::new(Scheduler::new(k, passed)))
            }
        })
    }
}
