//! The memories that a simulated engine can have, by kind.

use super::hbm2::ParamsError;
use super::{Hbm2, Ideal, MemoryModel, StallConfig, StallConfigError, Stalling, Store, StoreError};
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
    /// The U280's: HBM2 behind the channels, DDR4 behind the auxiliary port (docs/hbm2.md).
    Hbm2,
}

impl MemoryKind {
    /// The model of a memory with these contents behind a port.
    ///
    /// # Errors
    /// The timing's parameters are wrong.
    pub fn model(self, store: Store, port: u64, aux: bool) -> Result<Box<dyn MemoryModel>, KindError> {
        Ok(match self {
            Self::Ideal => Box::new(Ideal::new(store, IDEAL_LATENCY)),
            Self::Hbm2 => {
                let made = if aux { Hbm2::ddr4(store) } else { Hbm2::hbm2(store, port) };
                Box::new(made?)
            }
            Self::Stalling(seed) => {
                let config = StallConfig::new(seed.wrapping_mul(1000).wrapping_add(port));
                Box::new(Stalling::new(store, config)?)
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
    ) -> Result<Box<dyn MemoryModel>, KindError> {
        self.model(Store::shared(bytes.clone())?, port, aux)
    }

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ideal => "ideal",
            Self::Stalling(_) => "stalling",
            Self::Hbm2 => "hbm2",
        }
    }
}

/// A memory of some kind cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// The timing of HBM2 or DDR4.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The stalls.
    #[error(transparent)]
    Stalls(#[from] StallConfigError),
    /// The contents.
    #[error(transparent)]
    Store(#[from] StoreError),
}
