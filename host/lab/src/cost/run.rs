//! What an engine does for a model: activity of a step, as the timing model sees it.

use super::Activity;
use crate::{Error, Result};
use accllm_compiler::{Program, Step};
use accllm_hw::config::Config;
use accllm_sim::memory::MemoryKind;
use accllm_sim::timing::{Memories, Timing};

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// A token of each sequence of the program, with so many tokens before it.
    Decode(u64),
    /// A prompt of so many tokens, from an empty cache.
    Prefill(usize),
}

/// Activity of a load, and the tokens that went in.
///
/// # Errors
/// The program has no place for it, or the timing model cannot run it with this memory.
pub fn run(program: &Program, config: &Config, memory: MemoryKind, load: Load) -> Result<(Activity, usize)> {
    let failed = |e: &dyn std::fmt::Display| Error::Argument(format!("the timing model: {e}"));
    let memories = Memories::of(memory, config).map_err(|e| failed(&e))?;
    let timing = Timing::new(config, &memories);
    let (layout, shape) = (&program.layout, &program.layout.shape);
    let run = |args| timing.run(&program.code, args).map(|r| Activity::of(&r)).map_err(|e| failed(&e));
    match load {
        Load::Decode(position) if shape.sequences > 1 => {
            layout.check_step(Step { position, tokens: 1, head: true })?;
            Ok((run(layout.batch_args(&vec![position; shape.sequences])?)?, shape.sequences))
        }
        Load::Decode(position) => Ok((run(layout.args(Step { position, tokens: 1, head: true })?)?, 1)),
        Load::Prefill(prompt) => {
            let mut all = Activity::default();
            for at in (0..prompt).step_by(shape.block) {
                let tokens = shape.block.min(prompt - at);
                // Only the last block needs logits.
                let step = Step { position: at as u64, tokens, head: at + tokens == prompt };
                all = all.and(&run(layout.args(step)?)?);
            }
            Ok((all, prompt))
        }
    }
}
