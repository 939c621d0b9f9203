//! The closed formula of each vector operation: how many steps, and what comes before and after them. Times of operations
//! that depend on memories or on the scores of several rows are in `vector`.

use super::latency as lat;
use super::operands::{Constants, Operation};
use accllm_hw::beat::KeyBeats;
use accllm_hw::config::Config;
use accllm_hw::isa::{FLAG_I32, FLAG_VMEM, Op};

/// Columns of an activation word.
const COLUMNS: u64 = 256;

/// A vector operation's steps, one a cycle unless something holds them back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    /// Cycles from the operation's start to its being ready to run.
    pub setup: u64,
    /// Steps.
    pub steps: u64,
    /// Cycles from the last step to `done`; operations with `memory` wait for that too.
    pub tail: u64,
    /// What it waits for beside its steps.
    pub waits: Waits,
}

/// What an operation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// Nothing.
    Nothing,
    /// Elements from auxiliary memory, and EMBED for its token.
    Load {
        /// Beats.
        beats: u64,
        /// EMBED.
        token: bool,
    },
    /// Auxiliary memory that takes beats.
    Store {
        /// Beats.
        beats: u64,
        /// Steps a beat.
        words: u64,
    },
    /// The maxima of its rows.
    Rows {
        /// Rows.
        rows: u64,
        /// Words of a row.
        words: u64,
    },
    /// Channels that take keys or values.
    Append {
        /// Requests, one after the other: beats of K heads, steps of V.
        requests: u64,
        /// Words of one.
        words: u64,
    },
}

/// The formula; `None` for an operation with nothing to do.
pub(super) fn pass(o: &Operation, config: &Config, constants: &Constants) -> Option<Pass> {
    let v = config.vec as u64;
    let n = u64::from(o.n);
    let (words, heads) = (n.div_ceil(v), n * (constants.hdp() / v));
    let groups = n.div_ceil(32) * (32 / v);
    let to_memory = |lanes: u64| lanes + lat::QUEUED + lat::WRITTEN;
    let plain = |steps, tail| Pass { setup: lat::SETUP, steps, tail, waits: Waits::Nothing };
    let product = |steps, tail| Pass { setup: lat::SETUP_PRODUCT, ..plain(steps, tail) };
    let early = to_memory(lat::EARLY);
    let pass = match o.op {
        Op::SUMSQ => plain(words, lat::SUM_OF_SQUARES),
        Op::NORMQ if o.flags & FLAG_VMEM != 0 => plain(words, to_memory(lat::LATE)),
        Op::NORMQ => plain(groups, lat::LATE + lat::WRITTEN),
        Op::ROPE => plain(heads, to_memory(lat::MIDDLE)),
        Op::HADW | Op::RADD => plain(words, early),
        Op::HADX => plain(words, early),
        Op::STATK => plain(heads, lat::STAT),
        Op::STATQ => product(heads, lat::STAT),
        Op::QQ => product(heads, lat::MIDDLE + lat::CODE_SUM),
        Op::ATTQ => product(constants.gqa() * groups, lat::LATE + lat::WRITTEN),
        Op::SILU => {
            // The last block is handed on after its last word; the one before it takes its own time.
            let block = COLUMNS / v;
            let last = groups - (groups - 1) / block * block;
            let behind = if groups > block { block - last } else { 0 };
            product(groups, lat::SIGMOID + lat::BLOCK + last + behind)
        }
        Op::ARGMAX => plain(words, lat::ARGMAX),
        Op::LOAD | Op::EMBED => {
            let wide = o.op == Op::LOAD && o.flags & FLAG_I32 != 0;
            let beats = n / if wide { 16 } else { 32 };
            let steps = if wide { n / v.min(16) } else { n / v };
            Pass { waits: Waits::Load { beats, token: o.op == Op::EMBED }, ..plain(steps, early) }
        }
        Op::STORE => {
            let (beats, steps) = (n / 16, n / v.min(16));
            Pass { waits: Waits::Store { beats, words: 16 / v.min(16) }, ..plain(steps, early) }
        }
        Op::SOFTMAX => {
            let words = (constants.sink_pad() + n) / v;
            let waits = Waits::Rows { rows: constants.gqa(), words };
            Pass { waits, ..product(constants.gqa() * words, lat::SOFTMAX) }
        }
        Op::QK => {
            let beats = KeyBeats::of(constants.hdp() as usize).beats as u64;
            let waits = Waits::Append { requests: n * beats, words: constants.hdp() / beats / v };
            Pass { waits, ..plain(heads, lat::MIDDLE + lat::QUEUE) }
        }
        Op::QV => {
            let words = 4 * config.channels as u64 / v;
            let steps = n * (constants.v_dim() / v);
            let waits = Waits::Append { requests: steps / words.max(1), words };
            Pass { waits, ..product(steps, lat::EARLY + lat::QUEUE) }
        }
        _ => return None,
    };
    (pass.steps > 0).then_some(pass)
}
