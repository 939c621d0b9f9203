//! Tensors in vector memory: residual stream, outputs of the linear layers, rotated heads, attention sums.

use super::{Context, Found};
use accllm_compiler::image::source_row;
use accllm_hw::isa::Op;
use accllm_hw::sizes::Linear;
use accllm_hw::tensor::Tensor;
use accllm_sim::golden::Space;

/// Token of the block, head, element.
type Place = (usize, Option<usize>, usize);

/// Elements of the instruction's tensors in vector memory.
pub(super) fn elements(c: &Context<'_>, out: &mut Vec<Found>) {
    let writes = || c.record.writes.iter().filter(|w| w.space == Space::Vmem);
    let Some(first) = writes().map(|w| w.address).min() else { return };
    for w in writes() {
        let offset = (w.address - first) as usize;
        if let Some((tensor, (token, head, element))) = place(c, offset) {
            out.push(Found { tensor, token, head, element, value: w.value });
        }
    }
}

fn place(c: &Context<'_>, offset: usize) -> Option<(Tensor, Place)> {
    let (s, d) = (&c.layout.shape, &c.layout.shape.sizes);
    let tensor = match c.label.tensors.first()? {
        Tensor::QWin if offset >= c.label.part?.1 => Tensor::QSink,
        first => *first,
    };
    let place = match tensor {
        Tensor::Embed => (c.tokens.start, None, offset),
        Tensor::ResidAttn | Tensor::Resid => (c.tokens.start + offset / s.hidden, None, offset % s.hidden),
        Tensor::Q => projection(c, Linear::Q, offset)?,
        Tensor::K => projection(c, Linear::K, offset)?,
        Tensor::V => projection(c, Linear::V, offset)?,
        Tensor::AttnOut | Tensor::Gate | Tensor::Up | Tensor::MlpOut => rows(c, offset),
        Tensor::Logits => {
            let (_, head, element) = rows(c, offset);
            (c.block - 1, head, element)
        }
        Tensor::KRot => heads(c.tokens.start + offset / s.k_rows(), offset % s.k_rows(), s.hdp),
        Tensor::QWin | Tensor::QSink => {
            let (skip, rows) = c.label.part?;
            heads(c.tokens.start, skip + offset % rows, s.hdp)
        }
        Tensor::AttnAcc => {
            let stride = (c.instr.aux as usize).max(1);
            let (r, element) = (offset / stride, offset % stride);
            let head = c.label.kv_head? * s.group + r % s.group;
            (c.first + r / s.group, Some(head), element)
        }
        _ => return None,
    };
    // Padding is not part of the tensor.
    let width = match tensor {
        Tensor::Gate | Tensor::Up => d.ff,
        Tensor::Logits => d.vocab,
        Tensor::AttnAcc => d.head_dim,
        Tensor::Embed | Tensor::ResidAttn | Tensor::Resid | Tensor::AttnOut | Tensor::MlpOut => d.hidden,
        _ => usize::MAX,
    };
    (place.2 < width).then_some((tensor, place))
}

/// Output of a linear layer, a part of the layer's rows: of a MATW, for each token; of a RADD that adds the bias, for one.
fn rows(c: &Context<'_>, offset: usize) -> Place {
    let skip = c.label.part.map_or(0, |p| p.0);
    if c.record.op == Op::RADD {
        return (c.tokens.start, None, skip + offset);
    }
    debug_assert_eq!(c.record.op, Op::MATW);
    let stride = (c.instr.aux as usize).max(1);
    (c.first + offset / stride, None, skip + offset % stride)
}

/// The same, for heads that the compiler lays out in its own order.
fn projection(c: &Context<'_>, linear: Linear, offset: usize) -> Option<Place> {
    let (token, head, o) = rows(c, offset);
    Some((token, head, source_row(&c.layout.shape, linear, o)?))
}

fn heads(token: usize, r: usize, width: usize) -> Place {
    (token, Some(r / width), r % width)
}
