//! What a memory model delivers when nothing but reading in order is asked of it.

use super::{BEAT_BYTES, KindError, MasterOut, MemoryKind};
use std::sync::Arc;

/// Cycles before the measurement, and of it: many refreshes.
const CYCLES: [u64; 2] = [2_000, 200_000];
/// Beats of a burst.
const BURST: u64 = 64;

/// Beats per cycle of one channel, bursts of 64 beats in order without end: *simulated*.
///
/// # Errors
/// The memory cannot be made.
pub fn sequential(kind: MemoryKind) -> Result<f64, KindError> {
    let contents = Arc::new(vec![0; 1 << 20]);
    let mut memory = kind.shared(&contents, 0, false)?;
    let (mut next, mut before) = (0, 0);
    for cycle in 0..CYCLES[0] + CYCLES[1] {
        if cycle == CYCLES[0] {
            before = memory.counters().read_beats;
        }
        let taken = memory.outputs().arready;
        memory.step(&MasterOut { arvalid: true, araddr: next, arlen: BURST as u8 - 1, ..MasterOut::idle() });
        if taken {
            next = (next + BURST * BEAT_BYTES as u64) % contents.len() as u64;
        }
    }
    Ok((memory.counters().read_beats - before) as f64 / CYCLES[1] as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// docs/hbm2.md: 13.26 of 14.4 GB/s a port.
    #[test]
    fn rates_of_the_models() {
        assert_eq!(sequential(MemoryKind::Ideal).unwrap(), 1.0);
        let hbm2 = sequential(MemoryKind::Hbm2).unwrap();
        assert!((hbm2 * 14.4 - 13.26).abs() < 0.01, "{hbm2}");
    }
}
