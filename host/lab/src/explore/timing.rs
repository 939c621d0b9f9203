//! The rung `timing`: the program itself on the timing model of the engine, instruction by instruction.

use super::work::{Phase, Work};
use crate::cost::Activity;
use accllm_compiler::{Program, Step};
use accllm_device::perf;
use accllm_hw::config::MACS;
use accllm_hw::isa::ARGS;
use accllm_sim::engine::Counters;
use accllm_sim::memory::MemoryKind;
use accllm_sim::timing::{Memories, Timing};

/// Counters and activity of the program for a work: a token of each sequence, or all blocks of the prompt.
///
/// # Errors
/// What the model refuses, as a text.
pub fn run(work: &Work, program: &Program, memory: MemoryKind) -> Result<(Counters, Activity), String> {
    let said = |e: &dyn std::fmt::Display| e.to_string();
    let memories = Memories::of(memory, &program.config).map_err(|e| said(&e))?;
    let model = Timing::new(&program.config, &memories);
    let (mut sum, mut activity) = (perf::Work::default(), Activity::default());
    for args in steps(work, program).map_err(|e| said(&e))? {
        let report = model.run(&program.code, args).map_err(|e| said(&e))?;
        sum.add(0, Some(report.counters));
        activity = activity.and(&Activity::of(&report));
    }
    Ok((sum.counters, activity))
}

fn steps(work: &Work, program: &Program) -> Result<Vec<[u32; ARGS]>, accllm_compiler::Error> {
    let layout = &program.layout;
    match work.phase {
        Phase::Decode { context } if work.batch > 1 => {
            Ok(vec![layout.batch_args(&vec![context; work.batch])?])
        }
        Phase::Decode { context } => {
            Ok(vec![layout.args(Step { position: context, tokens: 1, head: true })?])
        }
        Phase::Prefill { prompt } => {
            let block = layout.shape.block.max(1) as u64;
            let starts = (0..prompt).step_by(block as usize);
            let step = |at: u64| {
                let tokens = block.min(prompt - at) as usize;
                // Only the prompt's last block needs logits.
                layout.args(Step { position: at, tokens, head: at + block >= prompt })
            };
            starts.map(step).collect()
        }
    }
}

/// Names and values.
pub fn metrics(
    work: &Work,
    program: &Program,
    c: &Counters,
    multiplications: f64,
) -> Vec<(&'static str, f64)> {
    let config = &program.config;
    let cycles = c.cycles as f64;
    let seconds = cycles / (config.mhz as f64 * 1e6);
    let macs = (config.channels * MACS * config.lanes) as f64;
    vec![
        ("tokens_per_s", work.tokens() as f64 / seconds),
        ("ms", seconds * 1e3),
        ("cycles", cycles),
        ("mac_utilisation", multiplications / (cycles * macs)),
        ("matrix_share", c.mat_busy as f64 / cycles),
        ("stream_share", c.mat_stall_stream as f64 / cycles),
        ("wait_share", c.mat_stall_wait as f64 / cycles),
        ("vector_share", c.vec_busy as f64 / cycles),
    ]
}
