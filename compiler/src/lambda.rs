//! Host-side arithmetic of a step: arguments (registers 1..=15) and the contents of the IO block.

use crate::error::{Error, Result};
use crate::layout::Layout;
use accllm_hw::config::{BEAT_BYTES, GROUP};
use accllm_hw::fixed::rope_row;
use accllm_hw::isa::ARGS;

/// Registers of the program: arguments first.
pub mod reg {
    /// Tokens of the block.
    pub const NTOK: u8 = 1;
    /// Tokens - 1.
    pub const LAST: u8 = 2;
    /// Position of the first token.
    pub const POS: u8 = 3;
    /// Ring pointer of the first token: (position - sinks) mod ring.
    pub const RING: u8 = 4;
    /// Steps of K in the window.
    pub const KSTEPS: u8 = 5;
    /// Blocks of V, sinks and window.
    pub const VBLOCKS: u8 = 6;
    /// Window slots of the softmax.
    pub const WSLOTS: u8 = 7;
    /// Query rows of a KV head: tokens x group.
    pub const ROWS: u8 = 8;
    /// Tokens x hidden.
    pub const HIDDEN: u8 = 9;
    /// Elements of all rotated query heads.
    pub const QROT: u8 = 10;
    /// Elements of all rotated K heads.
    pub const KROT: u8 = 11;
    /// Elements of the RoPE rows.
    pub const ROPE: u8 = 12;
    /// (Tokens - 1) x hidden.
    pub const LASTROW: u8 = 13;
    /// 1: compute logits of the last token; 0: do not.
    pub const HEAD: u8 = 14;
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
    pub const T: [u8; 3] = [21, 22, 23];
}

/// Names of the arguments, register 1 first.
pub const ARG_NAMES: [&str; ARGS] = [
    "NTOK", "LAST", "POS", "RING", "KSTEPS", "VBLOCKS", "WSLOTS", "ROWS", "HIDDEN", "QROT", "KROT", "ROPE",
    "LASTROW", "HEAD", "-",
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

    /// The arguments of a step, register 1 first.
    ///
    /// # Errors
    /// As [`Layout::check_step`].
    pub fn args(&self, step: Step) -> Result<[u32; ARGS]> {
        self.check_step(step)?;
        let s = &self.shape;
        let (n, used) = (step.tokens, self.window_slots(step).max(1));
        let ring = s.ring as u64;
        let pointer = (step.position + ring - s.lambda.n_sink as u64 % ring) % ring;
        let window = used.next_multiple_of(GROUP);
        let mut args = [0; ARGS];
        let mut set = |register: u8, value: usize| args[usize::from(register) - 1] = value as u32;
        set(reg::NTOK, n);
        set(reg::LAST, n - 1);
        set(reg::POS, step.position as usize);
        set(reg::RING, pointer as usize);
        set(reg::KSTEPS, used.div_ceil(s.k_slots));
        set(reg::VBLOCKS, (s.sink_pad + window) / GROUP);
        set(reg::WSLOTS, window);
        set(reg::ROWS, n * s.group);
        set(reg::HIDDEN, n * s.hidden);
        set(reg::QROT, n * s.q_rot_row());
        set(reg::KROT, n * s.k_rows());
        set(reg::ROPE, n * s.rope_row());
        set(reg::LASTROW, (n - 1) * s.hidden);
        set(reg::HEAD, usize::from(step.head));
        Ok(args)
    }

    /// The IO block of a step, to be written at beat [`crate::layout::AuxMap::ids`]: token ids, then RoPE rows.
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
        let mut out: Vec<u8> = tokens.iter().flat_map(|id| id.to_le_bytes()).collect();
        out.resize((self.aux.rope - self.aux.ids) * BEAT_BYTES, 0);
        for p in (position..).take(tokens.len()) {
            let sink = (s.lambda.n_sink > 0).then(|| s.lambda.sink_position(p));
            for at in std::iter::once(p).chain(sink) {
                let (cos, sin) = rope_row(at, d.rope_theta, d.head_dim, s.hdp);
                out.extend(cos.iter().chain(&sin).flat_map(|v| v.to_le_bytes()));
            }
        }
        Ok(out)
    }
}
