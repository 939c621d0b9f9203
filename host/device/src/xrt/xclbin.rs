//! What an xclbin says about its kernels and memories: `struct axlf` of XRT's `xclbin.h`, read before it is loaded.

use crate::{Error, Result};
use roxmltree::{Document, Node};
use std::path::{Path, PathBuf};

/// Offsets in `struct axlf`, and sizes.
const LENGTH: usize = 304;
const PLATFORM: usize = 352;
const SECTIONS: usize = 448;
const HEADERS: usize = 456;
const HEADER: usize = 40;
const METADATA: u32 = 2;
/// Plain sections, and those with groups of banks, which XRT prefers.
const TOPOLOGY: [u32; 2] = [26, 6];
const CONNECTIVITY: [u32; 2] = [27, 7];
const MEMORY: usize = 40;
const CONNECTION: usize = 12;
/// `MEM_HBM`.
const HBM: u8 = 6;

/// An xclbin.
#[derive(Debug, Clone)]
pub struct Xclbin {
    /// Its file.
    pub path: PathBuf,
    /// The contents.
    pub bytes: Vec<u8>,
    /// The platform that it was linked for.
    pub platform: String,
    /// Its kernels.
    pub kernels: Vec<Kernel>,
    /// Memories by index.
    pub memories: Vec<Memory>,
    /// Index of an argument and of the memory that it is connected to.
    pub connections: Vec<(usize, usize)>,
}

/// A kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Name.
    pub name: String,
    /// Vendor, library, name and version.
    pub vlnv: Option<String>,
    /// Control protocol.
    pub protocol: String,
    /// Arguments by index.
    pub args: Vec<Arg>,
}

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Name.
    pub name: String,
    /// Register offset.
    pub offset: u32,
    /// Bytes.
    pub bytes: u32,
    /// Port: of a pointer the master that it is for.
    pub port: String,
}

/// A memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Tag, `HBM[3]`.
    pub tag: String,
    /// Whether it is HBM.
    pub hbm: bool,
    /// Bytes.
    pub bytes: u64,
}

impl Xclbin {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is no xclbin.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io("read the xclbin", path, e))?;
        Self::parse(path, bytes).map_err(|what| {
            Error::Xrt(format!(
                "{} is no usable xclbin: {what}; link it again, or write it with `accllm hw-emu`",
                path.display()
            ))
        })
    }

    fn parse(path: &Path, bytes: Vec<u8>) -> std::result::Result<Self, String> {
        let r = Reader(&bytes);
        if bytes.get(..8) != Some(b"xclbin2\0") {
            return Err("it does not begin like one".into());
        }
        // XRT copies as many bytes as this field says.
        let length = r.u64(LENGTH)?;
        if length != bytes.len() as u64 {
            return Err(format!("it says it has {length} bytes, and has {}", bytes.len()));
        }
        let xml = std::str::from_utf8(section(&r, &[METADATA])?.ok_or("it describes no kernels")?);
        let xml = xml.map_err(|_| "the description of its kernels is not UTF-8")?.trim_end_matches('\0');
        let xml = Document::parse(xml).map_err(|e| format!("the description of its kernels: {e}"))?;
        let kernels = xml.descendants().filter(|n| n.has_tag_name("kernel")).map(kernel);
        let memories = section(&r, &TOPOLOGY)?.ok_or("it has no memories")?;
        let connections = section(&r, &CONNECTIVITY)?.ok_or("it connects no memories")?;
        Ok(Self {
            platform: r.text(PLATFORM, 64)?,
            kernels: kernels.collect::<std::result::Result<_, _>>()?,
            memories: self::memories(memories)?,
            connections: self::connections(connections)?,
            path: path.to_path_buf(),
            bytes,
        })
    }
}

/// Little-endian fields.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&self, at: usize, len: usize) -> std::result::Result<&'a [u8], String> {
        let end = at.checked_add(len).filter(|e| *e <= self.0.len());
        end.map(|e| &self.0[at..e]).ok_or_else(|| format!("it ends before byte {at} + {len}"))
    }

    fn u32(&self, at: usize) -> std::result::Result<u32, String> {
        Ok(self.bytes(at, 4)?.iter().rev().fold(0, |v, b| v << 8 | u32::from(*b)))
    }

    fn u64(&self, at: usize) -> std::result::Result<u64, String> {
        Ok(self.bytes(at, 8)?.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b)))
    }

    fn text(&self, at: usize, len: usize) -> std::result::Result<String, String> {
        let bytes = self.bytes(at, len)?;
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(len);
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    /// Entries of `size` bytes from `first` on, as many as the count at 0 says.
    fn entries(
        &self,
        first: usize,
        size: usize,
    ) -> std::result::Result<impl Iterator<Item = Reader<'a>>, String> {
        let count = self.u32(0)? as usize;
        Ok(self.bytes(first, count.saturating_mul(size))?.chunks_exact(size).map(Reader))
    }
}

/// Contents of the first of these sections that is there.
fn section<'a>(r: &Reader<'a>, kinds: &[u32]) -> std::result::Result<Option<&'a [u8]>, String> {
    let count = r.u32(SECTIONS)? as usize;
    for kind in kinds {
        for i in 0..count.min(r.0.len() / HEADER) {
            let at = HEADERS + i * HEADER;
            if r.u32(at)? == *kind {
                let (offset, size) = (r.u64(at + 24)?, r.u64(at + 32)?);
                let fits = usize::try_from(offset).ok().zip(usize::try_from(size).ok());
                let (offset, size) = fits.ok_or("a section lies outside of it")?;
                return r.bytes(offset, size).map(Some);
            }
        }
    }
    Ok(None)
}

fn memories(section: &[u8]) -> std::result::Result<Vec<Memory>, String> {
    let entry = |r: Reader<'_>| {
        let kib = r.u64(8)?;
        Ok(Memory { tag: r.text(24, 16)?, hbm: r.0[0] == HBM, bytes: kib.saturating_mul(1024) })
    };
    Reader(section).entries(8, MEMORY)?.map(entry).collect()
}

fn connections(section: &[u8]) -> std::result::Result<Vec<(usize, usize)>, String> {
    let entry = |r: Reader<'_>| Ok((r.u32(0)? as usize, r.u32(8)? as usize));
    Reader(section).entries(4, CONNECTION)?.map(entry).collect()
}

fn kernel(node: Node<'_, '_>) -> std::result::Result<Kernel, String> {
    let name = attribute(node, "name")?;
    let mut args = Vec::new();
    for arg in node.descendants().filter(|n| n.has_tag_name("arg")) {
        // Others are no registers.
        if arg.attribute("id").is_none_or(str::is_empty) {
            continue;
        }
        let number = |a: &str| {
            number(attribute(arg, a)?).ok_or_else(|| format!("{name}: an argument's {a} is no number"))
        };
        let a = Arg {
            name: attribute(arg, "name")?.to_owned(),
            offset: number("offset")?,
            bytes: number("size")?,
            port: attribute(arg, "port")?.to_owned(),
        };
        args.push((number("id")?, a));
    }
    args.sort_by_key(|(id, _)| *id);
    Ok(Kernel {
        name: name.to_owned(),
        vlnv: node.attribute("vlnv").map(ToOwned::to_owned),
        protocol: node.attribute("hwControlProtocol").unwrap_or_default().to_owned(),
        args: args.into_iter().map(|(_, a)| a).collect(),
    })
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> std::result::Result<&'a str, String> {
    node.attribute(name).ok_or_else(|| format!("a <{}> has no {name}", node.tag_name().name()))
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}
