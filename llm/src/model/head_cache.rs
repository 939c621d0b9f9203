//! The KV cache of one head in the form that all devices share.

use accllm_hw::sizes::Sizes;

/// Largest step of a key: 16-bit extremes in 4 bits (`docs/numerics.md`, K at append).
const MAX_STEP: u16 = 4369;

/// Keys and values of one layer and KV head, for the positions of
/// [`LambdaShape::kept`](crate::model::LambdaShape::kept) in that order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeadCache {
    /// `[kept, hdp]`: key codes, -8..=7.
    pub k: Vec<i8>,
    /// `[kept]`: step and base of each key.
    pub k_meta: Vec<(u16, i16)>,
    /// `[kept, head_dim]`: value codes, -8..=7.
    pub v: Vec<i8>,
}

impl HeadCache {
    /// Whether it holds `kept` positions of a model, with numbers that the arithmetic can produce.
    pub fn is_sane(&self, sizes: &Sizes, kept: usize) -> bool {
        let nibbles = |codes: &[i8]| codes.iter().all(|c| (-8..=7).contains(c));
        self.k.len() == kept * sizes.padded_head()
            && self.v.len() == kept * sizes.head_dim
            && self.k_meta.len() == kept
            && self.k_meta.iter().all(|(step, _)| (1..=MAX_STEP).contains(step))
            && nibbles(&self.k)
            && nibbles(&self.v)
    }
}
