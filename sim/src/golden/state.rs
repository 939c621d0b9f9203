//! On-chip state that stays between runs.

use accllm_hw::config::{COLS, Config};
use accllm_hw::tables::{Recip, Rsqrt};

/// Unit constants, by their index in SETC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Constant {
    /// Padded head dimension.
    Hdp,
    /// Sink tokens.
    NSink,
    /// Window tokens.
    NWindow,
    /// Window slots.
    Ring,
    /// Slots of the sink region.
    SinkPad,
    /// Query heads per KV head.
    Gqa,
    /// Score buffer elements per lane step.
    ScoreRow,
    /// Beats from a K head's sink region to its window region.
    KWindow,
    /// Elements between V heads.
    VDim,
}

impl Constant {
    /// Number of constants.
    pub const COUNT: usize = 9;
}

/// An entry of the scalar file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scalar {
    /// Step of K or Q.
    pub scale: u16,
    /// Base of K.
    pub base: i16,
    /// Mantissa of a reciprocal or reciprocal root.
    pub r: u16,
    /// Its exponent, 0..31.
    pub k: u8,
    /// Sum of a query's codes.
    pub q_sum: i16,
    /// Mantissa of the reciprocal of the softmax sum.
    pub sum_r: u16,
    /// Its exponent, 0..31.
    pub sum_k: u8,
}

impl Scalar {
    /// `r` and `k` as a reciprocal; exponents that no instruction can produce are cut to 31.
    pub fn inverse(self) -> Recip {
        Recip { r: self.r, k: u32::from(self.k.min(31)) }
    }

    /// `r` and `k` as a reciprocal square root, cut likewise.
    pub fn root(self) -> Rsqrt {
        Rsqrt { r: self.r, e: u32::from(self.k.min(31)) }
    }

    /// `sum_r` and `sum_k`, cut likewise.
    pub fn sum_inverse(self) -> Recip {
        Recip { r: self.sum_r, k: u32::from(self.sum_k.min(31)) }
    }
}

/// Buffers, scalar file, constants and result registers of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    lanes: usize,
    pub(super) vmem: Vec<i32>,
    pub(super) act: Vec<i8>,
    pub(super) exponents: Vec<u8>,
    pub(super) score: Vec<i32>,
    pub(super) scalars: Vec<Scalar>,
    pub(super) constants: [u32; Constant::COUNT],
    pub(super) argmax: (u32, i32),
}

impl State {
    /// The state after reset: zeros.
    pub fn new(config: &Config) -> Self {
        Self {
            lanes: config.lanes,
            vmem: vec![0; config.vmem],
            act: vec![0; config.act * config.lanes * COLS],
            exponents: vec![0; config.act * config.lanes],
            score: vec![0; config.sbuf * config.lanes],
            scalars: vec![Scalar::default(); config.scalars],
            constants: [0; Constant::COUNT],
            argmax: (0, 0),
        }
    }

    /// Vector memory, an element each.
    pub fn vmem(&self) -> &[i32] {
        &self.vmem
    }

    /// Vector memory, to write.
    pub fn vmem_mut(&mut self) -> &mut [i32] {
        &mut self.vmem
    }

    /// Activation buffer: column `col` of `word` in `lane` is at `(word * lanes + lane) * 256 + col`.
    pub fn act(&self) -> &[i8] {
        &self.act
    }

    /// Activation buffer, to write.
    pub fn act_mut(&mut self) -> &mut [i8] {
        &mut self.act
    }

    /// Exponents of activation words, 0..=12: of `word` in `lane` at `word * lanes + lane`.
    pub fn exponents(&self) -> &[u8] {
        &self.exponents
    }

    /// Exponents of activation words, to write.
    pub fn exponents_mut(&mut self) -> &mut [u8] {
        &mut self.exponents
    }

    /// Score buffer: `element` of `lane` is at `element * lanes + lane`.
    pub fn score(&self) -> &[i32] {
        &self.score
    }

    /// Score buffer, to write.
    pub fn score_mut(&mut self) -> &mut [i32] {
        &mut self.score
    }

    /// Scalar file.
    pub fn scalars(&self) -> &[Scalar] {
        &self.scalars
    }

    /// Scalar file, to write.
    pub fn scalars_mut(&mut self) -> &mut [Scalar] {
        &mut self.scalars
    }

    /// A unit constant.
    pub fn constant(&self, which: Constant) -> u32 {
        self.constants[which as usize]
    }

    /// Sets a unit constant, as SETC does.
    pub fn set_constant(&mut self, which: Constant, value: u32) {
        self.constants[which as usize] = value;
    }

    /// All unit constants, by index.
    pub fn constants(&self) -> &[u32; Constant::COUNT] {
        &self.constants
    }

    /// RESULT_INDEX and RESULT_VALUE.
    pub fn result(&self) -> (u32, i32) {
        self.argmax
    }

    /// Sets the result registers.
    pub fn set_result(&mut self, index: u32, value: i32) {
        self.argmax = (index, value);
    }

    /// Index into [`State::act`].
    pub fn act_index(&self, word: usize, lane: usize, col: usize) -> usize {
        (word * self.lanes + lane) * COLS + col
    }

    /// Index into [`State::score`].
    pub fn score_index(&self, element: usize, lane: usize) -> usize {
        element * self.lanes + lane
    }
}
