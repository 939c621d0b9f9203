//! The simulation xclbin, read by a program that includes XRT's own header, and by the host.

use accllm_device::xrt::xclbin::Xclbin as Read;
use accllm_hw::config::CONFIGS;
use accllm_hw::kernel::xclbin::{UNIT_BASE, Xclbin};
use accllm_hw::kernel::{Kernel, Memory, PLATFORM};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `xclbin.h` is.
fn header() -> Option<PathBuf> {
    let root = std::env::var_os("XILINX_XRT").map(|r| PathBuf::from(r).join("include"));
    let usual = ["/usr/include/xrt", "/opt/xilinx/xrt/include"].map(PathBuf::from);
    root.into_iter().chain(usual).find(|f| f.join("xclbin.h").is_file())
}

/// Compiles the reader; `None`, after saying why, where the header is missing.
fn reader() -> Option<PathBuf> {
    let Some(include) = header() else {
        assert!(std::env::var_os("ACCLLM_REQUIRE_XRT").is_none(), "xclbin.h is not here");
        let _ = writeln!(std::io::stderr(), "skipped: XRT's xclbin.h is not here (Debian: libxrt-dev)");
        return None;
    };
    let chosen = std::env::var("ACCLLM_CXX").ok();
    let names = chosen.iter().map(String::as_str).chain(["c++", "g++", "clang++", "clang++-16"]);
    let works = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    let compiler = names.into_iter().find(works).expect("a C++ compiler");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("xclbin-reader");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("whole/xclbin/reader.cpp");
    let mut compile = Command::new(compiler);
    compile.args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-I"]).arg(include);
    let ran = compile.arg(source).arg("-o").arg(&program).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Some(program)
}

#[test]
fn as_xrts_header_lays_it_out() {
    let Some(reader) = reader() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut identifiers = Vec::new();
    for config in CONFIGS.iter() {
        let kernel = Kernel::new(config);
        let path = folder.path().join("k.xclbin");
        std::fs::write(&path, Xclbin::new(&kernel).to_bytes()).unwrap();
        let ran = Command::new(&reader).arg(&path).output().unwrap();
        let text = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success(), "{text}");
        let mut lines = text.lines();
        let mut want = vec![
            "magic xclbin2".to_owned(),
            "length right".into(),
            "mode 4".into(),
            format!("platform {PLATFORM}"),
            "version 2.13".into(),
            "signature -1".into(),
        ];
        for line in want.drain(..) {
            assert_eq!(lines.next(), Some(line.as_str()));
        }
        let id = lines.next().unwrap().to_owned();
        assert!(id.starts_with("uuid ") && id != format!("uuid {}", "0".repeat(32)), "{id}");
        identifiers.push(id);
        for (i, m) in Memory::all().enumerate() {
            let used = u8::from(kernel.masters.iter().any(|x| x.memory == m));
            let kind = if matches!(m, Memory::Hbm(_)) { 6 } else { 1 };
            let line =
                format!("memory {i} {m} type {kind} used {used} kib {} base {:x}", m.bytes() >> 10, m.base());
            assert_eq!(lines.next(), Some(line.as_str()));
        }
        assert_eq!(lines.next(), Some("memories whole"));
        for (id, arg) in kernel.args.iter().enumerate() {
            if let Some(m) = arg.master {
                let line = format!("connection {id} ip 0 memory {}", kernel.masters[m].memory.index());
                assert_eq!(lines.next(), Some(line.as_str()));
            }
        }
        let unit = format!("ip {0}:{0}_1 type 1 control 0 base {UNIT_BASE:x}", kernel.name);
        assert_eq!(lines.next(), Some(unit.as_str()));
        assert!(lines.next().unwrap().starts_with("xml "));
        let rest: Vec<_> = lines.collect();
        let xml = rest.join("\n");
        let document = roxmltree::Document::parse(&xml).unwrap();
        let args = document.descendants().filter(|n| n.has_tag_name("arg")).count();
        assert_eq!(args, kernel.args.len());
    }
    identifiers.sort();
    identifiers.dedup();
    assert_eq!(identifiers.len(), CONFIGS.len(), "each content has an identifier of its own");
}

/// The host's reader finds what was written, and takes damage for what it is.
#[test]
fn the_host_reads_it_and_survives_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.xclbin");
    let kernel = Kernel::new(&CONFIGS[0]);
    let whole = Xclbin::new(&kernel).to_bytes();
    std::fs::write(&path, &whole).unwrap();
    let read = Read::read(&path).unwrap();
    assert_eq!(read.platform, PLATFORM);
    assert_eq!(read.memories.len(), 34);
    assert_eq!(read.kernels.len(), 1);
    assert_eq!(read.kernels[0].args.len(), kernel.args.len());
    read.check(&kernel, &[4096; 3]).unwrap();

    let mut refused = 0;
    let mut state = 1u64;
    for i in 0..1500 {
        let mut bytes = whole.clone();
        if i < 500 {
            bytes.truncate(whole.len() * i / 500);
            let length = (bytes.len() as u64).to_le_bytes();
            if let Some(field) = bytes.get_mut(304..312) {
                field.copy_from_slice(&length);
            }
        } else {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // Mostly the headers and tables.
            let range = if i % 2 == 0 { 640 } else { whole.len() as u64 };
            bytes[(state >> 20) as usize % range as usize] ^= 1 << (state >> 61);
        }
        std::fs::write(&path, bytes).unwrap();
        // Damage that says nothing else, for instance in a reserved field, may pass.
        refused += u32::from(Read::read(&path).and_then(|x| x.check(&kernel, &[4096; 3])).is_err());
    }
    assert!(refused > 700, "{refused}");
}
