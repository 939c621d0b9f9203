//! Vector memory (32-bit elements).

use super::{ScoreMap, Shape, too_small};
use crate::error::Result;
use accllm_hw::config::{COLS, Config, GROUP};
use serde::{Deserialize, Serialize};

/// A range of output rows that one instruction computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// First row.
    pub first: usize,
    /// Rows, a multiple of 32; in the MLP of 256, but for the last chunk.
    pub rows: usize,
}

/// Vector memory map. Token ids, RoPE rows, residual and delta hold both groups of tokens; attention and MLP one
/// group, which they work on in turn. The head's region lies over those two, and where a block is one token they lie over
/// each other: their lifetimes do not meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmemMap {
    /// Token ids.
    pub ids: usize,
    /// RoPE rows, `rope_row` elements a token. Where leading pairs differ: of one group of tokens, in the layer that it is
    /// in, for each token one for each group of KV heads.
    pub rope: usize,
    /// Norm constants: attention norm, then MLP norm; at the end the final norm. Behind them, where leading pairs
    /// differ, which lead each group of KV heads has.
    pub g: usize,
    /// Residual stream, `hidden` elements a token.
    pub resid: usize,
    /// Output of o_proj and of down_proj, `hidden` elements a token.
    pub delta: usize,
    /// Biases that are added next: those of k, v and q, or of another linear.
    #[serde(default)]
    pub bias: usize,
    /// k projection.
    pub k: usize,
    /// Rotated k.
    pub k_rot: usize,
    /// v projection.
    pub v: usize,
    /// q projection.
    pub q: usize,
    /// Rotated q: for each token the window's, then the sinks'.
    pub q_rot: usize,
    /// Attention sums, `att_row` elements a row, the second set `att_set` on.
    pub att: usize,
    /// Elements of a row.
    pub att_row: usize,
    /// Elements of a set.
    pub att_set: usize,
    /// Chunks of gate and up.
    pub ff: Vec<Chunk>,
    /// Gate of each chunk. Where the whole MLP fits, chunks are columns of one buffer; else they use two in turn.
    pub gate: Vec<usize>,
    /// Up of each chunk.
    pub up: Vec<usize>,
    /// Elements from token to token in gate and up.
    pub ff_row: usize,
    /// Whether each chunk has a place of its own.
    pub ff_whole: bool,
    /// Logits of all sequences, one or two buffers for the chunks in turn.
    pub logits: Vec<usize>,
    /// Rows of a chunk of the head.
    pub head_chunk: usize,
    /// Elements in use.
    pub end: usize,
}

struct Bump(usize);

impl Bump {
    fn take(&mut self, elements: usize) -> usize {
        self.0 += elements.next_multiple_of(GROUP);
        self.0 - elements.next_multiple_of(GROUP)
    }
}

/// The MLP in a large and a small chunk: silu of the large one runs while the tiles compute the small one. Not
/// where silu is too short to be worth the instructions. The second begins with a block of columns of silu's exponents.
fn tail_chunks(ff: usize, vec: usize) -> Vec<Chunk> {
    let first = (ff - ff / 12) / COLS * COLS;
    if ff < 128 * vec || first == 0 {
        return vec![Chunk { first: 0, rows: ff }];
    }
    vec![Chunk { first: 0, rows: first }, Chunk { first, rows: ff - first }]
}

const HELP: &str = "use a smaller block, or a configuration with a larger vmem";

/// The MLP's chunks, and where their outputs are.
struct Mlp {
    ff: Vec<Chunk>,
    gate: Vec<usize>,
    up: Vec<usize>,
    row: usize,
    whole: bool,
    end: usize,
}

