//! Biases of a layer's linears.

use super::Matrix;
use super::ops::{add, linear};
use accllm_hw::sizes::Linear;
use std::ops::{Index, IndexMut};

/// What each of [`Linear::LAYER`] adds to its outputs, `[rows]`; empty where it adds nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Biases([Vec<f32>; 7]);

impl Biases {
    /// Each with its linear, those that are there.
    pub fn iter(&self) -> impl Iterator<Item = (Linear, &[f32])> {
        Linear::LAYER.into_iter().zip(&self.0).filter(|(_, b)| !b.is_empty()).map(|(l, b)| (l, b.as_slice()))
    }
}

impl Index<Linear> for Biases {
    type Output = Vec<f32>;

    /// Panics for the head, which has none.
    fn index(&self, linear: Linear) -> &Vec<f32> {
        &self.0[linear as usize]
    }
}

impl IndexMut<Linear> for Biases {
    fn index_mut(&mut self, linear: Linear) -> &mut Vec<f32> {
        &mut self.0[linear as usize]
    }
}

/// `y = x W^T + bias` for `x` of `[tokens, w.cols]`; without a bias where it is empty.
pub fn affine(x: &[f32], w: &Matrix, bias: &[f32]) -> Vec<f32> {
    let mut y = linear(x, w);
    if !bias.is_empty() {
        y.chunks_exact_mut(bias.len()).for_each(|row| add(row, bias));
    }
    y
}

/// Changes the rows of a linear: those of its weight, and its bias as one more column of it.
pub fn on_rows(w: &mut Matrix, bias: &mut Vec<f32>, change: impl Fn(&mut Matrix)) {
    change(w);
    if !bias.is_empty() {
        let mut column = Matrix { rows: bias.len(), cols: 1, data: std::mem::take(bias) };
        change(&mut column);
        *bias = column.data;
    }
}
