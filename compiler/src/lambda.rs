//! Host-side arithmetic of a step: arguments (registers 1..=15) and the contents of the IO block.

use crate::error::{Error, Result};
use crate::label::Span;
use crate::layout::Layout;
use accllm_hw::config::{BEAT_BYTES, GROUP};
use accllm_hw::fixed::rope_row as rope_row_at;
use accllm_hw::isa::ARGS;

/// Registers of the program: arguments first.
pub mod reg {
    /// Arguments of a group of tokens ([`crate::label::Span`]).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Group {
        /// Tokens.
        pub tokens: u8,
        /// Position of the first one.
        pub pos: u8,
        /// Its ring pointer: (position - sinks) mod ring.
        pub ring: u8,
        /// Query rows of a KV head: tokens x group.
        pub rows: u8,
    }
    /// First group; in decode the only token.
    pub const FIRST: Group = Group { tokens: 1, pos: 2, ring: 3, rows: 4 };
    /// Second group.
    pub const SECOND: Group = Group { tokens: 5, pos: 6, ring: 7, rows: 8 };
    /// Steps of K in the window.
    pub const KSTEPS: u8 = 9;
    /// Blocks of V, sinks and window.
    pub const VBLOCKS: u8 = 10;
    /// Window slots of the softmax.
    pub const WSLOTS: u8 = 11;
    /// 1: a step of one token; 0: of more.
    pub const DECODE: u8 = 12;
    /// 0: a step of one token; 1: of more.
    pub const PREFILL: u8 = 13;
    /// Residual elements before the last token's.
    pub const LASTROW: u8 = 14;
    /// 1: compute logits of the last token; 0: do not.
    pub const HEAD: u8 = 15;
    /// Weight beats from the first layer of a run of equal layers.
    pub const W: u8 = 16;
    /// KV beats, likewise.
    pub const KV: u8 = 17;
    /// Norm beats, likewise.
    pub const NORM: u8 = 18;
    /// Position of a token loop's token.
    pub const P: u8 = 19;
    /// Its ring pointer.
    pub const R: u8 = 20;
    /// Token loop registers, 0 outside of loops.
    pub const T: [u8; 4] = [21, 22, 23, 24];
}

/// Names of the arguments, register 1 first.
pub const ARG_NAMES: [&str; ARGS] = [
    "NTOK", "POS", "RING", "ROWS", "NTOK2", "POS2", "RING2", "ROWS2", "KSTEPS", "VBLOCKS", "WSLOTS",
    "DECODE", "PREFILL", "LASTROW", "HEAD",
];

/// Largest position: registers are 32 bits, and comparisons are signed.
pub const MAX_POSITION: u64 = (1 << 31) - 1;

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
        let l = self.shape.lambda;
        let sinks = (l.n_sink as u64).min(position + 1);
        let start = (position + 1).saturating_sub(l.n_window as u64).max(sinks);
        (0..sinks).chain(start..position + 1)
    }

    /// The arguments of a step, register 1 first.
    ///
    /// # Errors
    /// As [`Layout::check_step`].
    pub fn args(&self, step: Step) -> Result<[u32; ARGS]> {
        self.check_step(step)?;
        let s = &self.shape;
        let used = self.window_slots(step).max(1);
        let ring = s.ring as u64;
        let window = used.next_multiple_of(GROUP);
        let mut args = [0; ARGS];
        let mut set = |register: u8, value: usize| args[usize::from(register) - 1] = value as u32;
        for (span, r) in [(Span::First, reg::FIRST), (Span::Second, reg::SECOND)] {
            let tokens = span.of(step.tokens);
            let position = step.position + tokens.start as u64;
            set(r.tokens, tokens.len());
            set(r.pos, position as usize);
            set(r.ring, ((position + ring - s.lambda.n_sink as u64 % ring) % ring) as usize);
            set(r.rows, tokens.len() * s.group);
        }
        set(reg::KSTEPS, used.div_ceil(s.k_slots));
        set(reg::VBLOCKS, (s.sink_pad + window) / GROUP);
        set(reg::WSLOTS, window);
        set(reg::DECODE, usize::from(step.tokens == 1));
        set(reg::PREFILL, usize::from(step.tokens > 1));
        set(reg::LASTROW, s.row_of(step.tokens - 1, step.tokens) * s.hidden);
        set(reg::HEAD, usize::from(step.head));
        Ok(args)
    }

    /// The IO block of a step, to be written at beat [`crate::layout::AuxMap::ids`]: token ids, then RoPE rows, each
    /// token's at its row ([`crate::layout::Shape::row_of`]).
    ///
    /// # Errors
    /// As [`Layout::check_step`], or a token id outside the vocabulary.
    pub fn io_block(&self, position: u64, tokens: &[u32]) -> Result<Vec<u8>> {
        let step = Step { position, tokens: tokens.len(), head: true };
        self.check_step(step)?;
        let (s, d) = (&self.shape, &self.shape.dims);
        if let Some(id) = tokens.iter().find(|id| **id as usize >= d.vocab) {
            let what = format!("token id {id} is not below the vocabulary size {}", d.vocab);
            return Err(Error::Step { position, tokens: tokens.len(), what });
        }
        let rope = (self.aux.rope - self.aux.ids) * BEAT_BYTES;
        let rope_row = s.rope_row() * size_of::<i16>();
        let mut out = vec![0; rope + (s.row_of(tokens.len() - 1, tokens.len()) + 1) * rope_row];
        for (t, (p, id)) in (position..).zip(tokens).enumerate() {
            let row = s.row_of(t, tokens.len());
            out[4 * row..][..4].copy_from_slice(&id.to_le_bytes());
            let sink = (s.lambda.n_sink > 0).then(|| s.lambda.sink_position(p));
            let angles = std::iter::once(p).chain(sink);
            let values = angles.flat_map(|at| {
                let (cos, sin) = rope_row_at(at, d.rope_theta, d.head_dim, s.hdp);
                cos.into_iter().chain(sin)
            });
            for (to, value) in out[rope + row * rope_row..].chunks_exact_mut(2).zip(values) {
                to.copy_from_slice(&value.to_le_bytes());
            }
        }
        Ok(out)
    }
}
