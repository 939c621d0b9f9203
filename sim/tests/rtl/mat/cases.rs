//! Random operations, and contents to run them on.

use super::bench::{Bench, Outcome};
use super::reference::Uop;
use accllm_hw::beat::{Beat, WeightFormat, set_param};
use accllm_hw::config::Config;
use accllm_hw::isa::{FLAG_WIDE, Op};
use accllm_sim::memory::Rng;

/// Which operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Weights(WeightFormat),
    Keys,
    Values(bool),
}

/// Every mode.
pub const MODES: [Mode; 6] = [
    Mode::Weights(WeightFormat::W2Sparse),
    Mode::Weights(WeightFormat::W2Dense),
    Mode::Weights(WeightFormat::W4),
    Mode::Keys,
    Mode::Values(false),
    Mode::Values(true),
];

/// Activation words that operations use.
pub const WORDS: usize = 128;
/// Beats of a channel that hold something.
pub const BEATS: usize = 1024;

/// Fills memories, activations and q_sums: all bit patterns are legal. `extreme` prefers the ends of all ranges.
pub fn fill(b: &mut Bench, extreme: bool) -> Outcome {
    let beat = |r: &mut Rng| -> Beat {
        match if extreme { r.range(0, 5) } else { 5 } {
            0 => [0x88; 64],
            1 => [0x77; 64],
            2 => [0xff; 64],
            3 => [0; 64],
            4 => {
                // Parameters that let large sums through.
                let mut p = [0; 64];
                for i in 0..16 {
                    set_param(&mut p, i, 0xffff | (r.range(0, 40) as u32) << 16);
                }
                p
            }
            _ => {
                let mut p = [0; 64];
                p.chunks_exact_mut(8).for_each(|c| c.copy_from_slice(&r.next_u64().to_le_bytes()));
                p
            }
        }
    };
    b.fill(BEATS, beat)?;
    b.fill_act(WORDS, |r| match if extreme { r.range(0, 3) } else { 3 } {
        0 => -128,
        1 => 127,
        2 => -1,
        _ => r.next_u64() as i8,
    })?;
    let mut sums = std::mem::take(&mut b.q_sum);
    for s in &mut sums {
        *s = match b.rng.range(0, 9) {
            0 => 32512,
            1 => -32512,
            _ => (b.rng.range(0, 65024) as i32 - 32512) as i16,
        };
    }
    b.q_sum = sums;
    Ok(())
}

/// A random operation of that mode within the filled parts. `rows` sets the lane rows (made even where wide).
pub fn operation(b: &mut Bench, mode: Mode, rows: Option<usize>, long: bool) -> Uop {
    let (cfg, hdp, score_row) = (b.cfg, b.hdp, b.score_row);
    let r = &mut b.rng;
    let wide = matches!(mode, Mode::Values(true));
    let most = if r.percent(60) { 2 * cfg.lanes } else { cfg.lane_rows };
    let mut rows = rows.unwrap_or_else(|| r.range(1, most as u64) as usize).max(1);
    if wide {
        rows = rows.next_multiple_of(2);
    }
    let lsteps = rows.div_ceil(cfg.lanes) as u64;
    let mut u = Uop::new(match mode {
        Mode::Weights(..) => Op::MATW,
        Mode::Keys => Op::MATK,
        Mode::Values(_) => Op::MATV,
    });
    u.m = (rows >> u32::from(wide)) as u32;
    u.flags = if wide { FLAG_WIDE } else { 0 };
    u.pc = r.next_u64() as u16;
    let words = WORDS as u64;
    let most_steps = if long { 40 } else { 6 };
    // Words between the first lane steps of successive columns, and how many of those fit.
    u.x = r.range(lsteps, lsteps + 1) as u8;
    let fit = (words - lsteps) / u64::from(u.x) + 1;
    match mode {
        Mode::Weights(format) => {
            let per = 256 / format.columns() as u64;
            u.flags |= format.code();
            u.n = r.range(1, most_steps) as u32;
            u.k = r.range(1, (fit * per).min(if long { 12 } else { 5 })) as u16;
            let used = (u64::from(u.k) - 1) / per * u64::from(u.x) + lsteps;
            u.b = r.range(0, words - used) as u32;
        }
        Mode::Keys => {
            u.x = 0;
            let step = (cfg.channels * cfg.tokens_per_beat(hdp)) as u64;
            let steps = u64::from(score_row) / step;
            u.n = r.range(1, most_steps.min(steps)) as u32;
            u.c = (r.range(0, steps - u64::from(u.n)) * step) as u32;
            u.b = r.range(0, words - lsteps) as u32;
            u.aux = r.range(0, (cfg.scalars - rows) as u64) as u32;
        }
        Mode::Values(_) => {
            u.sh = r.range(1, 4) as u8;
            u.n = r.range(1, (2 * fit).min(if long { 40 } else { 6 })) as u32;
            u.k = r.range(u.n.into(), u64::from(u.n) + 5) as u16;
            let used = u64::from((u.n - 1) / 2) * u64::from(u.x) + lsteps;
            u.b = r.range(0, words - used) as u32;
        }
    }
    if mode != Mode::Keys {
        place_outputs(r, cfg, &mut u);
    }
    u.a = b.rng.range(0, BEATS as u64 - u.beats(hdp).0) as u32;
    u
}

/// Outputs somewhere in the vector memory, some at its end.
fn place_outputs(r: &mut Rng, cfg: &Config, u: &mut Uop) {
    let width =
        if u.op == Op::MATW { u.n as usize * cfg.channels } else { usize::from(u.sh) * 4 * cfg.channels };
    let slots = width.div_ceil(cfg.vec) as u64;
    let stride = r.range(slots, slots + 2);
    u.aux = (stride * cfg.vec as u64) as u32;
    let span = stride * u64::from(u.m);
    let all = (cfg.vmem / cfg.vec) as u64;
    let at = if r.percent(20) { all - span } else { r.range(0, all - span) };
    u.c = (at * cfg.vec as u64) as u32;
}
