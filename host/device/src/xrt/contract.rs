//! Checks a card and its xclbin against the kernel that this program drives.

use super::xclbin::{Kernel as Found, Xclbin};
use crate::{Error, Result};
use accllm_hw::kernel::{Kernel, PROTOCOL, vitis};
use accllm_hw::regs::{self, CONTRACT_VERSION};

type Check = std::result::Result<(), String>;

impl Xclbin {
    /// Checks that it holds this kernel, with memories that hold `bytes` for each of its masters.
    ///
    /// # Errors
    /// The first difference, with both sides named.
    pub fn check(&self, want: &Kernel, bytes: &[usize]) -> Result<()> {
        check(self, want, bytes).map_err(|e| Error::Xrt(format!("{}: {e}", self.path.display())))
    }
}

/// Checks an xclbin; `bytes` is what the memory of each master must hold.
fn check(xclbin: &Xclbin, want: &Kernel, bytes: &[usize]) -> Check {
    let Some(found) = xclbin.kernels.iter().find(|k| k.name == want.name) else {
        let names: Vec<_> = xclbin.kernels.iter().map(|k| k.name.as_str()).collect();
        return Err(format!(
            "it holds the kernel {}, the program needs {}; give its xclbin, or compile for another configuration",
            names.join(" and "),
            want.name
        ));
    };
    kernel(found, want)?;
    topology(xclbin, want, bytes)
}

fn kernel(found: &Found, want: &Kernel) -> Check {
    let again = "package and link it again";
    let version = found.vlnv.as_deref().map(|v| (v.rsplit(':').next().unwrap_or_default(), vitis::version()));
    if let Some((found, want)) = version.filter(|(found, want)| found != want) {
        return Err(format!("the kernel is of contract {found}, this program of {want}; {again}"));
    }
    if found.protocol != PROTOCOL {
        return Err(format!(
            "the kernel is controlled by {}, this program needs {PROTOCOL}; {again}",
            found.protocol
        ));
    }
    let channels = found.args.iter().filter(|a| a.name.starts_with("channel_base_")).count();
    if channels > 0 && channels != want.config.channels {
        return Err(differs("channels", channels, want.config.channels));
    }
    if found.args.len() != want.args.len() {
        let (f, w) = (found.args.len(), want.args.len());
        return Err(format!("the kernel takes {f} arguments, this program gives {w}; {again}"));
    }
    for (i, (f, w)) in found.args.iter().zip(&want.args).enumerate() {
        if (f.name.as_str(), f.offset, f.bytes) != (w.name.as_str(), w.offset, w.bytes) {
            return Err(format!(
                "argument {i} of the kernel is {} ({} bytes at {:#x}), for this program {} ({} bytes at {:#x}); {again}",
                f.name, f.bytes, f.offset, w.name, w.bytes, w.offset
            ));
        }
        if let Some(m) = w.master.filter(|m| want.masters[*m].name != f.port) {
            let name = &want.masters[m].name;
            return Err(format!(
                "argument {} is for port {}, for this program for {name}; {again}",
                f.name, f.port
            ));
        }
    }
    Ok(())
}

/// Every master on a memory of its own, channels on HBM, large enough.
fn topology(xclbin: &Xclbin, want: &Kernel, bytes: &[usize]) -> Check {
    let again = "link it with the package's link.cfg";
    let mut taken: Vec<(usize, &str)> = Vec::new();
    for (m, master) in want.masters.iter().enumerate() {
        let name = master.name.as_str();
        let pointer = want.pointer(m);
        let bank = xclbin.connections.iter().find(|(arg, _)| Some(*arg) == pointer).map(|(_, bank)| *bank);
        let Some((bank, memory)) = bank.and_then(|b| xclbin.memories.get(b).map(|m| (b, m))) else {
            return Err(format!(
                "{name} is connected to no memory, it belongs to {}; {again}",
                master.memory
            ));
        };
        let channel = m < want.config.channels;
        if channel && !memory.hbm {
            let (tag, belongs) = (&memory.tag, master.memory);
            return Err(format!("{name} is connected to {tag}, it belongs to {belongs}; {again}"));
        }
        if let Some((_, other)) = taken.iter().find(|(b, _)| *b == bank) {
            let (tag, belongs) = (&memory.tag, master.memory);
            return Err(format!(
                "{name} is connected to {tag} like {other}, it belongs to {belongs}; {again}"
            ));
        }
        let need = bytes.get(m).copied().unwrap_or(0) as u64;
        if need > memory.bytes {
            let (tag, has) = (&memory.tag, memory.bytes);
            return Err(format!(
                "{name} is connected to {tag} of {has} bytes, the program needs {need}; \
                 compile a smaller model or window, or a configuration with more channels"
            ));
        }
        taken.push((bank, name));
    }
    Ok(())
}

