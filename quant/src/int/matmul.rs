//! Integer matrix product with row requantization.

use crate::model::Linear;
use accllm_hw::config::COLS;
use accllm_hw::fixed::{block_code, block_exponent, requant};
use rayon::prelude::*;

/// Columns whose products are summed in 32 bits, 4096 * 128 * 2040 < 2^31; a multiple of [`COLS`].
const CHUNK: usize = 4096;
/// Weight rows per parallel task.
const ROWS: usize = 32;

/// Activations of a block of tokens, padded to the columns of a linear.
pub(super) struct Acts {
    width: usize,
    codes: Vec<i16>,
    /// Exponents of the blocks of [`COLS`] columns, where there are any: `[tokens, blocks]`.
    exponents: Option<Vec<u8>>,
}

/// Values with an exponent per token and block of [`COLS`] columns.
pub(super) struct Blocks {
    /// `[tokens, cols]`, int8.
    pub codes: Vec<i32>,
    /// `[tokens, blocks]`.
    pub exponents: Vec<i32>,
}

impl Blocks {
    /// Quantizes 16-bit values `[tokens, cols]`.
    pub fn new(x: &[i32], cols: usize) -> Self {
        let blocks = || x.chunks_exact(cols).flat_map(|row| row.chunks(COLS));
        let exponents: Vec<u8> = blocks().map(block_exponent).collect();
        let code = |(block, &e): (&[i32], &u8)| block.iter().map(move |v| block_code(*v, e).into()).collect();
        let codes = blocks().zip(&exponents).flat_map::<Vec<i32>, _>(code).collect();
        Self { codes, exponents: exponents.into_iter().map(i32::from).collect() }
    }
}

impl Acts {
    /// int8 activations `[tokens, cols]`.
    pub fn narrow(x: &[i32], cols: usize) -> Self {
        let width = cols.next_multiple_of(crate::model::GROUP);
        Self { width, codes: padded(x, cols, width), exponents: None }
    }

    /// Activations `[tokens, cols]` with exponents.
    pub fn blocks(x: &Blocks, cols: usize) -> Self {
        let exponents = x.exponents.iter().map(|e| *e as u8).collect();
        Self { exponents: Some(exponents), ..Self::narrow(&x.codes, cols) }
    }
}

fn padded(x: &[i32], cols: usize, width: usize) -> Vec<i16> {
    let mut out = vec![0i16; x.len() / cols * width];
    for (row, out) in x.chunks_exact(cols).zip(out.chunks_exact_mut(width)) {
        for (v, o) in row.iter().zip(out) {
            *o = *v as i16;
        }
    }
    out
}

/// `[tokens, rows]` of `sat32(rs(acc * mult, shift))`.
pub(super) fn linear(w: &Linear, x: &Acts) -> Vec<i32> {
    let tokens = x.codes.len() / x.width;
    let blocks = x.width.div_ceil(COLS);
    let mut by_row = vec![0i32; tokens * w.rows];
    by_row.par_chunks_mut(ROWS * tokens).enumerate().for_each(|(block, out)| {
        let mut weights = Vec::with_capacity(x.width);
        for (i, out) in out.chunks_exact_mut(tokens).enumerate() {
            let r = block * ROWS + i;
            weights.clear();
            weights.extend(w.integer_row(r));
            for (t, y) in out.iter_mut().enumerate() {
                let codes = &x.codes[t * x.width..][..x.width];
                let acc = match &x.exponents {
                    Some(e) => scaled(&weights, codes, &e[t * blocks..][..blocks]),
                    None => dot(&weights, codes),
                };
                *y = requant(acc, w.mult[r], u32::from(w.shift[r]));
            }
        }
    });
    let mut y = vec![0i32; tokens * w.rows];
    for (t, row) in y.chunks_exact_mut(w.rows).enumerate() {
        for (r, y) in row.iter_mut().enumerate() {
            *y = by_row[r * tokens + t];
        }
    }
    y
}

/// Exact dot product of weights and activations with exponents.
fn scaled(w: &[i16], x: &[i16], exponents: &[u8]) -> i64 {
    let blocks = w.chunks(COLS).zip(x.chunks(COLS)).zip(exponents);
    blocks.map(|((w, x), e)| dot(w, x) << e).sum()
}

/// Exact dot product of weights (at most 2040 in magnitude) and int8 activations.
fn dot(w: &[i16], x: &[i16]) -> i64 {
    let chunk = |(w, x): (&[i16], &[i16])| {
        // Wrapping operators only to let the compiler vectorize; see CHUNK for the bound.
        let add = |s: i32, (w, x): (&i16, &i16)| s.wrapping_add(i32::from(*w).wrapping_mul(i32::from(*x)));
        i64::from(w.iter().zip(x).fold(0, add))
    };
    w.chunks(CHUNK).zip(x.chunks(CHUNK)).map(chunk).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WeightFormat;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_plain_sum(
            level in proptest::collection::vec(-8i8..=7, 3 * 544),
            scale in proptest::collection::vec(any::<u8>(), 3 * 17),
            x in proptest::collection::vec(-32768i32..=32639, 5 * 540),
            small in proptest::collection::vec(0u32..16, 5 * 3),
            mult in any::<u16>(), shift in 0u8..40,
        ) {
            let (cols, padded) = (540, 544);
            let w = Linear {
                format: WeightFormat::W4, rows: 3, cols, level, scale,
                mult: vec![mult; 3], shift: vec![shift; 3],
            };
            // Blocks of all magnitudes.
            let x: Vec<i32> =
                x.iter().enumerate().map(|(i, v)| v >> small[i / cols * 3 + i % cols / 256]).collect();
            let h = Blocks::new(&x, cols);
            let y = linear(&w, &Acts::blocks(&h, cols));
            for t in 0..5 {
                let e = &h.exponents[t * 3..][..3];
                for c in 0..cols {
                    let (m, e, v) = (h.codes[t * cols + c], e[c / 256], x[t * cols + c]);
                    prop_assert!((-128..=127).contains(&m) && (m * (1 << e) - v).abs() <= (1 << e) / 2);
                }
                for r in 0..3 {
                    let acc: i64 = (0..cols).map(|c| {
                        (i64::from(h.codes[t * cols + c]) * i64::from(w.level[r * padded + c])
                            * i64::from(w.scale[r * 17 + c / 32])) << e[c / 256]
                    }).sum();
                    prop_assert_eq!(y[t * 3 + r], requant(acc, mult, u32::from(shift)));
                }
            }
        }
    }

    #[test]
    fn extreme_rows_do_not_wrap() {
        let cols = 8192;
        let w = Linear {
            format: WeightFormat::W4,
            rows: 1,
            cols,
            level: vec![-8; cols],
            scale: vec![255; cols / 32],
            mult: vec![1],
            shift: vec![2],
        };
        let y = linear(&w, &Acts::narrow(&vec![-128; cols], cols));
        assert_eq!(y, [(8192i64 * 128 * 2040 / 4) as i32]);
    }
}
