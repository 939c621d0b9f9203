//! Several independent texts on one device: prompts one by one, then a token of each in every run of the program.

use super::loaded::{Loaded, Phase};
use super::reference::argmax;
use crate::{Error, Result};
use accllm_compiler::{Program, Step};
use accllm_device::Device;
use accllm_device::perf::Work;

/// One text.
#[derive(Debug, Clone, Default)]
struct Text {
    position: u64,
    /// Of its last token; empty before the first one.
    logits: Vec<i32>,
}

/// Texts on a device. A run reads each weight once for all of them. They begin with nothing: not after the prefix that
/// a model may have.
pub struct Batch<D> {
    loaded: Loaded<D>,
    texts: Vec<Text>,
}

impl<D: Device> Batch<D> {
    /// Empty texts, as many as `program`, which the device holds, has sequences.
    ///
    /// # Errors
    /// It has only one.
    pub fn new(program: &Program, device: D) -> Result<Self> {
        let sequences = program.layout.shape.sequences;
        if sequences < 2 {
            return Err(Error::Argument("the program is for one sequence; compile it for more".into()));
        }
        Ok(Self { loaded: Loaded::new(program, device), texts: vec![Text::default(); sequences] })
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.loaded.device
    }

    /// Runs for one text each.
    pub fn prefill(&self) -> &Work {
        &self.loaded.prefill
    }

    /// Runs for all texts; tokens of texts that paused do not count.
    pub fn decode(&self) -> &Work {
        &self.loaded.decode
    }

    /// Appends `tokens` (at least one) to one text; returns its most likely next token.
    ///
    /// # Errors
    /// No such text, no token, a token outside the vocabulary, a device fault, or a difference in lockstep.
    pub fn feed(&mut self, text: usize, tokens: &[u32]) -> Result<u32> {
        let count = self.texts.len();
        let Some(mut position) = self.texts.get(text).map(|t| t.position) else {
            return Err(Error::Argument(format!("no sequence {text}; there are {count}, counted from 0")));
        };
        let block = self.loaded.layout.shape.block;
        let blocks = tokens.len().div_ceil(block);
        for (i, block) in tokens.chunks(block).enumerate() {
            let step = Step { position, tokens: block.len(), head: i + 1 == blocks };
            let args = self.loaded.layout.sequence_args(text, step)?;
            let io = self.loaded.layout.io_block(position, block)?;
            self.loaded.run(args, &io, Phase::Prefill, block.len())?;
            position += block.len() as u64;
            self.texts[text].position = position;
        }
        if blocks > 0 {
            self.texts[text].logits = self.loaded.logits(0)?;
        }
        self.next(text)
    }

    /// Appends a token to each text, or to those that have one here; returns their most likely next tokens. A text
    /// without a token pauses: its row of the run is computed at the position of its next token and forgotten.
    ///
    /// # Errors
    /// Not as many entries as texts, no token at all, a token outside the vocabulary, a device fault, or a difference
    /// in lockstep.
    pub fn step(&mut self, tokens: &[Option<u32>]) -> Result<Vec<Option<u32>>> {
        let going = tokens.iter().flatten().count();
        if tokens.len() != self.texts.len() || going == 0 {
            let (given, count) = (tokens.len(), self.texts.len());
            let what = format!("a step of {count} sequences got {given} entries with {going} tokens");
            return Err(Error::Argument(what));
        }
        self.run(tokens, going)?;
        let mut next = Vec::with_capacity(tokens.len());
        for (s, token) in tokens.iter().enumerate() {
            next.push(match token {
                Some(_) => {
                    self.texts[s].position += 1;
                    self.texts[s].logits = self.loaded.logits(s)?;
                    Some(self.next(s)?)
                }
                None => None,
            });
        }
        Ok(next)
    }

    /// A run for all texts, of which `going` have a token.
    fn run(&mut self, tokens: &[Option<u32>], going: usize) -> Result<()> {
        let positions: Vec<u64> = self.texts.iter().map(|t| t.position).collect();
        let rows: Vec<(u64, u32)> =
            positions.iter().zip(tokens).map(|(p, token)| (*p, token.unwrap_or(0))).collect();
        let args = self.loaded.layout.batch_args(&positions)?;
        let io = self.loaded.layout.batch_io(&rows)?;
        self.loaded.run(args, &io, Phase::Decode, going)?;
        Ok(())
    }

    /// Logits of the last token of a text; empty before the first one.
    pub fn logits(&self, text: usize) -> &[i32] {
        self.texts.get(text).map_or(&[], |t| &t.logits)
    }

    /// The lowest of the tokens with the largest logit, as the engine chooses for one text.
    fn next(&self, text: usize) -> Result<u32> {
        argmax(self.logits(text)).ok_or_else(|| Error::Argument("there is no token to continue from".into()))
    }
}
