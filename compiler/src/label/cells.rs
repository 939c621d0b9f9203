//! The memory map read the other way: from tensors to cells.

use super::cell::Cell;
use super::space::{Field, Space};
use super::tensor::Tensor;
use crate::image::source_row;
use crate::layout::Layout;
use crate::spec::Linear;
use accllm_hw::beat::nibble_of;
use accllm_hw::config::{BEAT_BYTES, COLS, GROUP, MACS, PARAMS};

/// Which row of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRef {
    /// The tensor.
    pub tensor: Tensor,
    /// Layer, where the tensor belongs to one.
    pub layer: Option<usize>,
    /// Token, index in the block.
    pub token: usize,
    /// Position of the block's first token.
    pub position: u64,
    /// Query or KV head, for tensors that are per head.
    pub head: Option<usize>,
    /// Part of the row: first element and count; `None` is all of it.
    pub part: Option<(usize, usize)>,
}

impl Tensor {
    /// Heads that the tensor has one row each for: `None` where a row holds all heads, or there are none.
    pub fn heads(self, l: &Layout) -> Option<usize> {
        let d = &l.shape.dims;
        match self {
            Self::KRot | Self::KScale | Self::KBase | Self::KCodes | Self::VCodes => Some(d.kv_heads),
            Self::QWin
            | Self::QSink
            | Self::QScaleWin
            | Self::QScaleSink
            | Self::Q8Win
            | Self::Q8Sink
            | Self::QSumWin
            | Self::QSumSink
            | Self::Score
            | Self::Prob
            | Self::ProbSum
            | Self::AttnAcc
            | Self::AttnO8 => Some(d.heads),
            _ => None,
        }
    }
}

impl Layout {
    /// The cells of a row of a tensor, in the order of its elements (checkpoint order; rotated heads in padded
    /// order; scores and probabilities in the order of [`Layout::visible`]).
    ///
    /// They hold the tensor from the end of the instruction that makes it until another one reuses them.
    pub fn cells(&self, row: RowRef) -> Vec<Cell> {
        let (s, d) = (&self.shape, &self.shape.dims);
        let (t, h) = (row.token, row.head.unwrap_or(0));
        let v = &self.vmem;
        let vmem = |at: usize, n: usize| -> Vec<Cell> {
            (at..at + n).map(|a| Cell::One(Space::Vmem, a as u64)).collect()
        };
        let (first, count) = row.part.unwrap_or((0, usize::MAX));
        let part = |whole: usize| count.min(whole.saturating_sub(first));
        let ff = |places: &[usize]| {
            let chunk = v.ff.iter().position(|c| c.first == first).unwrap_or(0);
            vmem(places[chunk] + t * v.ff_row, part(d.ff))
        };
        let q_rot = |sink: usize| v.q_rot + t * s.q_rot_row() + sink * s.q_rows() + h * s.hdp;
        match row.tensor {
            Tensor::Embed | Tensor::ResidAttn | Tensor::Resid => vmem(v.resid + t * s.hidden, d.hidden),
            Tensor::AttnOut | Tensor::MlpOut => vmem(v.delta + t * s.hidden, d.hidden),
            Tensor::AttnIn | Tensor::MlpIn => self.columns((self.act.norm, self.act.norm_x), t, 0, d.hidden),
            Tensor::HeadIn => self.columns((self.act.norm, self.act.norm_x), 0, 0, d.hidden),
            Tensor::K => self.projected(Linear::K, v.k + t * s.k_rows()),
            Tensor::Q => self.projected(Linear::Q, v.q + t * s.q_rows()),
            Tensor::V => self.projected(Linear::V, v.v + t * s.v_rows()),
            Tensor::KRot => vmem(v.k_rot + t * s.k_rows() + h * s.hdp, s.hdp),
            Tensor::QWin => vmem(q_rot(0), s.hdp),
            Tensor::QSink => vmem(q_rot(1), s.hdp),
            Tensor::KScale => vec![Cell::One(Space::Scalar(Field::Scale), (self.scalars.k + h) as u64)],
            Tensor::KBase => vec![Cell::One(Space::Scalar(Field::Base), (self.scalars.k + h) as u64)],
            Tensor::KCodes => self.key_codes(row),
            Tensor::VCodes => self.value_codes(row),
            Tensor::QScaleWin => vec![self.q_scalar(Field::Scale, self.scalars.q_win, row)],
            Tensor::QScaleSink => vec![self.q_scalar(Field::Scale, self.scalars.q_sink, row)],
            Tensor::QSumWin => vec![self.q_scalar(Field::QSum, self.scalars.q_win, row)],
            Tensor::QSumSink => vec![self.q_scalar(Field::QSum, self.scalars.q_sink, row)],
            Tensor::Q8Win | Tensor::Q8Sink => {
                let base = if row.tensor == Tensor::Q8Win { self.act.q_win } else { self.act.q_sink };
                let lane_row = t * s.group + h % s.group;
                self.columns((base + h / s.group * self.act.q_x, 0), lane_row, 0, s.hdp)
            }
            Tensor::Score => self.scores(row),
            Tensor::Prob => self.probabilities(row),
            Tensor::ProbSum => {
                let at = self.scalars.q_win + h / s.group * self.scalars.q_stride + t * s.group + h % s.group;
                vec![Cell::Reciprocal(at as u64)]
            }
            Tensor::AttnAcc => {
                let set = h / s.group % self.score.sets;
                vmem(v.att + set * v.att_set + (t * s.group + h % s.group) * v.att_row, d.head_dim)
            }
            Tensor::AttnO8 => self.columns((self.act.attn, self.act.attn_x), t, h * s.hds, d.head_dim),
            Tensor::Gate => ff(&v.gate),
            Tensor::Up => ff(&v.up),
            Tensor::MlpH => {
                let n = part(d.ff);
                let to = (self.act.h, self.act.h_x);
                if !s.h_wide {
                    return self.columns(to, t, first, n);
                }
                let [high, low] = [2 * t, 2 * t + 1].map(|r| self.columns(to, r, first, n));
                split(high, low)
            }
            Tensor::Logits => vmem(v.logits[first / v.head_chunk % v.logits.len()], part(d.vocab)),
            Tensor::Argmax => vec![Cell::One(Space::Result, 0)],
        }
    }

