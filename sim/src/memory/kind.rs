//! The memories that a simulated engine can have, by kind.

use super::hbm2::{DDR4, HBM2, HBM2E, Params, ParamsError, phase};
use super::{Hbm2, Ideal, MemoryModel, StallConfig, StallConfigError, Stalling, Store, StoreError};
use accllm_hw::card::{Card, Dram, Memory};
use accllm_hw::config::Config;
use std::sync::Arc;

/// Cycles from an address to its first beat, ideal memory: about 130 ns at 225 MHz.
pub const IDEAL_LATENCY: u64 = 30;

/// Memory behind every port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryKind {
    /// Fixed latency, a beat every cycle.
    Ideal,
    /// Random latency, gaps and back-pressure, the same for the same seed.
    Stalling(u64),
    /// A card's DRAM (docs/hbm2.md).
    Dram {
        /// Behind the channels.
        channels: PortDram,
        /// Behind the auxiliary port.
        aux: PortDram,
    },
}

/// The DRAM behind one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortDram {
    /// Its parameters.
    pub kind: Dram,
    /// Most that the port gets of it, MB/s.
    pub mb_per_s: u64,
    /// Duration of a refresh where it is not the parameters', ns.
    pub refresh_ns: Option<u32>,
}

impl PortDram {
    /// What each of `ports` ports gets of a card's memory.
    pub fn of(memory: &Memory, ports: usize) -> Self {
        let mb_per_s = (memory.rate(ports) * 1000.0).round() as u64;
        Self { kind: memory.kind, mb_per_s, refresh_ns: memory.refresh_ns }
    }

    /// Parameters of the timing model behind a port with a clock of `mhz`.
    pub fn params(self, mhz: usize) -> Params {
        let all = match self.kind {
            Dram::Hbm2 => HBM2,
            Dram::Hbm2e => HBM2E,
            Dram::Ddr4 => DDR4,
        };
        let all = all.behind(mhz as f64, self.mb_per_s as f64 / 1000.0);
        Params { t_rfc: self.refresh_ns.map_or(all.t_rfc, f64::from), ..all }
    }
}

impl MemoryKind {
    /// The U280's: HBM2 behind the channels, DDR4 behind the auxiliary port.
    pub const HBM2: Self = Self::Dram {
        channels: PortDram { kind: Dram::Hbm2, mb_per_s: 14_400, refresh_ns: None },
        aux: PortDram { kind: Dram::Ddr4, mb_per_s: 19_200, refresh_ns: None },
    };

    /// A card's, behind the ports of an engine.
    pub fn of(card: &Card, config: &Config) -> Self {
        Self::Dram { channels: PortDram::of(&card.memory, config.channels), aux: PortDram::of(&card.aux, 1) }
    }

    /// Parameters of the DRAM behind a channel, or behind the auxiliary port, for an engine with a clock of `mhz`; `None`
    /// where no DRAM is modelled.
    pub fn params(self, aux: bool, mhz: usize) -> Option<Params> {
        match self {
            Self::Dram { channels, aux: other } => Some(if aux { other } else { channels }.params(mhz)),
            Self::Ideal | Self::Stalling(_) => None,
        }
    }

    /// The part of a refresh interval that has passed at the first cycle of port `port`'s DRAM.
    pub fn phase(self, port: u64, aux: bool) -> f64 {
        match self {
            Self::Dram { channels, .. } if !aux && channels.kind != Dram::Ddr4 => phase(port),
            _ => 0.0,
        }
    }

    /// The model of a memory with these contents behind port `port` (`aux`: the auxiliary one) of an engine with a clock
    /// of `mhz`.
    ///
    /// # Errors
    /// The timing's parameters are wrong.
    pub fn model(
        self,
        store: Store,
        port: u64,
        aux: bool,
        mhz: usize,
    ) -> Result<Box<dyn MemoryModel>, KindError> {
        Ok(match self {
            Self::Ideal => Box::new(Ideal::new(store, IDEAL_LATENCY)),
            Self::Stalling(seed) => {
                let config = StallConfig::new(seed.wrapping_mul(1000).wrapping_add(port));
                Box::new(Stalling::new(store, config)?)
            }
            Self::Dram { channels, aux: other } => {
                let dram = if aux { other } else { channels };
                Box::new(Hbm2::new(store, &dram.params(mhz), self.phase(port, aux))?)
            }
        })
    }

    /// The same with `bytes` as contents; what is not written stays shared.
    ///
    /// # Errors
    /// The timing's parameters are wrong, or `bytes` are no whole beats.
    pub fn shared(
        self,
        bytes: &Arc<Vec<u8>>,
        port: u64,
        aux: bool,
        mhz: usize,
    ) -> Result<Box<dyn MemoryModel>, KindError> {
        self.model(Store::shared(bytes.clone())?, port, aux, mhz)
    }

    /// Name in reports: of the memory behind the channels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ideal => "ideal",
            Self::Stalling(_) => "stalling",
            Self::Dram { channels, .. } => channels.kind.name(),
        }
    }
}

/// A memory of some kind cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// The timing of DRAM.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The stalls.
    #[error(transparent)]
    Stalls(#[from] StallConfigError),
    /// The contents.
    #[error(transparent)]
    Store(#[from] StoreError),
}
