//! The simulation xclbin: what XRT reads of a kernel (`struct axlf` of XRT's `xclbin.h`), without a bitstream.
//!
//! XRT's emulation takes kernels, register offsets, memories and their connections from it. A card needs the xclbin
//! that `v++` links.

use super::{Kernel, Memory, PLATFORM, SLAVE_RANGE, vitis};

/// Address of the compute unit in the emulated card.
pub const UNIT_BASE: u64 = 0x180_0000;

/// Section kinds of `enum axlf_section_kind`.
const EMBEDDED_METADATA: u32 = 2;
const MEM_TOPOLOGY: u32 = 6;
const CONNECTIVITY: u32 = 7;
const IP_LAYOUT: u32 = 8;
/// Offset of the section headers in `struct axlf`.
const HEADERS: usize = 456;
/// Bytes of `struct axlf_section_header`.
const HEADER: usize = 40;
/// `XCLBIN_HW_EMU`.
const MODE_HW_EMU: u16 = 4;
/// `IP_KERNEL`, and its properties: an interrupt, ap_ctrl_hs.
const IP_KERNEL: u32 = 1;
const IP_PROPERTIES: u32 = 1;

/// A memory of the topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bank {
    /// Tag, `HBM[0]`.
    pub tag: String,
    /// Whether it is HBM; else DDR4.
    pub hbm: bool,
    /// Whether a master is connected to it.
    pub used: bool,
    /// First byte in the card's address map.
    pub base: u64,
    /// Size, a multiple of 1 KiB.
    pub bytes: u64,
}

/// Contents of a simulation xclbin. All of it can be changed before it is written, to try what a host does with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xclbin {
    /// The kernel.
    pub kernel: Kernel,
    /// Platform it was made for.
    pub platform: String,
    /// Memories, in order of their index.
    pub banks: Vec<Bank>,
    /// Argument index and memory index of every pointer.
    pub connections: Vec<(usize, usize)>,
}

impl Xclbin {
    /// The simulation xclbin of a kernel: every master on its memory.
    pub fn new(kernel: &Kernel) -> Self {
        let banks = Memory::all().map(|m| Bank {
            tag: m.to_string(),
            hbm: matches!(m, Memory::Hbm(_)),
            used: kernel.masters.iter().any(|x| x.memory == m),
            base: m.base(),
            bytes: m.bytes(),
        });
        let connections = kernel.args.iter().enumerate().filter_map(|(id, a)| {
            let master = kernel.masters.get(a.master?)?;
            Some((id, master.memory.index()))
        });
        Self {
            kernel: kernel.clone(),
            platform: PLATFORM.into(),
            banks: banks.collect(),
            connections: connections.collect(),
        }
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let sections = [
            (EMBEDDED_METADATA, "EMBEDDED_METADATA", self.metadata().into_bytes()),
            (MEM_TOPOLOGY, "MEM_TOPOLOGY", self.mem_topology()),
            (CONNECTIVITY, "CONNECTIVITY", self.connectivity()),
            (IP_LAYOUT, "IP_LAYOUT", self.ip_layout()),
        ];
        let mut out = self.header(sections.len() as u32);
        let mut at = (HEADERS + HEADER * sections.len()).next_multiple_of(8);
        for (kind, name, data) in &sections {
            put32(&mut out, *kind);
            put_text(&mut out, name, 16);
            out.extend([0; 4]);
            put64(&mut out, at as u64);
            put64(&mut out, data.len() as u64);
            at = (at + data.len()).next_multiple_of(8);
        }
        for (_, _, data) in &sections {
            out.resize(out.len().next_multiple_of(8), 0);
            out.extend(data);
        }
        out.resize(at, 0);
        let length = (out.len() as u64).to_le_bytes();
        out[304..312].copy_from_slice(&length);
        // XRT knows contents by their identifier, so it must differ where they do.
        let id = identifier(&out);
        out[416..432].copy_from_slice(&id);
        out
    }