    /// Activation columns of a lane row.
    fn columns(&self, (word, x): (usize, usize), row: usize, col: usize, n: usize) -> Vec<Cell> {
        let lanes = self.shape.lanes;
        let at = |c: usize| (word + c / COLS * x + row / lanes) * COLS + c % COLS;
        (col..col + n).map(|c| Cell::One(Space::Act((row % lanes) as u8), at(c) as u64)).collect()
    }

    /// Output of a projection in checkpoint order.
    fn projected(&self, linear: Linear, base: usize) -> Vec<Cell> {
        let rows = self.shape.checkpoint_size(linear).0;
        let mut out = vec![Cell::One(Space::Vmem, 0); rows];
        for o in 0..self.shape.rows(linear) {
            if let Some(cell) = source_row(&self.shape, linear, o).and_then(|r| out.get_mut(r)) {
                *cell = Cell::One(Space::Vmem, (base + o) as u64);
            }
        }
        out
    }

    fn q_scalar(&self, field: Field, base: usize, row: RowRef) -> Cell {
        let (h, group) = (row.head.unwrap_or(0), self.shape.group);
        let at = base + h / group * self.scalars.q_stride + row.token * group + h % group;
        Cell::One(Space::Scalar(field), at as u64)
    }

    /// Slot of a position counted from the first sink slot.
    fn score_slot(&self, position: u64) -> usize {
        let (sink, slot) = self.slot(position);
        if sink { slot } else { self.shape.sink_pad + slot }
    }

    /// Score row of a query head and token.
    fn score_row(&self, row: RowRef) -> usize {
        let (h, group) = (row.head.unwrap_or(0), self.shape.group);
        h / group % self.score.sets * self.score.set_rows + row.token * group + h % group
    }

    fn scores(&self, row: RowRef) -> Vec<Cell> {
        let lanes = self.shape.lanes;
        let r = self.score_row(row);
        let at = |p: u64| (r / lanes * self.score.row + self.score_slot(p)) as u64;
        let visible = self.visible(row.position + row.token as u64);
        visible.map(|p| Cell::One(Space::Score((r % lanes) as u8), at(p))).collect()
    }

    fn probabilities(&self, row: RowRef) -> Vec<Cell> {
        let lanes = self.shape.lanes;
        let r = self.score_row(row);
        let at = |p: u64, lane_row: usize| {
            let slot = self.score_slot(p);
            let word = self.act.prob + slot / 64 * self.act.prob_x + lane_row / lanes;
            let col = slot / GROUP % 2 * MACS + slot % GROUP;
            (Space::Act((lane_row % lanes) as u8), (word * COLS + col) as u64)
        };
        let visible = self.visible(row.position + row.token as u64);
        if self.shape.prob_wide {
            visible.map(|p| Cell::Split { high: at(p, 2 * r), low: at(p, 2 * r + 1) }).collect()
        } else {
            visible.map(|p| at(p, r)).map(|(space, a)| Cell::One(space, a)).collect()
        }
    }

    fn key_codes(&self, row: RowRef) -> Vec<Cell> {
        let (s, head) = (&self.shape, row.head.unwrap_or(0));
        let tpb = MACS / s.hdp;
        let (sink, slot) = self.slot(row.position + row.token as u64);
        let (step, channel, half) = (slot / s.k_slots, slot / tpb % s.channels, slot % tpb);
        let chunk = PARAMS / tpb;
        let region = if sink { 0 } else { self.kv.k_window };
        let start = self.kv.k_at(row.layer.unwrap_or(0), head) + region + step / chunk * (1 + chunk);
        let beat = start + 1 + step % chunk;
        (0..s.hdp).map(|d| nibble(channel, beat, half * s.hdp + d)).collect()
    }

    fn value_codes(&self, row: RowRef) -> Vec<Cell> {
        let (s, head) = (&self.shape, row.head.unwrap_or(0));
        let slot = self.score_slot(row.position + row.token as u64);
        let base = self.kv.v_at(row.layer.unwrap_or(0), head) + slot / GROUP;
        let dims = 0..s.dims.head_dim;
        dims.map(|d| {
            let (step, channel, g) = (d / (4 * s.channels), d / 4 % s.channels, d % 4);
            nibble(channel, base + step * self.kv.v_blocks, GROUP * g + slot % GROUP)
        })
        .collect()
    }
}

fn nibble(channel: usize, beat: usize, multiplier: usize) -> Cell {
    let n = nibble_of(multiplier);
    Cell::Nibble { channel: channel as u8, byte: (beat * BEAT_BYTES + n / 2) as u64, high: n % 2 == 1 }
}

fn split(high: Vec<Cell>, low: Vec<Cell>) -> Vec<Cell> {
    let pairs = high.into_iter().zip(low);
    pairs
        .filter_map(|pair| match pair {
            (Cell::One(hs, ha), Cell::One(ls, la)) => Some(Cell::Split { high: (hs, ha), low: (ls, la) }),
            _ => None,
        })
        .collect()
}
