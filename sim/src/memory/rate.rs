//! What a memory model delivers when nothing but reading in order is asked of it.

use super::{BEAT_BYTES, KindError, MasterOut, MemoryKind};
use std::sync::Arc;

/// Cycles before the measurement, and of it: many refreshes.
const CYCLES: [u64; 2] = [2_000, 200_000];
/// Beats of a burst.
const BURST: u64 = 64;

/// Beats per cycle of one channel, bursts of 64 beats in order without end, with an engine's clock of `mhz`: *simulated*.
///
/// # Errors
/// The memory cannot be made.
pub fn sequential(kind: MemoryKind, mhz: usize) -> Result<f64, KindError> {
    let contents = Arc::new(vec![0; 1 << 20]);
    let mut memory = kind.shared(&contents, 0, false, mhz)?;
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
    use accllm_hw::{card, config};

    /// docs/hbm2.md: 13.26 of 14.4 GB/s a port.
    #[test]
    fn rates_of_the_models() {
        assert_eq!(sequential(MemoryKind::Ideal, 225).unwrap(), 1.0);
        let hbm2 = sequential(MemoryKind::HBM2, 225).unwrap();
        assert!((hbm2 * 14.4 - 13.26).abs() < 0.01, "{hbm2}");
    }

    /// GB/s a port of `channels`: what refresh leaves of the bus, or the port's 64 bytes a clock.
    #[test]
    fn rates_of_the_cards() {
        let mut config = *config::find("u280").unwrap();
        for (name, channels, mhz, rate) in [
            ("u280", 32, 225, 13.26),
            ("u280", 32, 300, 13.26),
            ("u280", 32, 150, 9.6 * 0.921),
            ("vcu128", 32, 225, 13.26),
            ("u50", 32, 225, 9.875 * 0.921),
            // A refresh of 350 ns instead of 260.
            ("u55c", 32, 225, 14.4 * 0.898),
            ("v80", 32, 300, 19.2 * 0.898),
            ("v80", 32, 400, 25.6 * 0.898),
            ("zcu104", 4, 225, 4.8 * 0.95),
            ("zcu104", 2, 300, 4.8 * 0.95),
        ] {
            (config.channels, config.mhz) = (channels, mhz);
            let kind = MemoryKind::of(card::find(name).unwrap(), &config);
            let got = sequential(kind, mhz).unwrap() * mhz as f64 * 0.064;
            assert!(
                (got / rate - 1.0).abs() < 0.005,
                "{name}, {channels} x {mhz} MHz: {got:.2}, not {rate:.2}"
            );
        }
    }
}