    /// `struct axlf` up to the section headers; length and identifier are still zero.
    fn header(&self, sections: u32) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(b"xclbin2\0");
        out.extend((-1i32).to_le_bytes()); // no signature
        out.extend([0xff; 28 + 256]);
        put64(&mut out, 0); // m_uniqueId
        put64(&mut out, 0); // m_length
        put64(&mut out, 0); // m_timeStamp: the same contents make the same file
        put64(&mut out, 0); // m_featureRomTimeStamp
        out.extend(0u16.to_le_bytes()); // version 2.13.0, patch first
        out.extend([2, 13]);
        out.extend(MODE_HW_EMU.to_le_bytes());
        out.extend(0u16.to_le_bytes()); // action mask
        out.extend([0; 16]); // interface uuid
        put_text(&mut out, &self.platform, 64);
        out.extend([0; 16]); // uuid
        out.extend([0; 16]); // debug file
        put32(&mut out, sections);
        out.extend([0; 4]);
        out
    }

    fn metadata(&self) -> String {
        let k = &self.kernel;
        let instance = format!(
            "    <instance name=\"{}\">\n      <addrRemap base=\"{UNIT_BASE:#x}\" range=\"{SLAVE_RANGE:#x}\" port=\"{}\"/>\n    </instance>\n",
            k.instance(),
            super::SLAVE
        );
        let kernel = vitis::kernel_element(k, &instance);
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<project name=\"{}\">\n<platform vendor=\"xilinx\" boardid=\"u280\" name=\"{}\">\n\
             <device name=\"fpga0\" fpgaDevice=\"virtexuplusHBM:xcu280:fsvh2892:-2L:e\">\n\
             <core name=\"OCL_REGION_0\" target=\"hw_em\" type=\"clc_region\" clockFreq=\"{}MHz\" numComputeUnits=\"1\">\n\
             {kernel}</core>\n</device>\n</platform>\n</project>\n",
            k.name, self.platform, k.config.mhz
        )
    }

    fn mem_topology(&self) -> Vec<u8> {
        /// `MEM_DDR4` and `MEM_HBM`.
        const TYPES: [u8; 2] = [1, 6];
        let mut out = Vec::new();
        put32(&mut out, self.banks.len() as u32);
        put32(&mut out, 0);
        for b in &self.banks {
            out.extend([TYPES[usize::from(b.hbm)], u8::from(b.used), 0, 0, 0, 0, 0, 0]);
            put64(&mut out, b.bytes >> 10);
            put64(&mut out, b.base);
            put_text(&mut out, &b.tag, 16);
        }
        out
    }

    fn connectivity(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put32(&mut out, self.connections.len() as u32);
        for (arg, bank) in &self.connections {
            put32(&mut out, *arg as u32);
            put32(&mut out, 0);
            put32(&mut out, *bank as u32);
        }
        out
    }

    fn ip_layout(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put32(&mut out, 1);
        put32(&mut out, 0);
        put32(&mut out, IP_KERNEL);
        put32(&mut out, IP_PROPERTIES);
        put64(&mut out, UNIT_BASE);
        put_text(&mut out, &format!("{}:{}", self.kernel.name, self.kernel.instance()), 64);
        out
    }
}

fn put32(out: &mut Vec<u8>, v: u32) {
    out.extend(v.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, v: u64) {
    out.extend(v.to_le_bytes());
}

/// Text in a field of `size` bytes, cut so that a zero ends it.
fn put_text(out: &mut Vec<u8>, text: &str, size: usize) {
    let n = text.len().min(size - 1);
    out.extend(&text.as_bytes()[..n]);
    out.resize(out.len() + size - n, 0);
}

/// Two 64-bit FNV-1a sums with different starts; never zero.
fn identifier(bytes: &[u8]) -> [u8; 16] {
    let sum = |start: u64| bytes.iter().fold(start, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    let (a, b) = (sum(0xcbf2_9ce4_8422_2325), sum(0x9e37_79b9_7f4a_7c15) | 1);
    let mut out = [0; 16];
    out[..8].copy_from_slice(&a.to_le_bytes());
    out[8..].copy_from_slice(&b.to_le_bytes());
    out
}
