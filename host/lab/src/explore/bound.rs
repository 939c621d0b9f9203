//! The rung `bound`: what no schedule can beat. A token takes at least the cycles in which the memory delivers its beats,
//! and at least those in which all multipliers are busy; what a real schedule adds is not in it.

use super::format;
use super::work::{Phase, Work};
use crate::bench::multiplications;
use accllm_compiler::{Program, Step};
use accllm_hw::config::MACS;
use accllm_hw::sizes::Linear;
use accllm_sim::memory::{KindError, MemoryKind, sequential};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Beats and multiplications of a run.
struct Need {
    weights: f64,
    kv: f64,
    multiplications: f64,
}

/// Names and values.
///
/// # Errors
/// The memory's parameters make no sense.
pub fn metrics(
    work: &Work,
    program: &Program,
    memory: MemoryKind,
) -> Result<Vec<(&'static str, f64)>, KindError> {
    let config = &program.config;
    let need = need(work, program);
    let beats = need.weights + need.kv;
    let memory_cycles = beats / rate(memory, config.mhz)?;
    let macs = (config.channels * MACS * config.lanes) as f64;
    let matrix_cycles = need.multiplications / macs;
    let cycles = memory_cycles.max(matrix_cycles);
    let seconds = cycles / (config.mhz as f64 * 1e6);
    let weights = Linear::LAYER.map(|l| {
        let (rows, cols) = program.layout.shape.sizes.linear(l);
        rows * cols
    });
    let formats =
        program.spec.layers.first().map_or([accllm_hw::beat::WeightFormat::W2Sparse; 7], |l| l.formats);
    Ok(vec![
        ("tokens_per_s", work.tokens() as f64 / seconds),
        ("ms", seconds * 1e3),
        ("cycles", cycles),
        ("memory_cycles", memory_cycles),
        ("matrix_cycles", matrix_cycles),
        ("beats", beats),
        ("weight_beats", need.weights),
        ("kv_beats", need.kv),
        ("multiplications", need.multiplications),
        ("mac_utilisation", need.multiplications / (cycles * macs)),
        ("bits_per_weight", format::bits(formats, weights)),
        ("instructions", program.code.len() as f64),
    ])
}

fn need(work: &Work, program: &Program) -> Need {
    let layout = &program.layout;
    let all = layout.weights.end as f64;
    match work.phase {
        Phase::Decode { context } => {
            let step = Step { position: context, tokens: 1, head: true };
            let sequences = work.batch as f64;
            Need {
                weights: all,
                kv: sequences * program.kv_beats_per_token(context) as f64,
                multiplications: sequences * multiplications(program, step) as f64,
            }
        }
        Phase::Prefill { prompt } => {
            let head: usize = layout.weights.head.iter().map(|s| s.beats).sum();
            let block = layout.shape.block.max(1) as u64;
            let blocks = prompt.div_ceil(block);
            let kv = (0..blocks).map(|b| program.kv_beats_per_token(b * block));
            // Only the last block needs logits, and of its last token.
            let body = Step { position: 0, tokens: prompt as usize, head: false };
            let heads = {
                let (rows, cols) = layout.shape.sizes.linear(Linear::Head);
                (rows * cols) as f64
            };
            Need {
                weights: blocks as f64 * (all - head as f64) + head as f64,
                kv: kv.sum::<usize>() as f64,
                multiplications: multiplications(program, body) as f64 + heads,
            }
        }
    }
}

/// Beats a cycle of sequential reads, *simulated* once for each memory and clock.
fn rate(memory: MemoryKind, mhz: usize) -> Result<f64, KindError> {
    static RATES: Mutex<Option<HashMap<String, f64>>> = Mutex::new(None);
    let key = format!("{memory:?} {mhz}");
    // A map of finished numbers is whole whatever panicked while it was held.
    let mut rates = RATES.lock().unwrap_or_else(PoisonError::into_inner);
    let rates = rates.get_or_insert_default();
    if let Some(rate) = rates.get(&key) {
        return Ok(*rate);
    }
    let rate = sequential(memory, mhz)?;
    rates.insert(key, rate);
    Ok(rate)
}
