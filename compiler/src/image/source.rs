//! Where the numbers of an image come from: a quantized model, or a generator. Asked row by row, so that no more of
//! a model than its image has to be in memory.

use crate::spec::ModelSpec;
use accllm_hw::sizes::Linear;
use accllm_llm::model::{QuantModel, Weight};
use std::borrow::Cow;

/// A row of a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Levels of its columns, 0 where pruned or padded.
    pub level: &'a [i8],
    /// Scale of each 32 columns.
    pub scale: &'a [u8],
    /// Their offsets (W4; otherwise none).
    pub offset: &'a [i8],
    /// Row multiplier.
    pub mult: u16,
    /// Its shift.
    pub shift: u8,
}

/// Room for a row that is made when it is asked for.
#[derive(Debug, Clone, Default)]
pub struct RowSpace {
    /// Levels.
    pub level: Vec<i8>,
    /// Scales.
    pub scale: Vec<u8>,
    /// Offsets.
    pub offset: Vec<i8>,
}

/// A model, a row at a time. Rows may be asked for in any order and from several threads; the same question has the
/// same answer.
pub trait ModelSource: Sync {
    /// Sizes, constants and formats.
    fn spec(&self) -> ModelSpec;

    /// A row of a linear layer, in the checkpoint's order; the head has no layer. `None`: there is no such row.
    fn row<'a>(
        &'a self,
        layer: Option<usize>,
        linear: Linear,
        row: usize,
        space: &'a mut RowSpace,
    ) -> Option<Row<'a>>;

    /// Gains of a norm: attention and MLP norm of each layer in turn, then the final norm.
    fn norm(&self, index: usize) -> Option<Cow<'_, [i16]>>;

    /// Embedding of a token.
    fn embed(&self, token: usize) -> Option<Cow<'_, [i16]>>;

    /// Leading RoPE pair of each KV head of a layer; none: all 0. `accllm_llm::model::UNROTATED` for all of them in a
    /// layer without rotation.
    fn leads(&self, layer: usize) -> Cow<'_, [u8]>;

    /// Gains of the norm of a layer's query heads (0) or key heads (1).
    fn head_norm(&self, layer: usize, which: usize) -> Option<Cow<'_, [i16]>>;

    /// Biases of the rows of a linear of a layer, in the checkpoint's order; none where there are none.
    fn bias(&self, layer: usize, linear: Linear) -> Cow<'_, [i32]>;
}

fn weight(model: &QuantModel, layer: Option<usize>, linear: Linear) -> Option<&Weight> {
    match layer {
        None => Some(&model.head),
        Some(l) => model.layers.get(l)?.weights().get(linear as usize).copied(),
    }
}

impl ModelSource for QuantModel {
    fn spec(&self) -> ModelSpec {
        ModelSpec::from(self)
    }

    fn row<'a>(
        &'a self,
        layer: Option<usize>,
        linear: Linear,
        row: usize,
        _: &'a mut RowSpace,
    ) -> Option<Row<'a>> {
        let w = weight(self, layer, linear)?;
        let (width, groups) = (w.grid.cols_padded(), w.grid.groups());
        Some(Row {
            level: w.grid.level.get(row * width..(row + 1) * width)?,
            scale: w.grid.scale.get(row * groups..(row + 1) * groups)?,
            offset: w.grid.offset.get(row * groups..(row + 1) * groups).unwrap_or(&[]),
            mult: *w.mult.get(row)?,
            shift: *w.shift.get(row)?,
        })
    }

    fn norm(&self, index: usize) -> Option<Cow<'_, [i16]>> {
        let norm = match self.layers.get(index / 2) {
            Some(layer) if index.is_multiple_of(2) => &layer.attn_norm,
            Some(layer) => &layer.mlp_norm,
            None if index == 2 * self.layers.len() => &self.final_norm,
            None => return None,
        };
        Some(Cow::Borrowed(&norm.g))
    }

    fn embed(&self, token: usize) -> Option<Cow<'_, [i16]>> {
        let hidden = self.arch.sizes.hidden;
        self.embed.get(token * hidden..(token + 1) * hidden).map(Cow::Borrowed)
    }

    fn leads(&self, layer: usize) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.layers.get(layer).map_or(&[], |l| &l.leads))
    }

    fn head_norm(&self, layer: usize, which: usize) -> Option<Cow<'_, [i16]>> {
        let norms = self.layers.get(layer)?.head_norms.as_ref()?;
        norms.get(which).map(|n| Cow::Borrowed(n.g.as_slice()))
    }

    fn bias(&self, layer: usize, linear: Linear) -> Cow<'_, [i32]> {
        Cow::Borrowed(weight(self, Some(layer), linear).map_or(&[], |w| &w.bias))
    }
}
