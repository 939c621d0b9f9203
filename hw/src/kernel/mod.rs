//! The engine as a Vitis RTL kernel: one description of its ports, arguments and memories, from which the Vitis
//! package ([`vitis`]), the wrapper with per-port names and the simulation xclbin ([`xclbin`]) are made, and which the
//! host checks cards against. See `docs/xrt.md`.

pub mod vitis;
pub mod xclbin;

use crate::config::{BEAT_BITS, Config};
use crate::regs::{self, Access, REGS};

/// Name of the AXI4-Lite slave.
pub const SLAVE: &str = "s_axi_control";
/// Bytes that the slave decodes.
pub const SLAVE_RANGE: u64 = 0x1000;
/// Offset of the first kernel argument; the registers before it belong to ap_ctrl.
pub const FIRST_ARG: u32 = 0x10;
/// Control protocol.
pub const PROTOCOL: &str = "ap_ctrl_hs";
/// The platform that packages are made for.
pub const PLATFORM: &str = "xilinx_u280_gen3x16_xdma_1_202211_1";
/// HBM pseudo-channels of the card.
pub const HBM_BANKS: usize = 32;
/// Bytes of a pseudo-channel.
pub const HBM_BYTES: u64 = 256 << 20;
/// DDR4 channels of the card.
pub const DDR_BANKS: usize = 2;
/// Bytes of a DDR4 channel.
pub const DDR_BYTES: u64 = 16 << 30;
/// Where the first DDR4 channel begins in the card's address map.
const DDR_BASE: u64 = 0x40_0000_0000;
/// Distance of the DDR4 channels in the address map.
const DDR_STEP: u64 = 0x10_0000_0000;

/// A memory of the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Memory {
    /// An HBM pseudo-channel.
    Hbm(usize),
    /// A DDR4 channel.
    Ddr(usize),
}

impl Memory {
    /// All memories, in the order of their index in a memory topology.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..HBM_BANKS).map(Self::Hbm).chain((0..DDR_BANKS).map(Self::Ddr))
    }

    /// Index in the memory topology of the simulation.
    pub fn index(self) -> usize {
        match self {
            Self::Hbm(i) => i,
            Self::Ddr(i) => HBM_BANKS + i,
        }
    }

    /// First byte in the card's address map.
    pub fn base(self) -> u64 {
        match self {
            Self::Hbm(i) => i as u64 * HBM_BYTES,
            Self::Ddr(i) => DDR_BASE + i as u64 * DDR_STEP,
        }
    }

    /// Whether `len` bytes from an address on lie in it.
    pub fn contains(self, address: u64, len: u64) -> bool {
        let offset = address.checked_sub(self.base());
        offset.is_some_and(|o| o <= self.bytes() && self.bytes() - o >= len)
    }

    /// Size.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Hbm(_) => HBM_BYTES,
            Self::Ddr(_) => DDR_BYTES,
        }
    }
}

/// The tag of Vitis and XRT, `HBM[3]`.
impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hbm(i) => write!(f, "HBM[{i}]"),
            Self::Ddr(i) => write!(f, "DDR[{i}]"),
        }
    }
}

/// An AXI4 master of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// Name, `m_axi_hbm_0`.
    pub name: String,
    /// The memory behind it.
    pub memory: Memory,
}

/// A kernel argument: a register that the host sets before a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Name, lower case.
    pub name: String,
    /// Offset in the slave.
    pub offset: u32,
    /// 4, or 8 of a pointer.
    pub bytes: u32,
    /// Index of the master that it is an address for; `None` of a scalar.
    pub master: Option<usize>,
}

/// The kernel of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The configuration.
    pub config: Config,
    /// Name, `accllm_tiny`.
    pub name: String,
    /// Masters: one per channel, then the auxiliary one. The same order as in `accllm_core`.
    pub masters: Vec<Master>,
    /// Arguments in order of index and of offset, without holes.
    pub args: Vec<Arg>,
}

impl Kernel {
    /// The kernel of a configuration.
    pub fn new(config: &Config) -> Self {
        let hbm = |c| Master { name: format!("m_axi_hbm_{c}"), memory: Memory::Hbm(c) };
        let mut masters: Vec<_> = (0..config.channels).map(hbm).collect();
        masters.push(Master { name: "m_axi_aux".into(), memory: Memory::Ddr(0) });
        let args = REGS.iter().filter(|r| r.access == Access::Rw && r.offset >= FIRST_ARG);
        let args = args.flat_map(|r| {
            let base = r.name.to_lowercase();
            let (count, master) = match r.offset {
                regs::CHANNEL_BASE => (config.channels as u32, Some(0)),
                regs::AUX_BASE => (1, Some(config.channels)),
                _ => (r.count, None),
            };
            let bytes = r.bits / 8;
            (0..count).map(move |i| Arg {
                name: match (r.offset, r.count) {
                    (_, 1) => base.clone(),
                    // Arguments become registers from 1 on.
                    (regs::ARG, _) => format!("{base}_{}", i + 1),
                    _ => format!("{base}_{i}"),
                },
                offset: r.offset + i * bytes,
                bytes,
                master: master.map(|m: usize| m + i as usize),
            })
        });
        Self { config: *config, name: format!("accllm_{}", config.name), masters, args: args.collect() }
    }

    /// Name of the one compute unit.
    pub fn instance(&self) -> String {
        format!("{}_1", self.name)
    }

    /// Index of the argument at a register.
    pub fn arg(&self, offset: u32) -> Option<usize> {
        self.args.iter().position(|a| a.offset == offset)
    }

    /// Index of the argument that holds the address for a master.
    pub fn pointer(&self, master: usize) -> Option<usize> {
        self.args.iter().position(|a| a.master == Some(master))
    }

    /// Width of the masters.
    pub fn data_bits(&self) -> usize {
        BEAT_BITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CONFIGS;

    #[test]
    fn arguments_follow_each_other_without_holes() {
        for config in CONFIGS.iter() {
            let kernel = Kernel::new(config);
            let mut at = FIRST_ARG;
            for a in &kernel.args {
                assert_eq!(a.offset, at, "{}: {} leaves a hole before it", kernel.name, a.name);
                assert!(a.bytes == 4 || a.offset % 8 == 0, "{}", a.name);
                assert_eq!(a.bytes == 8, a.master.is_some(), "{}", a.name);
                at += a.bytes;
            }
            for (i, m) in kernel.masters.iter().enumerate() {
                let pointer = kernel.pointer(i).map(|p| kernel.args[p].name.as_str());
                let want = m.name.replace("m_axi_hbm_", "channel_base_").replace("m_axi_aux", "aux_base");
                assert_eq!(pointer, Some(want.as_str()));
            }
            assert_eq!(kernel.masters.len(), config.channels + 1);
            assert_eq!(kernel.arg(regs::ARG + 4 * 14).map(|a| kernel.args[a].name.as_str()), Some("arg_15"));
        }
    }

    #[test]
    fn memories_do_not_overlap() {
        let all: Vec<_> = Memory::all().collect();
        for pair in all.windows(2) {
            assert!(pair[0].base() + pair[0].bytes() <= pair[1].base(), "{pair:?}");
        }
        for (i, m) in all.iter().enumerate() {
            assert_eq!(m.index(), i);
        }
    }
}
