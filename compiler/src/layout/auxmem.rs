//! Auxiliary memory, in beats.

use super::Shape;
use accllm_hw::config::{BEAT_BYTES, Config};
use accllm_hw::isa::INSTR_BYTES;
use serde::{Deserialize, Serialize};

/// i16 elements of a beat.
pub(crate) const I16: usize = BEAT_BYTES / 2;
/// i32 elements of a beat.
pub(crate) const I32: usize = BEAT_BYTES / 4;

/// Map of the auxiliary memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuxMap {
    /// Program (always the size of the instruction memory).
    pub program: usize,
    /// Norm constants: for each layer g of the attention norm and of the MLP norm, then of the final norm and zeros; where
    /// leading RoPE pairs differ, after each pair of norms the indices of the layer's leads (i16, [`Shape::lead_ids`]);
    /// then the layer's biases (i32).
    pub norms: usize,
    /// Beats of one pair, with what follows it.
    pub norm_pair: usize,
    /// Beats from a pair to its biases.
    #[serde(default)]
    pub biases: usize,
    /// Embedding rows.
    pub embed: usize,
    /// Beats of a row.
    pub embed_row: usize,
    /// IO block of a step, written by the host: token ids (i32) ...
    pub ids: usize,
    /// ... and RoPE rows (i16): for each token one for each lead of the model.
    pub rope: usize,
    /// Logits (i32), written by the engine, `logits_row` beats a sequence.
    pub logits: usize,
    /// Beats of a sequence's logits.
    pub logits_row: usize,
    /// One past the last beat.
    pub end: usize,
}

impl AuxMap {
    pub(super) fn new(shape: &Shape, config: &Config) -> Self {
        let mut at = 0;
        let mut take = |beats: usize| {
            at += beats;
            at - beats
        };
        let biases = (2 * shape.hidden + shape.after_norms()) / I16;
        let norm_pair = biases + shape.biases.iter().map(|l| shape.bias_rows(*l)).sum::<usize>() / I32;
        let embed_row = shape.hidden / I16;
        Self {
            program: take(config.imem * INSTR_BYTES / BEAT_BYTES),
            norms: take((shape.sizes.layers + 1) * norm_pair),
            norm_pair,
            biases,
            embed: take(shape.sizes.vocab * embed_row),
            embed_row,
            ids: take(shape.token_rows().next_multiple_of(32) / I32),
            rope: take(shape.token_rows() * shape.leads.len() * shape.rope_row() / I16),
            logits: take(shape.sequences * shape.vocab / I32),
            logits_row: shape.vocab / I32,
            end: at,
        }
    }
}
