//! What the simulated hardware counted, as rates and shares.

use crate::Counters;
use accllm_hw::config::{BEAT_BYTES, Config};
use serde::Serialize;

/// Sums of what the hardware counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Work {
    /// Runs of the program.
    pub runs: u64,
    /// Tokens that went in.
    pub tokens: u64,
    /// Sums of the counters; zero on devices without clock.
    pub counters: Counters,
}

impl Work {
    /// Adds a run into which `tokens` tokens went.
    pub fn add(&mut self, tokens: usize, counters: Option<Counters>) {
        self.runs += 1;
        self.tokens += tokens as u64;
        self.counters += counters.unwrap_or_default();
    }
}

/// Figures of some runs of the program. All are *simulated*.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Tokens that went in.
    pub tokens: u64,
    /// Cycles of all runs.
    pub cycles: u64,
    /// Cycles per token.
    pub cycles_per_token: f64,
    /// Tokens per second at the configuration's clock.
    pub tokens_per_second: f64,
    /// Bytes read from and written to the channels, per token.
    pub hbm_bytes_per_token: f64,
    /// Bytes moved over the auxiliary port, per token.
    pub aux_bytes_per_token: f64,
    /// Channel bytes over what the channels could have moved in these cycles.
    pub bandwidth_use: f64,
    /// Shares of the cycles.
    pub shares: Shares,
}

/// Where the cycles went: the first five are all cycles of the matrix unit, the last two those of the vector unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shares {
    /// The tiles computed.
    pub computing: f64,
    /// A matrix instruction waited for beats.
    pub waiting_for_memory: f64,
    /// The next matrix instruction waited for the vector unit.
    pub waiting_for_vector: f64,
    /// Results waited for the vector memory.
    pub waiting_for_output: f64,
    /// No matrix instruction was there.
    pub no_instruction: f64,
    /// The vector unit worked.
    pub vector_busy: f64,
    /// The next vector instruction waited for the matrix unit.
    pub vector_waiting: f64,
}

impl Shares {
    /// The shares of the matrix unit, for people.
    pub fn matrix_unit(&self) -> String {
        format!(
            "computing {:.1}%, waiting for memory {:.1}%, for the vector unit {:.1}%, for output {:.1}%, no instruction {:.1}%",
            100.0 * self.computing,
            100.0 * self.waiting_for_memory,
            100.0 * self.waiting_for_vector,
            100.0 * self.waiting_for_output,
            100.0 * self.no_instruction
        )
    }

    /// The shares of the vector unit, for people.
    pub fn vector_unit(&self) -> String {
        format!("busy {:.1}%, waiting {:.1}%", 100.0 * self.vector_busy, 100.0 * self.vector_waiting)
    }
}

impl Figures {
    /// The figures of `work` on `config`; `None` where nothing was counted.
    pub fn new(work: &Work, config: &Config) -> Option<Self> {
        let c = &work.counters;
        if c.cycles == 0 || work.tokens == 0 {
            return None;
        }
        let (tokens, cycles) = (work.tokens as f64, c.cycles as f64);
        let beats = (c.beats_read + c.beats_written) as f64;
        let aux = (c.aux_beats_read + c.aux_beats_written) as f64;
        let share = |n: u64| n as f64 / cycles;
        Some(Self {
            tokens: work.tokens,
            cycles: c.cycles,
            cycles_per_token: cycles / tokens,
            tokens_per_second: config.mhz as f64 * 1e6 * tokens / cycles,
            hbm_bytes_per_token: beats * BEAT_BYTES as f64 / tokens,
            aux_bytes_per_token: aux * BEAT_BYTES as f64 / tokens,
            bandwidth_use: beats / (cycles * config.channels as f64),
            shares: Shares {
                computing: share(c.mat_busy),
                waiting_for_memory: share(c.mat_stall_stream),
                waiting_for_vector: share(c.mat_stall_wait),
                waiting_for_output: share(c.mat_stall_out),
                no_instruction: share(c.mat_idle),
                vector_busy: share(c.vec_busy),
                vector_waiting: share(c.vec_wait),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use accllm_sim::engine::Counters;

    #[test]
    fn rates_follow_from_counters() {
        let config = &accllm_hw::config::CONFIGS[0];
        assert_eq!(Figures::new(&Work::default(), config), None);
        let counters = Counters { cycles: 1000, beats_read: 1500, mat_busy: 750, ..Counters::default() };
        let f = Figures::new(&Work { runs: 2, tokens: 2, counters }, config);
        let f = f.expect("figures");
        assert_eq!(f.cycles_per_token, 500.0);
        assert_eq!(f.tokens_per_second, config.mhz as f64 * 2000.0);
        assert_eq!((f.bandwidth_use, f.hbm_bytes_per_token, f.shares.computing), (0.75, 48000.0, 0.75));
    }
}
