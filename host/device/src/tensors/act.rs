//! Tensors in the activation buffer: inputs of the linear layers, query codes, probabilities.

use super::{Context, Found};
use accllm_hw::config::{COLS, MACS};
use accllm_hw::tensor::Tensor;
use accllm_sim::golden::Space;
use std::collections::BTreeMap;

/// A byte of the buffer: word from the tensor's first, lane, column.
struct Byte {
    word: usize,
    lane: usize,
    col: usize,
    value: i32,
}

/// Elements of the instruction's tensors in the activation buffer.
pub(super) fn elements(c: &Context<'_>, out: &mut Vec<Found>) {
    let a = &c.layout.act;
    let Some(&tensor) = c.label.tensors.first() else { return };
    match tensor {
        Tensor::AttnIn | Tensor::MlpIn | Tensor::HeadIn => columns(c, a.norm, a.norm_x, tensor, out),
        Tensor::MlpH => hidden(c, out),
        Tensor::AttnO8 => attention(c, out),
        Tensor::Q8Win => queries(c, a.q_win, tensor, out),
        Tensor::Q8Sink => queries(c, a.q_sink, tensor, out),
        Tensor::Prob => probabilities(c, out),
        _ => {}
    }
}

fn bytes<'c>(c: &'c Context<'_>, base: usize) -> impl Iterator<Item = Byte> + 'c {
    c.record.writes.iter().filter_map(move |w| match w.space {
        Space::Act(lane) => {
            let (word, col) = (w.address as usize / COLS, w.address as usize % COLS);
            Some(Byte { word: word.checked_sub(base)?, lane: lane.into(), col, value: w.value })
        }
        _ => None,
    })
}

/// Lane row and column of a byte where words of neighbouring columns are `x` apart.
fn at(c: &Context<'_>, b: &Byte, x: usize) -> (usize, usize) {
    ((b.word % x) * c.layout.shape.lanes + b.lane, (b.word / x) * COLS + b.col)
}

/// A norm's output: the token's row in both groups, but the head's only token is in row 0.
fn columns(c: &Context<'_>, base: usize, x: usize, tensor: Tensor, out: &mut Vec<Found>) {
    for b in bytes(c, base) {
        let (row, col) = at(c, &b, x);
        let token = if tensor == Tensor::HeadIn { c.block - 1 } else { c.tokens.start };
        debug_assert!(tensor == Tensor::HeadIn || row == c.layout.shape.row_of(token, c.block));
        if col < c.layout.shape.sizes.hidden {
            out.push(Found { tensor, token, head: None, element: col, value: b.value });
        }
    }
}

/// `mlp_h` and `mlp_h_exp`.
fn hidden(c: &Context<'_>, out: &mut Vec<Found>) {
    let (a, s) = (&c.layout.act, &c.layout.shape);
    for b in bytes(c, a.h) {
        let (token, element) = at(c, &b, a.h_x);
        if element < s.sizes.ff {
            let token = c.first + token;
            out.push(Found { tensor: Tensor::MlpH, token, head: None, element, value: b.value });
        }
    }
    for w in &c.record.writes {
        let Space::Exponent(lane) = w.space else { continue };
        let Some(word) = (w.address as usize).checked_sub(a.h) else { continue };
        let token = c.first + (word % a.h_x) * s.lanes + usize::from(lane);
        let element = word / a.h_x;
        out.push(Found { tensor: Tensor::MlpHExp, token, head: None, element, value: w.value });
    }
}

/// `attn_o8`: heads side by side, `hds` columns each.
fn attention(c: &Context<'_>, out: &mut Vec<Found>) {
    let (a, s) = (&c.layout.act, &c.layout.shape);
    for b in bytes(c, a.attn) {
        let (token, col) = at(c, &b, a.attn_x);
        let (token, head, element) = (c.first + token, col / s.hds, col % s.hds);
        if element < s.sizes.head_dim {
            out.push(Found { tensor: Tensor::AttnO8, token, head: Some(head), element, value: b.value });
        }
    }
}

/// Query codes: a word per lane step and KV head, columns of narrow heads repeated.
fn queries(c: &Context<'_>, base: usize, tensor: Tensor, out: &mut Vec<Found>) {
    let (a, s) = (&c.layout.act, &c.layout.shape);
    for b in bytes(c, base) {
        let row = (b.word % a.q_x) * s.lanes + b.lane;
        let head = (b.word / a.q_x) * s.group + row % s.group;
        if b.col < MACS.max(s.hdp) {
            let element = b.col % s.hdp;
            out.push(Found {
                tensor,
                token: c.first + row / s.group,
                head: Some(head),
                element,
                value: b.value,
            });
        }
    }
}

/// Probabilities of the visible slots, in the reference's order.
fn probabilities(c: &Context<'_>, out: &mut Vec<Found>) {
    let (a, s) = (&c.layout.act, &c.layout.shape);
    let Some(kv) = c.label.kv_head else { return };
    let sets = c.layout.sets(c.label.span);
    let base = a.prob + sets.of(kv) * sets.prob;
    let token = c.tokens.start;
    let order = c.visible(token);
    let rows = bytes(c, base).filter(|b| b.col % MACS < 32).map(|b| {
        let row = (b.word % a.prob_x) * s.lanes + b.lane;
        let slot = (b.word / a.prob_x) * 64 + b.col / MACS * 32 + b.col % MACS;
        ((row, slot), b.value)
    });
    for ((row, slot), value) in join(rows, s.prob_wide) {
        let head = Some(kv * s.group + row % s.group);
        match order.get(&slot) {
            Some(&element) if c.first + row / s.group == token => {
                out.push(Found { tensor: Tensor::Prob, token, head, element, value });
            }
            _ => {}
        }
    }
}

/// With `wide`, joins the halves in rows 2r and 2r + 1.
fn join(
    rows: impl Iterator<Item = ((usize, usize), i32)>,
    wide: bool,
) -> impl Iterator<Item = ((usize, usize), i32)> {
    let mut joined = BTreeMap::new();
    for ((row, col), value) in rows {
        let (row, value) = match (wide, row % 2) {
            (false, _) => (row, value),
            (true, 0) => (row / 2, value * 256),
            (true, _) => (row / 2, value),
        };
        *joined.entry((row, col)).or_insert(0) += value;
    }
    joined.into_iter()
}
