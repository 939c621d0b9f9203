//! Host-side arithmetic of a step: arguments (registers 1..=15) and the contents of the IO block.

use crate::abi::{MAX_POSITION, reg};
use crate::error::{Error, Result};
use crate::label::Span;
use crate::layout::Layout;
use accllm_hw::config::{BEAT_BYTES, GROUP};
use accllm_hw::fixed::{led_row, rope_row as rope_row_at};
use accllm_hw::isa::ARGS;

/// One run of the program: `tokens` tokens from `position` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Position of the first token.
    pub position: u64,
    /// Tokens, 1 ..= block.
    pub tokens: usize,
    /// Whether the last token's logits are wanted.
    pub head: bool,
}

impl Step {
    /// The step that [`Layout::args`] made these arguments for.
    pub fn of_args(args: &[u32; ARGS]) -> Self {
        let arg = |register: u8| args[usize::from(register) - 1];
        Self {
            position: arg(reg::FIRST.pos).into(),
            tokens: (arg(reg::FIRST.tokens) + arg(reg::SECOND.tokens)) as usize,
            head: arg(reg::HEAD) != 0,
        }
    }
}

impl Layout {
    /// Refuses steps that the program was not made for.
    ///
    /// # Errors
    /// No token, more than a block, or a position beyond [`MAX_POSITION`].
    pub fn check_step(&self, step: Step) -> Result<()> {
        let bad = |what: String| Err(Error::Step { position: step.position, tokens: step.tokens, what });
        let block = self.shape.block;
        if step.tokens == 0 || step.tokens > block {
            return bad(format!("the program takes 1..={block} tokens; split the text into such blocks"));
        }
        if step.position > MAX_POSITION - block as u64 {
            return bad(format!("positions end at {}", MAX_POSITION - block as u64));
        }
        Ok(())
    }

    /// Window slots that hold tokens when the step is done.
    pub fn window_slots(&self, step: Step) -> usize {
        let s = &self.shape;
        let end = step.position + step.tokens as u64;
        end.saturating_sub(s.lambda.n_sink as u64).min(s.ring as u64) as usize
    }

    /// Slot of a position in its region: `(in the sinks, slot)`.
    pub fn slot(&self, position: u64) -> (bool, usize) {
        let s = &self.shape;
        match position.checked_sub(s.lambda.n_sink as u64) {
            None => (true, position as usize),
            Some(behind) => (false, (behind % s.ring as u64) as usize),
        }
    }

    /// Positions that a query at `position` sees: sinks, then window, each in order.
    pub fn visible(&self, position: u64) -> impl Iterator<Item = u64> + use<> {
        self.shape.lambda.visible(position)
    }

    /// The ring pointer of a position.
    fn ring_pointer(&self, position: u64) -> usize {
        let (ring, sinks) = (self.shape.ring as u64, self.shape.lambda.n_sink as u64);
        ((position + ring - sinks % ring) % ring) as usize
    }

    /// How much of the window a step reads that ends with `used` slots in use, by argument.
    fn extents(&self, used: usize) -> [(u8, usize); 3] {
        let s = &self.shape;
        let window = used.next_multiple_of(GROUP);
        [
            (reg::KSTEPS, used.div_ceil(s.k_slots)),
            (reg::VBLOCKS, (s.sink_pad + window) / GROUP),
            (reg::WSLOTS, window),
        ]
    }

    /// The arguments of a step of the first sequence, register 1 first.
    ///
    /// # Errors
    /// As [`Layout::check_step`].
    pub fn args(&self, step: Step) -> Result<[u32; ARGS]> {
        self.sequence_args(0, step)
    }

    /// The arguments of a step of one sequence, register 1 first.
    ///
    /// # Errors
    /// As [`Layout::check_step`], or there is no such sequence.
    pub fn sequence_args(&self, sequence: usize, step: Step) -> Result<[u32; ARGS]> {
        self.check_step(step)?;
        let s = &self.shape;
        if sequence >= s.sequences {
            let what = format!("sequence {sequence}; the program holds {}, counted from 0", s.sequences);
            return Err(Error::Step { position: step.position, tokens: step.tokens, what });
        }
        let mut args = [0; ARGS];
        let mut set = |register: u8, value: usize| args[usize::from(register) - 1] = value as u32;
        for (span, r) in [(Span::First, reg::FIRST), (Span::Second, reg::SECOND)] {
            let tokens = span.of(step.tokens);
            let position = step.position + tokens.start as u64;
            set(r.tokens, tokens.len());
            set(r.pos, position as usize);
            set(r.ring, self.ring_pointer(position));
        }
        set(reg::SEQ, sequence * self.kv.seq);
        for (register, value) in self.extents(self.window_slots(step).max(1)) {
            set(register, value);
        }
        set(reg::DECODE, usize::from(step.tokens == 1));
        set(reg::PREFILL, usize::from(step.tokens > 1));
        set(reg::HEAD, usize::from(step.head));
        Ok(args)
    }

