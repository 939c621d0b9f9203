//! Numbers that must fit: accumulators, sums, and the map within the engine's addresses.

use super::{Check, violation};
use crate::program::Program;
use accllm_hw::beat::WeightFormat;
use accllm_hw::config::Config;
use accllm_hw::fixed::EXPONENT_MAX;
use accllm_hw::isa::{FORMAT_MASK, Op};

pub(super) fn check(program: &Program, config: &Config) -> Check<()> {
    let l = &program.layout;
    let s = &l.shape;
    let (visible, channels) = (s.lambda.n_sink + s.lambda.n_window, config.channels);
    if visible > 8192 {
        return violation(0, format!("{visible} visible tokens: attention sums hold for 8192"));
    }
    if s.hidden > 8192 {
        return violation(0, format!("hidden {}: the sum of squares holds for 8192", s.hidden));
    }
    if s.ring + 1 < s.lambda.n_window + s.block {
        return violation(0, format!("a ring of {} for a window of {}", s.ring, s.lambda.n_window));
    }
    if (s.channels, s.lanes, s.vec) != (channels, config.lanes, config.vec) {
        return violation(0, format!("the map was made for another '{}'", config.name));
    }
    let map = [
        ("vector memory", l.vmem.end, config.vmem),
        ("weights and KV cache", l.weights.end, l.kv.start),
        ("program", program.code.len().div_ceil(2), l.aux.norms - l.aux.program),
        ("channel addresses", l.kv.end, u32::MAX as usize),
        ("auxiliary addresses", l.aux.end, u32::MAX as usize),
    ];
    if let Some((name, need, have)) = map.iter().find(|(_, need, have)| need > have) {
        return violation(0, format!("{name}: {need} of {have}"));
    }
    for (pc, i) in program.code.iter().enumerate().filter(|(_, i)| i.op == Op::MATW as u8) {
        let Some(format) = WeightFormat::ALL.get(usize::from(i.flags & FORMAT_MASK)) else {
            return violation(pc, "weight format 3 does not exist");
        };
        // |x| ≤ 128 * 2^8, |level| ≤ 8, scale ≤ 255, 48-bit signed accumulator, which holds all quarters' sum too.
        let level = format.levels().iter().map(|l| u64::from(l.unsigned_abs())).max().unwrap_or(0);
        let sum = (u64::from(i.k) * format.columns() as u64 * 128 * level * 255) << EXPONENT_MAX;
        if sum >= 1 << 47 {
            return violation(pc, format!("a row of {} value beats can overflow the accumulator", i.k));
        }
    }
    Ok(())
}