impl Mlp {
    /// From the element `start` on.
    fn new(shape: &Shape, start: usize, config: &Config) -> Result<Self> {
        let (b, mut at) = (shape.half, Bump(start));
        let free = config.vmem.saturating_sub(start);
        let least = start + (4 * b * COLS).min(2 * b * shape.ff);
        too_small(shape, "the vector memory", "elements", least, config.vmem, HELP)?;
        let whole = 2 * b * shape.ff <= free;
        let row = if whole { shape.ff } else { (free / (4 * b) / COLS * COLS).min(shape.ff) };
        let mut pair = || -> [usize; 2] {
            let count = if whole { 1 } else { 2 };
            let places: Vec<usize> = (0..count).map(|_| at.take(b * row)).collect();
            std::array::from_fn(|i| places[i % count])
        };
        let (gates, ups) = (pair(), pair());
        let ff: Vec<Chunk> =
            if whole { tail_chunks(shape.ff, shape.vec) } else { VmemMap::chunks(shape.ff, row).collect() };
        let place = |buffers: [usize; 2]| -> Vec<usize> {
            let own = |c: &Chunk| if whole { c.first } else { 0 };
            ff.iter().enumerate().map(|(i, c)| buffers[i % 2] + own(c)).collect()
        };
        let (gate, up) = (place(gates), place(ups));
        Ok(Self { ff, gate, up, row, whole, end: at.0 })
    }
}

impl VmemMap {
    pub(super) fn new(shape: &Shape, score: &ScoreMap, config: &Config) -> Result<Self> {
        let (both, b) = (shape.token_rows(), shape.half);
        let mut at = Bump(0);
        let ids = at.take(both);
        let rope = at.take(if shape.led() { 0 } else { both * shape.rope_row() });
        let g = at.take(2 * shape.hidden + shape.after_norms());
        let resid = at.take(both * shape.hidden);
        let delta = at.take(both * shape.hidden);
        let bias = at.take(shape.bias_room());
        let start = at.0;
        let rope = if shape.led() { at.take(b * shape.rope_groups * shape.rope_row()) } else { rope };
        let k = at.take(b * shape.k_rows());
        let k_rot = at.take(b * shape.k_rows());
        let v = at.take(b * shape.v_rows());
        let q = at.take(b * shape.q_rows());
        let q_rot = at.take(b * shape.q_rot_row());
        let att_row = shape.v_dim;
        let att_set = b * shape.group * att_row;
        let att = at.take(att_set * score.sets);
        too_small(shape, "the vector memory", "elements", at.0, config.vmem, HELP)?;
        let mlp = Mlp::new(shape, if shape.block == 1 { start } else { at.0 }, config)?;
        let mut head = Bump(start);
        let free = config.vmem - start;
        let share = (shape.vocab / 8).max(2048).min(free / 2 / shape.sequences).min(65504);
        let head_chunk = if shape.vocab <= share { shape.vocab } else { share / GROUP * GROUP };
        let buffers = if head_chunk == shape.vocab { 1 } else { 2 };
        let logits = (0..buffers).map(|_| head.take(shape.sequences * head_chunk)).collect();
        let end = at.0.max(mlp.end).max(head.0);
        too_small(shape, "the vector memory", "elements", end, config.vmem, HELP)?;
        Ok(Self {
            ids,
            rope,
            g,
            resid,
            delta,
            bias,
            k,
            k_rot,
            v,
            q,
            q_rot,
            att,
            att_row,
            att_set,
            ff: mlp.ff,
            gate: mlp.gate,
            up: mlp.up,
            ff_row: mlp.row,
            ff_whole: mlp.whole,
            logits,
            head_chunk,
            end,
        })
    }

    /// Chunks of `rows` rows, `size` at a time.
    pub(super) fn chunks(rows: usize, size: usize) -> impl Iterator<Item = Chunk> + use<> {
        (0..rows).step_by(size.max(1)).map(move |first| Chunk { first, rows: size.min(rows - first) })
    }

    /// Chunks of the head.
    pub fn head_chunks(&self, shape: &Shape) -> impl Iterator<Item = Chunk> + use<> {
        Self::chunks(shape.vocab, self.head_chunk)
    }
}
