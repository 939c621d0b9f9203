//! Tensors in the scalar file: steps, bases and sums.

use super::{Context, Found};
use accllm_hw::tensor::Tensor;
use accllm_sim::golden::{Field, Space};

/// Elements of the instruction's tensors in the scalar file.
///
/// The softmax keeps the reciprocal of the sum: [`Tensor::ProbSum`] is its mantissa and exponent here.
pub(super) fn elements(c: &Context<'_>, out: &mut Vec<Found>) {
    for w in &c.record.writes {
        let Space::Scalar(field) = w.space else { continue };
        let entry = w.address as usize;
        let found = c.label.tensors.iter().find_map(|t| Some((*t, place(c, *t, field, entry)?)));
        if let Some((tensor, (token, head, element))) = found {
            out.push(Found { tensor, token, head: Some(head), element, value: w.value });
        }
    }
}

/// Token of the block, head, element.
fn place(c: &Context<'_>, t: Tensor, field: Field, entry: usize) -> Option<(usize, usize, usize)> {
    let m = &c.layout.scalars;
    let query = |base: usize, element| {
        let s = &c.layout.shape;
        let at = entry.checked_sub(base)?;
        let (kv, row) = (at / m.q_stride, at % m.q_stride);
        Some((c.first + row / s.group, kv * s.group + row % s.group, element))
    };
    match (t, field) {
        (Tensor::KScale, Field::Scale) | (Tensor::KBase, Field::Base) => {
            Some((c.tokens.start, entry.checked_sub(m.k)?, 0))
        }
        (Tensor::QScaleWin, Field::Scale) | (Tensor::QSumWin, Field::QSum) => query(m.q_win, 0),
        (Tensor::QScaleSink, Field::Scale) | (Tensor::QSumSink, Field::QSum) => query(m.q_sink, 0),
        (Tensor::ProbSum, Field::SumR) => query(m.q_win, 0),
        (Tensor::ProbSum, Field::SumK) => query(m.q_win, 1),
        _ => None,
    }
}
