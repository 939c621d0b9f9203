//! Whether an engine and a model fit a card.

use super::{Card, Resources};
use crate::config::Config;
use std::fmt;

/// What is to be put on a card.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    /// The engine.
    pub config: &'a Config,
    /// Bytes behind each channel.
    pub channel_bytes: u64,
    /// Bytes behind the auxiliary port.
    pub aux_bytes: u64,
    /// The engine's logic, where it is known; LUTs as memory included.
    pub resources: Option<Resources<f64>>,
}

/// What does not fit.
#[derive(Debug, Clone, PartialEq)]
pub enum Misfit {
    /// More channels than the card has ports.
    Ports {
        /// The engine's channels.
        need: usize,
        /// The card's ports.
        have: usize,
    },
    /// More bytes than a memory has.
    Bytes {
        /// Which memory.
        memory: &'static str,
        /// Bytes behind a port.
        need: u64,
        /// Bytes that there are.
        have: u64,
    },
    /// A faster clock than the card's.
    Clock {
        /// The engine's clock, MHz.
        need: f64,
        /// The card's, MHz.
        have: f64,
    },
    /// More of a resource than the ceiling.
    Resource {
        /// Its name.
        name: &'static str,
        /// Percent of the device, shell and paths to memory included.
        share: f64,
        /// The ceiling, percent.
        limit: f64,
    },
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        match *self {
            Self::Ports { need, have } => write!(f, "{need} channels; the card's memory has {have} ports"),
            Self::Bytes { memory, need, have } => {
                write!(f, "{} MiB behind {memory}; there are {}", mib(need), have >> 20)
            }
            Self::Clock { need, have } => write!(f, "a clock of {need} MHz; the card gives {have}"),
            Self::Resource { name, share, limit } => {
                write!(
                    f,
                    "{share:.1}% of the {}, shell included; the ceiling is {limit}%",
                    name.to_uppercase()
                )
            }
        }
    }
}

impl Card {
    /// Percent of each resource that an engine takes with the shell and the paths to memory of its `channels`.
    pub fn shares(&self, engine: &Resources<f64>, channels: usize) -> Resources<f64> {
        let (device, free, added) = (self.device.resources(), self.free.total(), self.added.total());
        let ports = (channels as f64 / self.memory.ports.min(32) as f64).min(1.0);
        let share = |engine: f64, device: f64, free: f64, added: f64| match device {
            0.0 if engine == 0.0 => 0.0,
            _ => 100.0 * (engine + device - free + added * ports) / device,
        };
        Resources {
            lut: share(engine.lut, device.lut, free.lut, added.lut),
            ff: share(engine.ff, device.ff, free.ff, added.ff),
            dsp: share(engine.dsp, device.dsp, free.dsp, added.dsp),
            bram: share(engine.bram, device.bram, free.bram, added.bram),
            uram: share(engine.uram, device.uram, free.uram, added.uram),
        }
    }

    /// All that does not fit; nothing where all does.
    pub fn misfits(&self, need: &Need<'_>) -> Vec<Misfit> {
        let (config, mut found) = (need.config, Vec::new());
        if config.channels > self.memory.ports {
            found.push(Misfit::Ports { need: config.channels, have: self.memory.ports });
        }
        let have = self.memory.bytes(config.channels);
        let aux = if self.aux.shared { need.aux_bytes } else { 0 };
        // What others share the memory with is spread over the channels where these are parts of one.
        let aux = aux.div_ceil(self.memory.sharers(config.channels) as u64);
        if need.channel_bytes + aux > have {
            found.push(Misfit::Bytes { memory: "a channel", need: need.channel_bytes + aux, have });
        } else if !self.aux.shared && need.aux_bytes > self.aux.bytes {
            let (need, have) = (need.aux_bytes, self.aux.bytes);
            found.push(Misfit::Bytes { memory: "the auxiliary port", need, have });
        }
        if config.mhz as f64 > self.clock.mhz {
            found.push(Misfit::Clock { need: config.mhz as f64, have: self.clock.mhz });
        }
        let shares = need.resources.map(|r| self.shares(&r, config.channels));
        if let Some(shares) = &shares {
            let parts = shares.each().into_iter().zip(self.limit.each());
            for (name, (&share, &limit)) in Resources::<f64>::NAMES.into_iter().zip(parts) {
                if share > limit {
                    found.push(Misfit::Resource { name, share, limit });
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::find;
    use crate::config;

    fn said(card: &str, change: impl Fn(&mut Config), bytes: [u64; 2], lut: Option<f64>) -> Vec<String> {
        let mut config = *config::find("u280").unwrap();
        change(&mut config);
        let resources = lut.map(|lut| Resources { lut, ff: 0.0, dsp: 0.0, bram: 0.0, uram: 0.0 });
        let need = Need { config: &config, channel_bytes: bytes[0], aux_bytes: bytes[1], resources };
        find(card).unwrap().misfits(&need).iter().map(ToString::to_string).collect()
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_does_not_fit_is_named() {
        assert!(said("u280", |_| (), [256 * MIB, 1 << 33], Some(423_727.0)).is_empty());
        assert_eq!(
            said("u280", |c| c.mhz = 350, [257 * MIB, 0], Some(700_000.0)),
            [
                "257 MiB behind a channel; there are 256",
                "a clock of 350 MHz; the card gives 300",
                "81.3% of the LUT, shell included; the ceiling is 75%"
            ]
        );
        assert_eq!(said("zcu104", |_| (), [0; 2], None), ["32 channels; the card's memory has 4 ports"]);
        assert_eq!(
            said("u280", |_| (), [0, 1 << 35], None),
            ["32768 MiB behind the auxiliary port; there are 16384"]
        );
    }

    #[test]
    fn parts_of_one_memory_add_up() {
        // A U50's auxiliary port takes its bytes from a channel, a ZCU104's from all, which are one memory.
        assert!(said("u50", |_| (), [156 * MIB, 100 * MIB], None).is_empty());
        assert_eq!(
            said("u50", |_| (), [157 * MIB, 100 * MIB], None),
            ["257 MiB behind a channel; there are 256"]
        );
        let small = |c: &mut Config| (c.channels, c.vec) = (4, 16);
        assert!(said("zcu104", small, [412 * MIB, 400 * MIB], None).is_empty());
        assert_eq!(said("zcu104", small, [412 * MIB, 404 * MIB], None).len(), 1);
    }

    #[test]
    fn ports_share_a_channel() {
        let memory = &find("zcu104").unwrap().memory;
        assert_eq!([1, 2, 4].map(|ports| memory.rate(ports)), [4.8, 4.8, 4.8]);
        assert_eq!([1, 2, 4].map(|ports| memory.bytes(ports) >> 20), [2048, 1024, 512]);
        assert_eq!(find("v80").unwrap().memory.rate(32), 25.6);
    }
}
