//! Dense kernels of the float reference. Each output element is computed by one thread in a fixed order,
//! so results do not depend on the number of threads.

use super::Matrix;
use rayon::prelude::*;

/// Rows per parallel block: large, because each block packs the whole other operand.
const BLOCK: usize = 128;

/// `y = x W^T` for `x` of `[tokens, w.cols]`; returns `[tokens, w.rows]`.
pub(crate) fn linear(x: &[f32], w: &Matrix) -> Vec<f32> {
    let tokens = x.len() / w.cols;
    let mut y = vec![0.0f32; tokens * w.rows];
    y.par_chunks_mut(BLOCK * w.rows).zip(x.par_chunks(BLOCK * w.cols)).for_each(|(y, x)| {
        let (m, k, n) = (x.len() / w.cols, w.cols, w.rows);
        // SAFETY: x is m*k, w.data is n*k (read as its transpose) and y is m*n elements, by the chunk sizes
        // above; strides describe exactly those row-major buffers, and y is not aliased.
        unsafe {
            matrixmultiply::sgemm(
                m,
                k,
                n,
                1.0,
                x.as_ptr(),
                k as isize,
                1,
                w.data.as_ptr(),
                1,
                k as isize,
                0.0,
                y.as_mut_ptr(),
                n as isize,
                1,
            );
        }
    });
    y
}

/// `gram += x^T x` for `x` of `[rows, width]`; `gram` is `[width, width]`.
pub(crate) fn add_gram(gram: &mut [f32], x: &[f32], width: usize) {
    let rows = x.len() / width;
    gram.par_chunks_mut(BLOCK * width).enumerate().for_each(|(block, out)| {
        let (first, m) = (block * BLOCK, out.len() / width);
        // SAFETY: reads column block `first..first+m` of x transposed (m x rows, strides 1 and width) and x
        // itself (rows x width), writes out (m x width); all within the slices, and out is not aliased.
        unsafe {
            matrixmultiply::sgemm(
                m,
                rows,
                width,
                1.0,
                x.as_ptr().add(first),
                1,
                width as isize,
                x.as_ptr(),
                width as isize,
                1,
                1.0,
                out.as_mut_ptr(),
                width as isize,
                1,
            );
        }
    });
}

/// RMSNorm of each row: `x / sqrt(mean(x^2) + eps) * gain`.
pub(crate) fn rms_norm(x: &[f32], gain: &[f32], eps: f64) -> Vec<f32> {
    let width = gain.len();
    let mut y = x.to_vec();
    y.par_chunks_mut(width).for_each(|row| {
        let sum: f64 = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
        let r = (1.0 / (sum / width as f64 + eps).sqrt()) as f32;
        for (v, g) in row.iter_mut().zip(gain) {
            *v = *v * r * g;
        }
    });
    y
}

/// `silu(gate) * up`, element by element.
pub(crate) fn silu_mul(gate: &[f32], up: &[f32]) -> Vec<f32> {
    gate.par_iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect()
}

/// Adds `b` to `a`.
pub(crate) fn add(a: &mut [f32], b: &[f32]) {
    for (x, y) in a.iter_mut().zip(b) {
        *x += y;
    }
}

/// Dot product in eight fixed lanes.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (ca, cb) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = ca.remainder().iter().zip(cb.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in ca.zip(cb) {
        for i in 0..8 {
            lanes[i] += x[i] * y[i];
        }
    }
    lanes.iter().sum::<f32>() + rest
}
