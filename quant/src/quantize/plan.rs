//! How the weights that read one tensor are quantized: migration shape, Hessian, format.

use super::Options;
use super::calibrate::Channels;
use super::compensate::{Inverse, fit_compensated};
use super::grid::GridWeight;
use super::levels::fit;
use super::shapes::scale_columns;
use crate::float::Matrix;
use crate::model::{GROUP, WeightFormat};

/// A plan for all weights that read one tensor.
pub(super) struct Plan {
    shape: Vec<f32>,
    /// Mean square of the input channels after migration.
    power: Vec<f32>,
    used: Vec<bool>,
    inverse: Option<Inverse>,
    format: WeightFormat,
}

impl Plan {
    /// `shape` and `power` per column; `used` tells weights from padding; `gram` is `[cols, cols]` of the
    /// input before migration, or empty.
    pub fn new(shape: Vec<f32>, power: &[f32], used: Vec<bool>, gram: &[f32], format: WeightFormat) -> Self {
        let n = shape.len();
        let power = power.iter().zip(&shape).map(|(p, s)| p / (s * s)).collect();
        let inverse = (!gram.is_empty()).then(|| {
            let mut gram = gram.to_vec();
            for (i, row) in gram.chunks_exact_mut(n).enumerate() {
                row.iter_mut().zip(&shape).for_each(|(v, s)| *v /= s * shape[i]);
            }
            Inverse::new(&gram, n)
        });
        Self { shape, power, used, inverse: inverse.flatten(), format }
    }

    /// The grid of `w`, in units of the checkpoint.
    pub fn fit(&self, w: &Matrix) -> GridWeight {
        let migrated = scale_columns(w, &self.shape);
        match &self.inverse {
            Some(inverse) => fit_compensated(&migrated, inverse, &self.used, self.format),
            None => fit(&migrated, &self.power, &self.used, self.format),
        }
    }
}

/// [`crate::transform::choose_shape`] with the migration asked for and one format.
pub(super) fn choose_shape(
    channels: &Channels,
    weights: &[&Matrix],
    codes: f32,
    format: WeightFormat,
    options: &Options,
) -> Vec<f32> {
    let readers: Vec<_> = weights.iter().map(|w| (*w, format)).collect();
    crate::transform::choose_shape(channels, &readers, codes, options.migration)
}

/// Lays a per-column vector out per head with a stride of `head_dim` rounded up to 32.
pub(super) fn spread<T: Copy>(v: &[T], head_dim: usize, fill: T) -> Vec<T> {
    let tail = head_dim.next_multiple_of(GROUP) - head_dim;
    let each =
        v.chunks_exact(head_dim).flat_map(|h| h.iter().copied().chain(std::iter::repeat_n(fill, tail)));
    each.collect()
}

/// Lays a `[n, n]` Gram matrix out per head; padding columns get a unit diagonal.
pub(super) fn spread_gram(gram: &[f32], head_dim: usize, width: usize) -> Vec<f32> {
    if gram.is_empty() {
        return Vec::new();
    }
    let rows: Vec<&[f32]> = gram.chunks_exact(width).collect();
    let index: Vec<usize> = (0..width).collect();
    let places = spread(&index, head_dim, usize::MAX);
    let n = places.len();
    let mut out = vec![0.0f32; n * n];
    for (i, (row, place)) in out.chunks_exact_mut(n).zip(&places).enumerate() {
        match rows.get(*place) {
            Some(source) => row.copy_from_slice(&spread(source, head_dim, 0.0)),
            None => row[i] = 1.0,
        }
    }
    out
}
