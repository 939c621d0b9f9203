//! Which row of the checkpoint an output row of the engine holds.

use crate::layout::Shape;
use accllm_hw::sizes::Linear;

/// The checkpoint's row at laid-out row `o`; `None` for padding.
///
/// q and k: heads `hdp` apart, rotate-half pair `(i, i + hd/2)` at `(i, i + hdp/2)`. v: heads `v_dim` apart.
pub fn source_row(shape: &Shape, linear: Linear, o: usize) -> Option<usize> {
    let d = &shape.sizes;
    let hd = d.head_dim;
    let (row, limit) = match linear {
        Linear::Q | Linear::K => {
            let (head, e) = (o / shape.hdp, o % shape.hdp);
            let (half, i) = (e / (shape.hdp / 2), e % (shape.hdp / 2));
            if i >= hd / 2 {
                return None;
            }
            let heads = if linear == Linear::Q { d.heads } else { d.kv_heads };
            (head * hd + half * (hd / 2) + i, heads * hd)
        }
        Linear::V => {
            let (head, e) = (o / shape.v_dim, o % shape.v_dim);
            if e >= hd {
                return None;
            }
            (head * hd + e, d.kv_heads * hd)
        }
        _ => (o, shape.sizes.linear(linear).0),
    };
    (row < limit).then_some(row)
}