    /// The arguments of a step of one token of each sequence, register 1 first: their positions, in order. What of the
    /// window is read is what the longest sequence needs; the others' masks hide the rest.
    ///
    /// # Errors
    /// Not as many positions as sequences, a program for one sequence, or a position beyond [`MAX_POSITION`].
    pub fn batch_args(&self, positions: &[u64]) -> Result<[u32; ARGS]> {
        self.check_batch(positions.len())?;
        let mut args = [0; ARGS];
        let mut set = |register: u8, value: usize| args[usize::from(register) - 1] = value as u32;
        let mut used = 1;
        for (&position, r) in positions.iter().zip(reg::BATCH_OF) {
            let step = Step { position, tokens: 1, head: true };
            self.check_step(step)?;
            set(r.pos, position as usize);
            set(r.ring, self.ring_pointer(position));
            used = used.max(self.window_slots(step));
        }
        for (register, value) in self.extents(used) {
            set(register, value);
        }
        set(reg::BATCH, 1);
        set(reg::HEAD, 1);
        Ok(args)
    }

    fn check_batch(&self, given: usize) -> Result<()> {
        let sequences = self.shape.sequences;
        let bad = |what: String| Err(Error::Step { position: 0, tokens: given, what });
        if sequences < 2 {
            return bad("the program is for one sequence; compile it for more".into());
        }
        if given != sequences {
            return bad(format!("a step of all sequences takes one token of each, {sequences}"));
        }
        Ok(())
    }

    /// The IO block of a step of one token of each sequence, given as `(position, token)`.
    ///
    /// # Errors
    /// As [`Layout::batch_args`], or a token id outside the vocabulary.
    pub fn batch_io(&self, tokens: &[(u64, u32)]) -> Result<Vec<u8>> {
        self.check_batch(tokens.len())?;
        tokens.iter().try_for_each(|t| self.check_step(Step { position: t.0, tokens: 1, head: true }))?;
        self.io_rows(tokens.iter().enumerate().map(|(s, &(position, id))| (s, position, id)), tokens.len())
    }

    /// The IO block of a step, to be written at beat [`crate::layout::AuxMap::ids`]: token ids, then RoPE rows, each
    /// token's at its row ([`crate::layout::Shape::row_of`]), one for each lead of the model.
    ///
    /// # Errors
    /// As [`Layout::check_step`], or a token id outside the vocabulary.
    pub fn io_block(&self, position: u64, tokens: &[u32]) -> Result<Vec<u8>> {
        let step = Step { position, tokens: tokens.len(), head: true };
        self.check_step(step)?;
        let row = |t: usize| self.shape.row_of(t, tokens.len());
        let rows = (position..).zip(tokens).enumerate().map(|(t, (p, id))| (row(t), p, *id));
        self.io_rows(rows, tokens.len())
    }

    /// The IO block of tokens `(row, position, id)`, rows ascending.
    fn io_rows(&self, tokens: impl Iterator<Item = (usize, u64, u32)>, count: usize) -> Result<Vec<u8>> {
        let (s, d) = (&self.shape, &self.shape.sizes);
        let rope = (self.aux.rope - self.aux.ids) * BEAT_BYTES;
        let rope_row = s.leads.len() * s.rope_row() * size_of::<i16>();
        let mut out = Vec::new();
        for (row, p, id) in tokens {
            if id as usize >= d.vocab {
                let what = format!("token id {id} is not below the vocabulary size {}", d.vocab);
                return Err(Error::Step { position: p, tokens: count, what });
            }
            out.resize(rope + (row + 1) * rope_row, 0);
            out[4 * row..][..4].copy_from_slice(&id.to_le_bytes());
            let sink = (s.lambda.n_sink > 0).then(|| s.lambda.sink_position(p));
            let angles = std::iter::once(p).chain(sink);
            let rows: Vec<_> = angles.map(|at| rope_row_at(at, &d.rope, d.head_dim, s.hdp)).collect();
            let led = |lead: u8| rows.iter().map(move |(cos, sin)| led_row(cos.clone(), sin.clone(), lead));
            let values =
                s.leads.iter().flat_map(|&l| led(l)).flat_map(|(cos, sin)| cos.into_iter().chain(sin));
            for (to, value) in out[rope + row * rope_row..].chunks_exact_mut(2).zip(values) {
                to.copy_from_slice(&value.to_le_bytes());
            }
        }
        Ok(out)
    }
}
