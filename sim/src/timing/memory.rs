//! What the model knows of the memories: the same parameters as the detailed models.

use crate::memory::hbm2::{DDR4, HBM2, Params, ParamsError, Ticks};
use crate::memory::{IDEAL_LATENCY, MemoryKind};

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
    #[error("the timing model has no memory of kind '{0}'; take ideal or hbm2")]
    Kind(&'static str),
}

impl Memories {
    /// Those that [`MemoryKind::model`] puts behind the ports of an engine.
    ///
    /// # Errors
    /// A kind without a fixed pace.
    pub fn of(kind: MemoryKind, channels: usize) -> Result<Self, MemoryError> {
        let same = |pace: &Pace| vec![pace.clone(); channels];
        match kind {
            MemoryKind::Ideal => {
                let pace = Pace::Ideal(IDEAL_LATENCY);
                Ok(Self { channels: same(&pace), aux: pace, age: 0 })
            }
            MemoryKind::Hbm2 => Ok(Self::dram(&HBM2, &DDR4, channels)),
            MemoryKind::Stalling(_) => Err(MemoryError::Kind(kind.name())),
        }
    }

    /// DRAM with these parameters behind the channels and behind the auxiliary port. Pairs of channels refresh one after
    /// the other, as in [`crate::memory::Hbm2::hbm2`].
    pub fn dram(channel: &Params, aux: &Params, channels: usize) -> Self {
        let phase = |port: usize| (port / 2 % 16) as f64 / 16.0;
        let pace = |port| Pace::Dram(Box::new(channel.clone()), phase(port));
        Self {
            channels: (0..channels).map(pace).collect(),
            aux: Pace::Dram(Box::new(aux.clone()), 0.0),
            age: 0,
        }
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
