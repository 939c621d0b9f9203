//! Dense kernels of the float reference. Each output element is computed by one thread in a fixed order,
//! so results do not depend on the number of threads.

use super::Matrix;
use crate::simd::{Simd, versions};
use rayon::prelude::*;

/// Rows per parallel block: large, because each block packs the whole other operand.
const BLOCK: usize = 128;

/// A matrix inside a slice: its first element, and the strides of rows and columns.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub data: &'a [f32],
    pub row: usize,
    pub column: usize,
}

impl<'a> View<'a> {
    /// Rows `stride` apart, columns next to each other.
    pub fn rows(data: &'a [f32], stride: usize) -> Self {
        Self { data, row: stride, column: 1 }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        let last = rows.saturating_sub(1) * self.row + columns.saturating_sub(1) * self.column;
        rows * columns == 0 || last < self.data.len()
    }
}

/// Sizes of a matrix product: `m` by `k` times `k` by `n`.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub m: usize,
    pub k: usize,
    pub n: usize,
}

/// Where a product's rows go: the first at the beginning of `data`, the others `stride` apart.
pub(crate) struct RowsMut<'a> {
    pub data: &'a mut [f32],
    pub stride: usize,
}

/// `out = a b * scale`, or `out += a b * scale`, on one thread. The order of the sums depends on the sizes alone.
pub(crate) fn product(size: Extent, a: View<'_>, b: View<'_>, scale: f32, out: RowsMut<'_>, add: bool) {
    let (Extent { m, k, n }, RowsMut { data: out, stride }) = (size, out);
    let whole = View { data: out, row: stride, column: 1 }.holds(m, n);
    assert!(whole && a.holds(m, k) && b.holds(k, n), "a matrix product outside its operands");
    let before = if add { 1.0 } else { 0.0 };
    // SAFETY: all elements that the sizes and strides name are inside the three slices, as just checked; `out` is
    // borrowed mutably, so that nothing else is in it.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            add,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            before,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// [`product`] on all threads, as an `m` by `n` matrix of its own.
pub(crate) fn matrix_product(size: Extent, a: View<'_>, b: View<'_>) -> Vec<f32> {
    let Extent { m, n, .. } = size;
    let mut out = vec![0.0f32; m * n];
    out.par_chunks_mut(BLOCK * n.max(1)).enumerate().for_each(|(block, out)| {
        let a = View { data: a.data.get(block * BLOCK * a.row..).unwrap_or_default(), ..a };
        let size = Extent { m: out.len() / n, ..size };
        product(size, a, b, 1.0, RowsMut { data: out, stride: n }, false);
    });
    out
}

/// `y = x W^T` for `x` of `[tokens, w.cols]`; returns `[tokens, w.rows]`.
pub(crate) fn linear(x: &[f32], w: &Matrix) -> Vec<f32> {
    let tokens = x.len() / w.cols;
    if tokens < 2 * BLOCK {
        return linear_of_few(x, w);
    }
    let size = Extent { m: tokens, k: w.cols, n: w.rows };
    matrix_product(size, View::rows(x, w.cols), View::rows(&w.data, w.cols).t())
}

/// [`linear`] of few tokens: in parallel over the weight's rows, so that each is read once.
fn linear_of_few(x: &[f32], w: &Matrix) -> Vec<f32> {
    let tokens = x.len() / w.cols;
    let mut by_row = vec![0.0f32; tokens * w.rows];
    by_row.par_chunks_mut(BLOCK * tokens.max(1)).zip(w.data.par_chunks(BLOCK * w.cols)).for_each(
        |(y, w_part)| {
            let w_view = View { data: w_part, row: w.cols, column: 1 };
            let transposed = View { data: x, row: 1, column: w.cols };
            let size = Extent { m: w_part.len() / w.cols, k: w.cols, n: tokens };
            product(size, w_view, transposed, 1.0, RowsMut { data: y, stride: tokens }, false);
        },
    );
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
pub(crate) fn add_gram(gram: &mut [f32], x: &[f32], width: usize) {
    let rows = x.len() / width;
    // Blocks on the diagonal and right of it; the others are their mirror images.
    gram.par_chunks_mut(BLOCK * width).enumerate().for_each(|(block, out)| {
        let first = block * BLOCK;
        let right = View { data: x.get(first..).unwrap_or_default(), row: width, column: 1 };
        let size = Extent { m: out.len() / width, k: rows, n: width - first };
        let out = RowsMut { data: &mut out[first..], stride: width };
        product(size, right.t(), right, 1.0, out, true);
    });
    for i in 0..width {
        for j in 0..i / BLOCK * BLOCK {
            gram[i * width + j] = gram[j * width + i];
        }
    }
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
pub(crate) fn exp(x: f32) -> f32 {
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
pub(crate) fn add(a: &mut [f32], b: &[f32]) {
    for (x, y) in a.iter_mut().zip(b) {
        *x += y;
    }
}

/// Dot product in sixteen fixed lanes.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
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
        let a = View { data: &x[3..], row: 40, column: 2 };
        let b = View { data: &x[100..], row: 3, column: 30 };
        let mut out = vec![1.0f32; 5 * 9];
        product(Extent { m, k, n }, a, b, 0.5, RowsMut { data: &mut out, stride: 9 }, true);
        for i in 0..m {
            for j in 0..n {
                let sum: f32 = (0..k).map(|l| x[3 + i * 40 + l * 2] * x[100 + l * 3 + j * 30]).sum();
                assert_eq!(out[i * 9 + j], 1.0 + 0.5 * sum);
            }
            assert!(out[i * 9 + n..].iter().take(3).all(|v| *v == 1.0));
        }
    }
}
