//! Dense kernels of the float reference. Each output element is computed by one thread in a fixed order,
//! so results do not depend on the number of threads.

use super::Matrix;
use crate::simd::{Simd, versions};
use ndarray::{ArrayView2, ArrayViewMut2, s};
use rayon::prelude::*;

/// Rows per parallel block: large, because each block packs the whole other operand.
const BLOCK: usize = 128;

/// Whole rows of `columns` values as a matrix.
pub fn view(data: &[f32], columns: usize) -> ArrayView2<'_, f32> {
    let rows = data.len() / columns.max(1);
    match ArrayView2::from_shape((rows, columns), data) {
        Ok(view) => view,
        Err(e) => {
            unreachable!("callers have whole rows, not {} values of {columns} columns: {e}", data.len())
        }
    }
}

/// As [`view`], to be written.
pub fn view_mut(data: &mut [f32], columns: usize) -> ArrayViewMut2<'_, f32> {
    let (rows, all) = (data.len() / columns.max(1), data.len());
    match ArrayViewMut2::from_shape((rows, columns), data) {
        Ok(view) => view,
        Err(e) => unreachable!("callers have whole rows, not {all} values of {columns} columns: {e}"),
    }
}

/// `out = a b * scale`, or `out += a b * scale`, on one thread. The order of the sums depends on the sizes alone.
pub fn product(
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    scale: f32,
    mut out: ArrayViewMut2<'_, f32>,
    add: bool,
) {
    let ((m, k), n) = (a.dim(), b.ncols());
    assert!(b.nrows() == k && out.dim() == (m, n), "{:?} = {:?} x {:?}", out.dim(), a.dim(), b.dim());
    let ([a_row, a_column], [b_row, b_column]) =
        ([a.strides()[0], a.strides()[1]], [b.strides()[0], b.strides()[1]]);
    let (row, column) = (out.strides()[0], out.strides()[1]);
    let before = if add { 1.0 } else { 0.0 };
    // SAFETY: a view holds every element that its sizes and strides name, and the sizes fit, as just checked; `out` is
    // borrowed mutably, so that nothing else is in it.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            column,
            row,
            add,
            a.as_ptr(),
            a_column,
            a_row,
            b.as_ptr(),
            b_column,
            b_row,
            before,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// [`product`] on all threads, as rows of their own.
pub fn matrix_product(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Vec<f32> {
    let n = b.ncols();
    let mut out = vec![0.0f32; a.nrows() * n];
    out.par_chunks_mut(BLOCK * n.max(1)).enumerate().for_each(|(block, out)| {
        let (first, rows) = (block * BLOCK, out.len() / n);
        product(a.slice(s![first..first + rows, ..]), b, 1.0, view_mut(out, n), false);
    });
    out
}

/// `y = x W^T` for `x` of `[tokens, w.cols]`; returns `[tokens, w.rows]`.
pub fn linear(x: &[f32], w: &Matrix) -> Vec<f32> {
    match x.len() / w.cols < 2 * BLOCK {
        true => linear_of_few(x, w),
        false => matrix_product(view(x, w.cols), w.view().t()),
    }
}

/// [`linear`] of few tokens: in parallel over the weight's rows, so that each is read once.
fn linear_of_few(x: &[f32], w: &Matrix) -> Vec<f32> {
    let tokens = x.len() / w.cols;
    let mut by_row = vec![0.0f32; tokens * w.rows];
    let parts = by_row.par_chunks_mut(BLOCK * tokens.max(1)).zip(w.data.par_chunks(BLOCK * w.cols));
    parts.for_each(|(y, rows)| {
        product(view(rows, w.cols), view(x, w.cols).t(), 1.0, view_mut(y, tokens), false);
    });
    let mut y = vec![0.0f32; tokens * w.rows];
    // A cache line of each token at a time.
    for (tile, rows) in by_row.chunks(16 * tokens.max(1)).enumerate() {
        for t in 0..tokens {
            let line = y[t * w.rows + 16 * tile..].iter_mut().take(16);
            line.zip(rows[t..].iter().step_by(tokens)).for_each(|(y, v)| *y = *v);
        }
    }
    y
}

/// `gram += x^T x` for `x` of `[rows, width]`; `gram` is `[width, width]` and symmetric.
pub fn add_gram(gram: &mut [f32], x: &[f32], width: usize) {
    let x = view(x, width);
    // Blocks on the diagonal and right of it; the others are their mirror images.
    gram.par_chunks_mut(BLOCK * width).enumerate().for_each(|(block, out)| {
        let (first, rows) = (block * BLOCK, out.len() / width);
        let out = view_mut(out, width).slice_move(s![.., first..]);
        product(x.slice(s![.., first..first + rows]).t(), x.slice(s![.., first..]), 1.0, out, true);
    });
    for i in 0..width {
        for j in 0..i / BLOCK * BLOCK {
            gram[i * width + j] = gram[j * width + i];
        }
    }
}

/// RMSNorm of each row: `x / sqrt(mean(x^2) + eps) * gain`.
pub fn rms_norm(x: &[f32], gain: &[f32], eps: f64) -> Vec<f32> {
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
pub fn silu_mul(gate: &[f32], up: &[f32]) -> Vec<f32> {
    /// Elements per parallel part.
    const PART: usize = 1 << 14;
    let mut h = vec![0.0f32; gate.len()];
    let parts = h.par_chunks_mut(PART).zip(gate.par_chunks(PART).zip(up.par_chunks(PART)));
    parts.for_each(|(h, (gate, up))| silu_mul_part(Simd::best(), gate, up, h));
    h
}

versions! {
    fn silu_mul_part(gate: &[f32], up: &[f32], h: &mut [f32]) {
        for ((g, u), h) in gate.iter().zip(up).zip(h) {
            *h = g / (1.0 + exp(-g)) * u;
        }
    }
}

versions! {
    /// Softmax in place.
    pub fn softmax(p: &mut [f32]) {
        let mut largest = [f32::NEG_INFINITY; 16];
        for part in p.chunks(16) {
            for (m, x) in largest.iter_mut().zip(part) {
                *m = if *x > *m { *x } else { *m };
            }
        }
        let max = largest.into_iter().fold(f32::NEG_INFINITY, f32::max);
        // Sixteen sums in a fixed order, so that the compiler can compute them side by side.
        let mut sums = [0.0f32; 16];
        for part in p.chunks_mut(16) {
            for (s, x) in sums.iter_mut().zip(part) {
                *x = exp(*x - max);
                *s += *x;
            }
        }
        let scale = 1.0 / sums.iter().sum::<f32>();
        for x in p {
            *x *= scale;
        }
    }
}

versions! {
    /// Adds `b * factor` to `a`.
    pub fn add_scaled(a: &mut [f32], b: &[f32], factor: f32) {
        for (x, y) in a.iter_mut().zip(b) {
            *x += y * factor;
        }
    }
}

/// `e^x` to 2e-7 (relative) for x from -87 to 88, the ends beyond; by the same operations on every computer.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Adding it rounds to a whole number, which is then in the low bits.
    const ROUND: f32 = (3u32 << 22) as f32;
    // ln 2 in two parts; the first has few bits, so that its product is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2[0] - n * LN_2[1];
    let mut p = 1.0 / 5040.0;
    for c in [720.0f32, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        p = p * r + 1.0 / c;
    }
    let power = (shifted.to_bits().wrapping_add(127) & 0xff) << 23;
    p * f32::from_bits(power)
}

/// Adds `b` to `a`.
pub fn add(a: &mut [f32], b: &[f32]) {
    for (x, y) in a.iter_mut().zip(b) {
        *x += y;
    }
}

/// Dot product in sixteen fixed lanes.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    for (a, b) in a.chunks(16).zip(b.chunks(16)) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(l, (a, b))| *l += a * b);
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_exact_enough() {
        for i in -86_000..88_000 {
            let x = i as f32 * 0.001;
            let want = f64::from(x).exp();
            assert!((f64::from(exp(x)) / want - 1.0).abs() < 3e-7, "{x}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37 && exp(1e9) > 1e38 && exp(f32::NAN).is_nan());
    }

    #[test]
    fn versions_agree() {
        let x: Vec<f32> = (0..1001).map(|i| ((i * 7919) % 1001) as f32 * 0.02 - 9.0).collect();
        let run = |simd| {
            let (mut p, mut h) = (x.clone(), x.clone());
            softmax(simd, &mut p);
            silu_mul_part(simd, &x, &p, &mut h);
            (p, h)
        };
        for simd in Simd::all() {
            assert_eq!(run(Simd::Portable), run(simd), "{simd:?}");
        }
    }

    #[test]
    fn sums_of_outer_products() {
        let (rows, width) = (5, 2 * BLOCK + 3);
        let x: Vec<f32> = (0..rows * width).map(|i| ((i * 37) % 23) as f32 - 11.0).collect();
        let mut gram = vec![1.0f32; width * width];
        add_gram(&mut gram, &x, width);
        for i in 0..width {
            for j in 0..width {
                let sum: f32 = x.chunks(width).map(|row| row[i] * row[j]).sum();
                assert_eq!(gram[i * width + j], 1.0 + sum, "[{i}][{j}]");
            }
        }
    }

    #[test]
    fn products_of_strided_matrices() {
        let x: Vec<f32> = (0..600).map(|i| ((i * 37) % 23) as f32 - 11.0).collect();
        let (m, k, n) = (5, 7, 6);
        let (forty, thirty) = (view(&x, 40), view(&x, 30));
        let (a, b) = (forty.slice(s![..5, 3..17;2]), thirty.slice(s![3..9, 10..29;3]));
        let mut out = vec![1.0f32; 5 * 9];
        product(a, b.t(), 0.5, view_mut(&mut out, 9).slice_move(s![.., ..6]), true);
        for i in 0..m {
            for j in 0..n {
                let sum: f32 = (0..k).map(|l| x[3 + i * 40 + l * 2] * x[100 + l * 3 + j * 30]).sum();
                assert_eq!(out[i * 9 + j], 1.0 + 0.5 * sum);
            }
            assert!(out[i * 9 + n..].iter().take(3).all(|v| *v == 1.0));
        }
    }

    #[test]
    #[should_panic(expected = "(2, 2) = (2, 3) x (2, 3)")]
    fn sizes_that_do_not_fit_are_refused() {
        let (x, mut out) = ([0.0; 6], [0.0; 4]);
        product(view(&x, 3), view(&x, 3), 1.0, view_mut(&mut out, 2), false);
    }
}
