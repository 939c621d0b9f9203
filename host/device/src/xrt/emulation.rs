//! Hardware emulation: what XRT's emulation needs, what it leaves behind, and whether its device process lives.
//!
//! Nothing here is used on a card.

use super::api::Api;
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The emulation that is asked for by the environment, `hw_emu`.
pub fn mode() -> Option<String> {
    std::env::var("XCL_EMULATION_MODE").ok().filter(|m| !m.is_empty())
}

/// Refuses an environment in which XRT would fail in ways that are hard to read.
pub fn check_environment() -> Result<()> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    if !set("XILINX_XRT") {
        return Err(Error::Xrt(
            "XILINX_XRT is not set; run `. /opt/xilinx/xrt/setup.sh` for a card, or `. FOLDER/env.sh` of a folder \
             written by `accllm hw-emu`"
                .into(),
        ));
    }
    match mode().as_deref() {
        None => Ok(()),
        Some("hw_emu") if !set("USER") => Err(Error::Xrt(
            "USER is not set: XRT's emulation would share one socket among all programs; set it to your name"
                .into(),
        )),
        Some("hw_emu") => Ok(()),
        Some(other) => Err(Error::Xrt(format!(
            "XCL_EMULATION_MODE is '{other}'; only hw_emu is supported, unset it for a card"
        ))),
    }
}

/// Bytes of a message between XRT and the device process.
const PACKET: usize = 1 << 20;

/// Settings without which the emulation of some packages fails (docs/xrt.md); before the first device is opened.
///
/// XRT 2.13 of Debian does not keep the new place of a message buffer that it has grown. The first message carries all
/// settings, so one long setting makes the buffer large enough for all later ones.
pub fn prepare(api: &Api) -> Result<()> {
    if mode().is_none() {
        return Ok(());
    }
    let settings =
        [("Emulation.packet_size", PACKET.to_string()), ("Debug.rpc_pad", "x".repeat(PACKET + (64 << 10)))];
    for (key, value) in settings {
        let (k, v) = (CString::new(key), CString::new(value));
        let (Ok(k), Ok(v)) = (k, v) else { continue };
        // SAFETY: two C strings that live during the call.
        if unsafe { (api.ini)(k.as_ptr(), v.as_ptr()) } != 0 {
            return Err(Error::Xrt(format!(
                "XRT does not take {key} any more: a device was opened in this process before accllm opened one"
            )));
        }
    }
    Ok(())
}

/// What the emulation has failed with, on one of its own threads.
static FAILED: OnceLock<String> = OnceLock::new();

/// Tells that a thread of XRT's emulation has failed and stands still: calls that wait for it are given up.
pub fn given_up(why: &str) {
    // The first reason counts.
    let _ = FAILED.set(why.to_owned());
}

/// Signal handlers that the emulation replaces by its own, which kill the whole process group.
pub struct Handlers(Vec<(i32, libc::sigaction)>);

impl Handlers {
    /// Those that are there now.
    pub fn save() -> Self {
        let read = |signal| {
            // SAFETY: a zeroed structure is one without a handler; the call fills it.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            // SAFETY: `action` lives during the call.
            let done = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
            (done == 0).then_some((signal, action))
        };
        Self([libc::SIGSEGV, libc::SIGFPE, libc::SIGABRT].into_iter().filter_map(read).collect())
    }

    /// Puts them back.
    pub fn restore(&self) {
        for (signal, action) in &self.0 {
            // SAFETY: the structure is one that the system returned for this signal.
            unsafe { libc::sigaction(*signal, action, std::ptr::null_mut()) };
        }
    }
}

/// Watches the device process.
pub struct Watch {
    /// Children that were there before.
    before: BTreeSet<u32>,
    /// Children that were dead at the last look; XRT's own helpers are dead for a moment too.
    dead: BTreeSet<u32>,
    /// Whether the emulation had failed at the last look.
    failed: bool,
}

