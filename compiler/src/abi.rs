//! Registers of a program: which argument is where, and what the program keeps in the others.

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
        /// Query rows of a KV head, tokens x group; a working register.
        pub rows: u8,
    }
    /// First group; in decode the only token.
    pub const FIRST: Group = Group { tokens: 1, pos: 2, ring: 3, rows: 25 };
    /// Second group.
    pub const SECOND: Group = Group { tokens: 4, pos: 5, ring: 6, rows: 26 };
    /// KV beats from the first sequence's cache to that of the step's sequence.
    pub const SEQ: u8 = 7;
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
    /// 1: a token of each sequence, with [`Batch`] instead of the arguments below KSTEPS; DECODE and PREFILL are 0.
    pub const BATCH: u8 = 14;
    /// 1: compute logits of the last token, or of each sequence; 0: do not.
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
    /// Elements to the head of a loop over heads.
    pub const H: u8 = 28;
    /// Residual elements before the last token's.
    pub const LASTROW: u8 = 27;

    /// Arguments of a sequence in a step of all sequences.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Batch {
        /// Position of its token.
        pub pos: u8,
        /// Its ring pointer.
        pub ring: u8,
    }
    /// The arguments of each sequence; there are registers for so many.
    pub const BATCH_OF: [Batch; 4] = [
        Batch { pos: 1, ring: 2 },
        Batch { pos: 3, ring: 4 },
        Batch { pos: 5, ring: 6 },
        Batch { pos: 7, ring: 8 },
    ];
}

/// Names of the arguments, register 1 first; in a step of all sequences the first eight are POS and RING of each.
pub const ARG_NAMES: [&str; ARGS] = [
    "NTOK", "POS", "RING", "NTOK2", "POS2", "RING2", "SEQ", "-", "KSTEPS", "VBLOCKS", "WSLOTS", "DECODE",
    "PREFILL", "BATCH", "HEAD",
];

/// Largest position: registers are 32 bits, and comparisons are signed.
pub const MAX_POSITION: u64 = (1 << 31) - 1;
