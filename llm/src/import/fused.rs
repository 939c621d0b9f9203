//! Checkpoints in which several linears of a layer are one tensor, row after row, as Phi-3 has them.

use super::build::{FUSED, TensorSource, names};
use crate::Result;
use accllm_hw::sizes::{Linear, Sizes};

/// A checkpoint that may have them.
pub(super) struct Fused<S> {
    pub source: S,
    /// Those of the model where it has.
    pub sizes: Option<Sizes>,
}

impl<S: TensorSource> TensorSource for Fused<S> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let Some((sizes, part)) = self.sizes.and_then(|s| Some((s, Part::of(name, &s)?))) else {
            return self.source.tensor(name, shape);
        };
        let whole = self.source.tensor(&part.tensor, &[part.all, sizes.hidden])?;
        Ok(whole[part.first * sizes.hidden..(part.first + part.rows) * sizes.hidden].to_vec())
    }
}

/// Rows of a tensor.
struct Part {
    tensor: String,
    /// Its rows.
    all: usize,
    first: usize,
    rows: usize,
}

impl Part {
    /// Where the tensor `name` is, if it is a part of another.
    fn of(name: &str, s: &Sizes) -> Option<Self> {
        FUSED.iter().find_map(|(fused, parts)| {
            let rows = |l: &Linear| s.linear(*l).0;
            let at = parts.iter().position(|l| name.ends_with(&names::weight(*l)))?;
            let before = name.strip_suffix(&names::weight(parts[at]))?;
            Some(Self {
                tensor: format!("{before}{fused}"),
                all: parts.iter().map(rows).sum(),
                first: parts[..at].iter().map(rows).sum(),
                rows: rows(&parts[at]),
            })
        })
    }
}
