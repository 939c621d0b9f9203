//! Several independent texts on one device: prompts one by one, then a token of each in every run of the program.

use super::reference::argmax;
use crate::{Error, Result};
use accllm_compiler::{Layout, Program, Step};
use accllm_device::perf::Work;
use accllm_device::{Counters, Device};

/// One text.
#[derive(Debug, Clone, Default)]
struct Text {
    position: u64,
    /// Of its last token; empty before the first one.
    logits: Vec<i32>,
}

/// Texts on a device. A run reads each weight once for all of them. They begin with nothing: not behind the prefix that
/// a model may have.
pub struct Batch<D> {
    device: D,
    layout: Layout,
    texts: Vec<Text>,
    prefill: Work,
    decode: Work,
}

impl<D: Device> Batch<D> {
    /// Empty texts, as many as `program`, which the device holds, has sequences.
    ///
    /// # Errors
    /// It has only one.
    pub fn new(program: &Program, device: D) -> Result<Self> {
        let layout = program.layout.clone();
        let sequences = layout.shape.sequences;
        if sequences < 2 {
            return Err(Error::Argument("the program is for one sequence; compile it for more".into()));
        }
        let texts = vec![Text::default(); sequences];
        Ok(Self { device, layout, texts, prefill: Work::default(), decode: Work::default() })
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// Runs for one text each.
    pub fn prefill(&self) -> &Work {
        &self.prefill
    }

    /// Runs for all texts; tokens of texts that paused do not count.
    pub fn decode(&self) -> &Work {
        &self.decode
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
        let blocks = tokens.len().div_ceil(self.layout.shape.block);
        for (i, block) in tokens.chunks(self.layout.shape.block).enumerate() {
            let step = Step { position, tokens: block.len(), head: i + 1 == blocks };
            let args = self.layout.sequence_args(text, step)?;
            let io = self.layout.io_block(position, block)?;
            self.device.write_aux(self.layout.aux.ids, &io)?;
            let outcome = self.device.run(args)?;
            self.prefill.add(block.len(), outcome.counters);
            position += block.len() as u64;
            self.texts[text].position = position;
        }
        if blocks > 0 {
            self.texts[text].logits = self.read(0)?;
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
        let counters = self.run(tokens)?;
        self.decode.add(going, counters);
        let mut next = Vec::with_capacity(tokens.len());
        for (s, token) in tokens.iter().enumerate() {
            next.push(match token {
                Some(_) => {
                    self.texts[s].position += 1;
                    self.texts[s].logits = self.read(s)?;
                    Some(self.next(s)?)
                }
                None => None,
            });
        }
        Ok(next)
    }

    fn run(&mut self, tokens: &[Option<u32>]) -> Result<Option<Counters>> {
        let positions: Vec<u64> = self.texts.iter().map(|t| t.position).collect();
        let rows: Vec<(u64, u32)> =
            positions.iter().zip(tokens).map(|(p, token)| (*p, token.unwrap_or(0))).collect();
        let args = self.layout.batch_args(&positions)?;
        let io = self.layout.batch_io(&rows)?;
        self.device.write_aux(self.layout.aux.ids, &io)?;
        Ok(self.device.run(args)?.counters)
    }

    /// Logits of the last token of a text; empty before the first one.
    pub fn logits(&self, text: usize) -> &[i32] {
        self.texts.get(text).map_or(&[], |t| &t.logits)
    }

    /// Logits that the last run left in a row.
    fn read(&mut self, row: usize) -> Result<Vec<i32>> {
        let aux = &self.layout.aux;
        let mut bytes = vec![0; 4 * self.layout.shape.dims.vocab];
        self.device.read_aux(aux.logits + row * aux.logits_row, &mut bytes)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b)).collect())
    }

    /// The lowest of the tokens with the largest logit, as the engine chooses for one text.
    fn next(&self, text: usize) -> Result<u32> {
        argmax(self.logits(text)).ok_or_else(|| Error::Argument("there is no token to continue from".into()))
    }
}
