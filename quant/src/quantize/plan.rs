//! How the weights that read one tensor are quantized: what is known of the tensor, and the fit.

use super::calibrate::Channels;
use super::compensate::{Inverse, fit_compensated};
use super::grid::GridWeight;
use super::levels::fit;
use crate::float::Matrix;
use crate::model::{GROUP, WeightFormat};

/// What the fits of all weights that read one tensor share.
pub(super) struct Plan {
    /// Mean square of the input channels.
    power: Vec<f32>,
    used: Vec<bool>,
    inverse: Option<Inverse>,
}

impl Plan {
    /// For an input as it was before `shape` moved into the weights.
    pub fn new(x: &Channels, shape: &[f32]) -> Self {
        let mut gram = x.gram.clone();
        for (row, s) in gram.chunks_exact_mut(shape.len().max(1)).zip(shape) {
            row.iter_mut().zip(shape).for_each(|(v, t)| *v /= s * t);
        }
        Self {
            power: x.power().iter().zip(shape).map(|(p, s)| p / (s * s)).collect(),
            used: vec![true; shape.len()],
            inverse: if gram.is_empty() { None } else { Inverse::new(&gram, shape.len()) },
        }
    }

    /// The same for heads with a stride of `head_dim` rounded up to 32.
    pub fn per_head(x: &Channels, shape: &[f32], head_dim: usize) -> Self {
        let spread_channels = Channels {
            max: spread(&x.max, head_dim, 0.0),
            squares: spread(&x.squares, head_dim, 0.0),
            gram: spread_gram(&x.gram, head_dim, shape.len()),
            rows: x.rows,
            kept: Vec::new(),
        };
        let used = spread(&vec![true; shape.len()], head_dim, false);
        Self { used, ..Self::new(&spread_channels, &spread(shape, head_dim, 1.0)) }
    }

    /// The grid of `w`.
    pub fn fit(&self, w: &Matrix, format: WeightFormat) -> GridWeight {
        match &self.inverse {
            Some(inverse) => fit_compensated(w, inverse, &self.used, format),
            None => fit(w, &self.power, &self.used, format),
        }
    }
}

/// Lays a per-column vector out per head with a stride of `head_dim` rounded up to 32.
pub(super) fn spread<T: Copy>(v: &[T], head_dim: usize, fill: T) -> Vec<T> {
    let tail = head_dim.next_multiple_of(GROUP) - head_dim;
    let each =
        v.chunks_exact(head_dim).flat_map(|h| h.iter().copied().chain(std::iter::repeat_n(fill, tail)));
    each.collect()
}

/// Lays a `[n, n]` Gram matrix out per head; padding columns get a unit diagonal.
fn spread_gram(gram: &[f32], head_dim: usize, width: usize) -> Vec<f32> {
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
