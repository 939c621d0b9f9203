//! Activation buffer, score buffer and scalar file.

use super::{Shape, too_small};
use crate::error::Result;
use accllm_hw::config::{COLS, Config};
use serde::{Deserialize, Serialize};

/// Score buffer. A second set of rows, where it fits, lets the tiles score one head while the vector unit does
/// the softmax of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreMap {
    /// Elements of a lane step (constant SCORE_ROW).
    pub row: usize,
    /// Lane steps of one set.
    pub steps: usize,
    /// Lane rows of one set: row `set * set_rows + t*G + g`.
    pub set_rows: usize,
    /// Sets, 1 or 2.
    pub sets: usize,
}

impl ScoreMap {
    pub(super) fn new(shape: &Shape, config: &Config) -> Result<Self> {
        let row = shape.slots().next_multiple_of(config.score_banks());
        let steps = shape.steps(shape.half * shape.group);
        too_small(
            shape,
            "the score buffer",
            "elements",
            row * steps,
            config.sbuf,
            "use a smaller block or window, or a configuration with a larger sbuf",
        )?;
        let heads = shape.sizes.kv_heads;
        let per_row = if shape.prob_wide { 2 } else { 1 };
        // Two sets only where the probabilities' stride (x, 8 bits) can express them and they fit.
        let words = shape.slots().div_ceil(64) * 2 * steps * per_row;
        let double = heads > 1
            && 2 * row * steps <= config.sbuf
            && 2 * steps * per_row <= 255
            && words <= config.act / 2;
        Ok(Self { row, steps, set_rows: steps * shape.lanes, sets: if double { 2 } else { 1 } })
    }
}

/// Scalar file entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalarMap {
    /// rsqrt of the norm in progress.
    pub norm: usize,
    /// K heads of the token that is appended.
    pub k: usize,
    /// Query heads, window: `q_win + kv_head * q_stride + t*G + g`.
    pub q_win: usize,
    /// Query heads, sinks.
    pub q_sink: usize,
    /// Entries between KV heads.
    pub q_stride: usize,
}

impl ScalarMap {
    pub(super) fn new(shape: &Shape, score: &ScoreMap, config: &Config) -> Result<Self> {
        let q_stride = shape.half * shape.group;
        let heads = shape.sizes.kv_heads;
        // SOFTMAX adds its score row, of the second set too, to an unsigned base: keep room below.
        let q_win = (1 + heads).max((score.sets - 1) * score.set_rows);
        let sinks = if shape.lambda.n_sink == 0 { 0 } else { heads * q_stride };
        let q_sink = if sinks == 0 { q_win } else { q_win + heads * q_stride };
        let end = q_win + heads * q_stride + sinks;
        let help = "use a smaller block, or a configuration with more scalars";
        too_small(shape, "the scalar file", "entries", end, config.scalars, help)?;
        Ok(Self { norm: 0, k: 1, q_win, q_sink, q_stride })
    }
}

/// Activation buffer. `*_x` is the distance between words of neighbouring columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActMap {
    /// Output of a norm: `attn_in`, `mlp_in`, `head_in`.
    pub norm: usize,
    /// Its stride.
    pub norm_x: usize,
    /// Query codes for the window, KV heads `q_x` apart.
    pub q_win: usize,
    /// Query codes for the sinks.
    pub q_sink: usize,
    /// Words between KV heads.
    pub q_x: usize,
    /// Probabilities; the second set `prob_set` words on.
    pub prob: usize,
    /// Its stride.
    pub prob_x: usize,
    /// Words of one set at one column word.
    pub prob_set: usize,
    /// Attention output, input of o_proj.
    pub attn: usize,
    /// Its stride.
    pub attn_x: usize,
    /// Input of down_proj.
    pub h: usize,
    /// Its stride.
    pub h_x: usize,
}

impl ActMap {
    pub(super) fn new(shape: &Shape, score: &ScoreMap, config: &Config) -> Result<Self> {
        let mut at = 0;
        let mut take = |words: usize| {
            at += words;
            at - words
        };
        let (tokens, half) = (shape.steps(shape.token_rows()), shape.steps(shape.half));
        let h_x = half;
        let words = |cols: usize, x: usize| cols.div_ceil(COLS) * x;
        let prob_set = score.steps * if shape.prob_wide { 2 } else { 1 };
        let prob_x = prob_set * score.sets;
        let q_words = score.steps * shape.sizes.kv_heads;
        let q_win;
        let map = Self {
            norm: take(words(shape.hidden, tokens)),
            norm_x: tokens,
            q_win: {
                q_win = take(q_words);
                q_win
            },
            q_sink: if shape.lambda.n_sink == 0 { q_win } else { take(q_words) },
            q_x: score.steps,
            prob: take(shape.slots().div_ceil(64) * prob_x),
            prob_x,
            prob_set,
            attn: take(words(shape.sizes.heads * shape.hds, half)),
            attn_x: half,
            h: take(words(shape.ff, h_x)),
            h_x,
        };
        let help = "use a smaller block or window, or a configuration with a larger act buffer";
        too_small(shape, "the activation buffer", "words", at, config.act, help)?;
        let stride = map.prob_x.max(map.h_x);
        too_small(shape, "the stride field x", "words", stride, 255, "use a smaller block")?;
        Ok(map)
    }
}
