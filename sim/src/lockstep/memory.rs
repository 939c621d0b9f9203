//! Comparison of memories: the KV areas after a run.

use std::ops::Range;

use accllm_hw::beat::Beat;
use accllm_hw::config::BEAT_BYTES;

use crate::golden::{Memory, MemoryError, Port};
use crate::memory::Store;

/// The first beat that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{port}, beat {beat}, byte {byte}: RTL {got:#04x}, golden {expected:#04x} ({bytes} bytes of the beat differ)"
)]
pub struct MemoryDifference {
    /// The port.
    pub port: Port,
    /// Its first beat that differs.
    pub beat: u64,
    /// The first byte of the beat that differs.
    pub byte: usize,
    /// The executor's byte.
    pub expected: u8,
    /// The hardware's.
    pub got: u8,
    /// Bytes of the beat that differ.
    pub bytes: usize,
}

fn differs(port: Port, beat: u64, want: &Beat, have: &Beat) -> Option<MemoryDifference> {
    let mut off = want.iter().zip(have).enumerate().filter(|(_, (w, h))| w != h);
    let (byte, (&expected, &got)) = off.next()?;
    Some(MemoryDifference { port, beat, byte, expected, got, bytes: 1 + off.count() })
}

/// Compares a range of beats of one port; the first difference, if there is one.
///
/// # Errors
/// A memory does not have the port or the beats.
pub fn compare_beats(
    golden: &impl Memory,
    rtl: &impl Memory,
    port: Port,
    beats: Range<u64>,
) -> Result<Option<MemoryDifference>, MemoryError> {
    let mut at = beats.start;
    while at < beats.end {
        let max = usize::try_from(beats.end - at).unwrap_or(usize::MAX);
        let want = golden.beats(port, at, max)?;
        let have = rtl.beats(port, at, want.len())?;
        let count = want.len().min(have.len());
        if count == 0 {
            return Err(MemoryError { port, beat: at, why: "the memory returned no beats".into() });
        }
        let found = (at..).zip(want.iter().zip(have)).find_map(|(b, (w, h))| differs(port, b, w, h));
        if found.is_some() {
            return Ok(found);
        }
        at += count as u64;
    }
    Ok(None)
}

/// As [`compare_beats`], against the memory of a simulated port whose base is at byte address `base`.
///
/// # Errors
/// A memory does not have the port or the beats.
pub fn compare_store(
    golden: &impl Memory,
    rtl: &Store,
    base: u64,
    port: Port,
    beats: Range<u64>,
) -> Result<Option<MemoryDifference>, MemoryError> {
    for beat in beats {
        let want = golden.read_beat(port, beat)?;
        let mut have = [0; BEAT_BYTES];
        rtl.read(base + beat * BEAT_BYTES as u64, &mut have).map_err(|e| MemoryError {
            port,
            beat,
            why: e.to_string(),
        })?;
        let found = differs(port, beat, &want, &have);
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
