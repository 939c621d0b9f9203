//! What an engine does for a model: activity of a step, as the timing model sees it.

use super::{Activity, Range, Share, energy};
use crate::bench::{Model, Options, cases};
use crate::{Error, Result};
use accllm_compiler::{Program, Step};
use accllm_hw::card::Card;
use accllm_hw::config::Config;
use accllm_sim::memory::MemoryKind;
use accllm_sim::timing::{Memories, Timing};
use serde::Serialize;

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

/// The program of a shape of `accllm bench`, for so many sequences; everything else as the benchmarks have it.
///
/// # Errors
/// There is no such shape, or it does not fit the configuration.
pub fn program(shape: &str, config: &Config, sequences: Option<usize>) -> Result<Program> {
    let base = cases::all().swap_remove(0).options;
    let options = Options { shape: shape.into(), config: config.name.to_string(), batch: sequences, ..base };
    Model::open(&options)?.program(&options, config)
}

/// Speed, power and energy of a load on a card: *estimated*.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Tokens that went in.
    pub tokens: usize,
    /// Cycles of one.
    pub cycles_per_token: f64,
    /// At the configuration's clock.
    pub tokens_per_s: f64,
    /// Of the card.
    pub watts: Range,
    /// Energy of a token.
    pub joules_per_token: Range,
    /// One over it.
    pub tokens_per_joule: Range,
    /// Power by part.
    pub parts: Vec<Share>,
}

/// Figures of a load, with the card's memory behind the engine.
///
/// # Errors
/// As [`run`].
pub fn figures(program: &Program, config: &Config, card: &Card, load: Load) -> Result<Figures> {
    let (activity, tokens) = run(program, config, MemoryKind::of(card, config), load)?;
    let energy = energy(config, &activity, card);
    let joules_per_token = energy.joules * (1.0 / tokens as f64);
    let cycles_per_token = activity.cycles / tokens as f64;
    Ok(Figures {
        tokens,
        cycles_per_token,
        tokens_per_s: config.mhz as f64 * 1e6 / cycles_per_token,
        watts: energy.watts,
        joules_per_token,
        tokens_per_joule: joules_per_token.inverse(),
        parts: energy.parts,
    })
}
