//! Scores, and the order of slots.

use super::{Context, Found};
use accllm_hw::isa::Op;
use accllm_hw::tensor::Tensor;
use accllm_sim::golden::Space;
use std::collections::BTreeMap;

impl Context<'_> {
    /// Slots (sinks first, then the window's) that a token of the block sees, with their place in the reference's
    /// order: by position.
    pub(super) fn visible(&self, token: usize) -> BTreeMap<usize, usize> {
        let positions = self.layout.visible(self.position + token as u64);
        let slots = positions.map(|p| match self.layout.slot(p) {
            (true, slot) => slot,
            (false, slot) => self.layout.shape.sink_pad + slot,
        });
        slots.zip(0..).collect()
    }
}

/// Scores of the visible slots. Sinks and window are two instructions, of which only the last completes the tensor.
pub(super) fn elements(c: &Context<'_>, out: &mut Vec<Found>) {
    let (s, m) = (&c.layout.shape, &c.layout.score);
    let (Op::MATK, Some(kv)) = (c.record.op, c.label.kv_head) else { return };
    let sets = c.layout.sets(c.label.span);
    let first = sets.of(kv) * sets.steps;
    let order: Vec<_> = (0..c.block).map(|t| c.visible(t)).collect();
    for w in &c.record.writes {
        let Space::Score(lane) = w.space else { continue };
        let (step, slot) = (w.address as usize / m.row, w.address as usize % m.row);
        let row = (step - first) * s.lanes + usize::from(lane);
        let (token, head) = (c.first + row / s.group, kv * s.group + row % s.group);
        if let Some(&element) = order.get(token).and_then(|o| o.get(&slot)) {
            out.push(Found { tensor: Tensor::Score, token, head: Some(head), element, value: w.value });
        }
    }
}
