//! Tensors in the scalar file: steps, bases and sums.

use super::{Context, Found};
use accllm_compiler::label::Tensor;
use accllm_quant::int::Point;
use accllm_sim::golden::{Field, Space};

/// Elements of the instruction's tensors in the scalar file.
///
/// The softmax keeps the reciprocal of the sum: [`Point::ProbSum`] is its mantissa and exponent here.
pub(super) fn elements(c: &Context<'_>, out: &mut Vec<Found>) {
    for w in &c.record.writes {
        let Space::Scalar(field) = w.space else { continue };
        let entry = w.address as usize;
        let found = c.label.tensors.iter().find_map(|t| place(c, *t, field, entry));
        if let Some((point, token, head, element)) = found {
            out.push(Found { point, token, head: Some(head), element, value: w.value });
        }
    }
}

fn place(c: &Context<'_>, t: Tensor, field: Field, entry: usize) -> Option<(Point, usize, usize, usize)> {
    let m = &c.layout.scalars;
    let key = |point| Some((point, c.tokens.start, entry.checked_sub(m.k)?, 0));
    let query = |point, base: usize, element| {
        let s = &c.layout.shape;
        let at = entry.checked_sub(base)?;
        let (kv, row) = (at / m.q_stride, at % m.q_stride);
        Some((point, c.first + row / s.group, kv * s.group + row % s.group, element))
    };
    match (t, field) {
        (Tensor::KScale, Field::Scale) => key(Point::KScale),
        (Tensor::KBase, Field::Base) => key(Point::KBase),
        (Tensor::QScaleWin, Field::Scale) => query(Point::QScale, m.q_win, 0),
        (Tensor::QScaleSink, Field::Scale) => query(Point::QScale, m.q_sink, 1),
        (Tensor::QSumWin, Field::QSum) => query(Point::QSum, m.q_win, 0),
        (Tensor::QSumSink, Field::QSum) => query(Point::QSum, m.q_sink, 1),
        (Tensor::ProbSum, Field::SumR) => query(Point::ProbSum, m.q_win, 0),
        (Tensor::ProbSum, Field::SumK) => query(Point::ProbSum, m.q_win, 1),
        _ => None,
    }
}