/// Checks the card's platform against the xclbin's. Names of shells differ from names of platforms
/// (`..._xdma_base_1`, `..._xdma_1_202211_1`), so the card counts; XRT itself refuses another shell.
pub fn platform(card: &str, xclbin: &str) -> Check {
    let board = |name: &str| name.splitn(3, '_').take(2).collect::<Vec<_>>().join("_");
    if board(card) == board(xclbin) {
        return Ok(());
    }
    Err(format!(
        "the card is {card}, the xclbin is for {xclbin}; give an xclbin for this card, or another card"
    ))
}

fn differs(field: &str, found: usize, want: usize) -> String {
    format!(
        "the kernel on the card is of another configuration of that name: its {field} is {found}, the program's {want}; \
         compile for the card's configuration, or package and link this one"
    )
}

/// Checks the CONFIG registers, which hold the parameters that the kernel was built with.
pub fn parameters(want: &Kernel, mut read: impl FnMut(u32) -> Result<u32>) -> Result<Check> {
    for ((field, _, value), offset) in want.config.params().zip((regs::CONFIG..).step_by(4)) {
        let found = read(offset)? as usize;
        if found != value {
            return Ok(Err(differs(field, found, value)));
        }
    }
    Ok(Ok(()))
}

/// Checks the VERSION register.
pub fn version(register: u32, want: &Kernel) -> Check {
    let c = &want.config;
    let expected = CONTRACT_VERSION | (c.channels as u32) << 16 | (c.lanes as u32) << 24;
    if register == expected {
        return Ok(());
    }
    let words = |v: u32| format!("contract {}, {} channels, {} lanes", v & 0xffff, v >> 16 & 0xff, v >> 24);
    Err(format!(
        "the kernel on the card says {} (VERSION {register:#010x}), this program needs {}; package and link it again",
        words(register),
        words(expected)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use accllm_hw::config::find;

    #[test]
    fn platforms_and_versions() {
        assert!(platform("xilinx_u280_gen3x16_xdma_base_1", "xilinx_u280_gen3x16_xdma_1_202211_1").is_ok());
        let said =
            platform("xilinx_u50_gen3x16_xdma_base_5", "xilinx_u280_gen3x16_xdma_1_202211_1").unwrap_err();
        assert!(said.contains("xilinx_u50_") && said.contains("xilinx_u280_"), "{said}");
        let tiny = Kernel::new(find("tiny").unwrap());
        assert!(version(CONTRACT_VERSION | 2 << 16 | 2 << 24, &tiny).is_ok());
        let said = version(1 | 32 << 16 | 2 << 24, &tiny).unwrap_err();
        assert!(said.contains("contract 1, 32 channels, 2 lanes"), "{said}");
    }

    #[test]
    fn the_first_parameter_that_differs_is_named() {
        let tiny = Kernel::new(find("tiny").unwrap());
        let registers: Vec<_> = tiny.config.params().map(|(_, _, v)| v as u32).collect();
        let read = |registers: &[u32], offset: u32| registers[(offset - regs::CONFIG) as usize / 4];
        assert_eq!(parameters(&tiny, |at| Ok(read(&registers, at))).unwrap(), Ok(()));
        for (i, (field, _, value)) in tiny.config.params().enumerate() {
            let mut other = registers.clone();
            other[i] += 1;
            let said = parameters(&tiny, |at| Ok(read(&other, at))).unwrap().unwrap_err();
            assert!(said.contains(&format!("its {field} is {}, the program's {value}", value + 1)), "{said}");
        }
    }
}
