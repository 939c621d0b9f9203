//! Integer matrix product with row requantization.

use crate::model::Linear;
use accllm_hw::fixed::{requant, split};
use rayon::prelude::*;

/// Columns whose products are summed in 32 bits: 4096 * 128 * 2040 < 2^31.
const CHUNK: usize = 4096;
/// Weight rows per parallel task.
const ROWS: usize = 32;

/// Activations of a block of tokens, padded to the columns of a linear.
pub(super) struct Acts {
    width: usize,
    low: Vec<i16>,
    /// Upper halves of 16-bit activations.
    high: Option<Vec<i16>>,
}

impl Acts {
    /// int8 activations `[tokens, cols]`.
    pub fn narrow(x: &[i32], cols: usize) -> Self {
        let width = cols.next_multiple_of(crate::model::GROUP);
        Self { width, low: padded(x, cols, width, |v| v as i16), high: None }
    }

    /// 16-bit activations `[tokens, cols]`, split in int8 halves: `x = 256 * high + low`.
    pub fn wide(x: &[i32], cols: usize) -> Self {
        let width = cols.next_multiple_of(crate::model::GROUP);
        let low = padded(x, cols, width, |v| i16::from(split(v).1));
        let high = padded(x, cols, width, |v| i16::from(split(v).0));
        Self { width, low, high: Some(high) }
    }
}

fn padded(x: &[i32], cols: usize, width: usize, f: impl Fn(i32) -> i16) -> Vec<i16> {
    let mut out = vec![0i16; x.len() / cols * width];
    for (row, out) in x.chunks_exact(cols).zip(out.chunks_exact_mut(width)) {
        for (v, o) in row.iter().zip(out) {
            *o = f(*v);
        }
    }
    out
}

/// `[tokens, rows]` of `sat32(rs(acc * mult, shift))`.
pub(super) fn linear(w: &Linear, x: &Acts) -> Vec<i32> {
    let tokens = x.low.len() / x.width;
    let mut by_row = vec![0i32; tokens * w.rows];
    by_row.par_chunks_mut(ROWS * tokens).enumerate().for_each(|(block, out)| {
        let mut weights = Vec::with_capacity(x.width);
        for (i, out) in out.chunks_exact_mut(tokens).enumerate() {
            let r = block * ROWS + i;
            weights.clear();
            weights.extend(w.integer_row(r));
            for (t, y) in out.iter_mut().enumerate() {
                let at = t * x.width..(t + 1) * x.width;
                let mut acc = dot(&weights, &x.low[at.clone()]);
                if let Some(high) = &x.high {
                    acc += dot(&weights, &high[at]) * 256;
                }
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
            level in proptest::collection::vec(-8i8..=7, 3 * 64),
            scale in proptest::collection::vec(any::<u8>(), 3 * 2),
            x in proptest::collection::vec(-32768i32..=32639, 5 * 40),
            mult in any::<u16>(), shift in 0u8..40,
        ) {
            let w = Linear {
                format: WeightFormat::W4, rows: 3, cols: 40, level, scale,
                mult: vec![mult; 3], shift: vec![shift; 3],
            };
            let y = linear(&w, &Acts::wide(&x, 40));
            for t in 0..5 {
                for r in 0..3 {
                    let acc: i64 = (0..40).map(|c| {
                        i64::from(x[t * 40 + c]) * i64::from(w.level[r * 64 + c])
                            * i64::from(w.scale[r * 2 + c / 32])
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