impl Watch {
    /// To be made before a device is loaded.
    pub fn new() -> Self {
        Self { before: children().into_keys().collect(), dead: BTreeSet::new(), failed: false }
    }

    /// What has happened to the device process, if it is gone.
    pub fn look(&mut self) -> Option<String> {
        let all = children().into_iter();
        let dead: BTreeSet<u32> =
            all.filter(|(p, dead)| *dead && !self.before.contains(p)).map(|(p, _)| p).collect();
        let gone = dead.intersection(&self.dead).next().copied();
        self.dead = dead;
        let gone = gone.map(|pid| format!("the device process ({pid}) has ended; what it said is above"));
        // A dead process makes XRT fail a moment later: it is the better reason, so it gets another look.
        if gone.is_none() && self.failed {
            return FAILED.get().cloned();
        }
        self.failed = FAILED.get().is_some();
        gone
    }
}

/// Children of this process, and whether they are dead.
fn children() -> BTreeMap<u32, bool> {
    let own = std::process::id();
    let stats = listed().into_iter().filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; state and parent follow the last one.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let (state, parent) = (fields.next()?, fields.next()?);
        (parent.parse() == Ok(own)).then_some((pid, state == "Z" || state == "X"))
    });
    stats.collect()
}

/// Processes among which the children are: the kernel's list of them, or all where it keeps none.
fn listed() -> Vec<u32> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists: Vec<_> =
        tasks.filter_map(|t| std::fs::read_to_string(t.path().join("children")).ok()).collect();
    if lists.is_empty() {
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        return all.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    }
    lists.iter().flat_map(|l| l.split_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
}

/// Device processes that XRT has started in this process and that live.
fn devices() -> Vec<u32> {
    let started_by_xrt = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|e| e.split(|b| *b == 0).any(|v| v.starts_with(b"EMULATION_SOCKETID=")))
    };
    let alive = children().into_iter().filter(|(_, dead)| !dead).map(|(pid, _)| pid);
    alive.filter(started_by_xrt).collect()
}

/// How long a device process may take to end once the card is closed.
const END: Duration = Duration::from_secs(2);

/// Removes the folder that XRT makes for every process and leaves behind.
pub fn remove_folder() {
    let Some(runs) = std::env::var_os("SDACCEL_EM_RUN_DIR") else { return };
    let runs = PathBuf::from(runs).join(".run");
    let own = runs.join(std::process::id().to_string());
    let start = Instant::now();
    // A device process that is about to end still writes there.
    loop {
        let ended = devices().is_empty();
        let _ = std::fs::remove_dir_all(&own);
        if ended && !own.exists() || start.elapsed() > END {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // Only if no other process has one.
    let _ = std::fs::remove_dir(runs);
}

/// Removes what a device process that did not end by itself leaves: itself and its sockets.
pub fn clean_up() {
    let own = std::process::id();
    for pid in devices() {
        // SAFETY: no memory is involved; the process is a child of this one that XRT started.
        unsafe { libc::kill(pid as i32, libc::SIGKILL) };
    }
    let folder = std::env::var_os("USER").map(|u| PathBuf::from("/tmp").join(u));
    let end = format!("_{own}");
    for entry in folder.iter().flat_map(std::fs::read_dir).flatten().flatten() {
        let name = entry.file_name().to_string_lossy().trim_end_matches(".pid").to_owned();
        if name.contains("device") && name.ends_with(&end) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_children_are_seen() {
        let mut watch = Watch::new();
        assert_eq!(watch.look(), None);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert_eq!(children().get(&child.id()), Some(&false));
        assert_eq!((watch.look(), watch.look()), (None, None));
        child.kill().unwrap();
        // Not waited for: it stays as a dead child.
        let start = std::time::Instant::now();
        let said = loop {
            if let Some(said) = watch.look() {
                break said;
            }
            assert!(start.elapsed().as_secs() < 20, "nothing seen");
            std::thread::sleep(std::time::Duration::from_millis(10));
        };
        assert!(said.contains(&child.id().to_string()), "{said}");
        child.wait().unwrap();
    }
}
