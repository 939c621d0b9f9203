//! Integer matrix product with row requantization.

use super::kernel::{self, HEADS, ROWS, Row, Simd, TOKENS, quantize_blocks, requant_lanes};
use super::pack::Packed;
use crate::model::GROUP;
use accllm_hw::beat::OFFSET_SHIFT;
use accllm_hw::config::COLS;
use rayon::prelude::*;
use std::ops::Range;

/// Groups whose products are summed in 32 bits: 4096 columns, 4096 * 128 * 2552 < 2^31.
const CHUNK: usize = 4096 / GROUP;
/// Products below which a second thread does not pay.
const SMALL: usize = 1 << 17;

/// Activations of some tokens, padded to the columns of a linear.
pub(super) struct Acts {
    width: usize,
    /// `[tokens, width]`.
    codes: Vec<i8>,
    /// `[tokens, width / 32]`: -8 times the sum of a group.
    offset: Vec<i32>,
    /// Its two parts, `[tokens, width / 32]`; see [`Row::pairs`].
    pairs: Vec<i32>,
    /// What offsets are multiplied by, 4 times the sum of a group: `[tokens, width / 32, made even]`.
    sums: Vec<i16>,
    /// Exponents of the blocks of [`COLS`] columns, where there are any: `[tokens, blocks]`.
    exponents: Option<Vec<u8>>,
}

impl Acts {
    /// int8 activations of `tokens` tokens and `cols` columns, each token's row made by `fill`.
    pub fn narrow(tokens: usize, cols: usize, mut fill: impl FnMut(usize, &mut [i8])) -> Self {
        let width = cols.next_multiple_of(GROUP);
        let mut codes = vec![0i8; tokens * width];
        let (mut offset, mut pairs, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        for (t, row) in codes.chunks_exact_mut(width).enumerate() {
            fill(t, &mut row[..cols]);
            for group in row.chunks_exact(GROUP) {
                let half = |at: usize| -> i32 {
                    group.chunks_exact(4).map(|four| i32::from(four[at]) + i32::from(four[at + 1])).sum()
                };
                // At most 16 * 128 each.
                let (a, b) = (half(0), half(2));
                offset.push(-8 * (a + b));
                pairs.push(((-8 * a) & 0xffff) | (-8 * b) << 16);
                sums.push(((a + b) << OFFSET_SHIFT) as i16);
            }
            sums.resize(sums.len().next_multiple_of(2), 0);
        }
        Self { width, codes, offset, pairs, sums, exponents: None }
    }

    /// Quantizes 20-bit values `[tokens, cols]`, with an exponent for each token and block.
    pub fn blocks(simd: Simd, x: &[i32], cols: usize) -> Self {
        let tokens = x.len() / cols;
        let blocks = cols.div_ceil(COLS);
        let mut exponents = vec![0; tokens * blocks];
        let mut acts = Self::narrow(tokens, cols, |t, codes| {
            let e = &mut exponents[t * blocks..][..blocks];
            quantize_blocks(simd, &x[t * cols..][..cols], COLS, codes, e);
        });
        acts.exponents = Some(exponents);
        acts
    }

    /// Tokens.
    fn tokens(&self) -> usize {
        self.codes.len() / self.width
    }

    /// The codes of each token, `cols` of them, as they are compared.
    pub fn codes(&self, cols: usize) -> Vec<i32> {
        self.codes.chunks_exact(self.width).flat_map(|r| r[..cols].iter().map(|v| i32::from(*v))).collect()
    }

    /// The exponents, as they are compared.
    pub fn exponents(&self) -> Vec<i32> {
        self.exponents.iter().flatten().map(|e| i32::from(*e)).collect()
    }

    /// Of groups `from..to` of a token, made even, what offsets are multiplied by; `from` is even.
    fn sums(&self, t: usize, from: usize, to: usize) -> &[i16] {
        let groups = (self.width / GROUP).next_multiple_of(2);
        &self.sums[t * groups + from..t * groups + to.next_multiple_of(2)]
    }

    /// Groups `from..to` of a token.
    fn row(&self, t: usize, from: usize, to: usize) -> Row<'_> {
        let groups = self.width / GROUP;
        Row {
            codes: &self.codes[t * self.width + from * GROUP..t * self.width + to * GROUP],
            offset: &self.offset[t * groups + from..t * groups + to],
            pairs: &self.pairs[t * groups + from..t * groups + to],
        }
    }
}

/// `[tokens, rows]` of `sat32(rs(acc * mult, shift))`; `spread`: over all threads.
pub(super) fn linear(simd: Simd, w: &Packed, x: &Acts, spread: bool) -> Vec<i32> {
    let tokens = x.tokens();
    let threads = if spread { rayon::current_num_threads() } else { 1 };
    let parts = threads.min(tokens * w.rows * w.width / SMALL).clamp(1, w.blocks().max(1));
    let mut y = vec![0i32; tokens * w.rows];
    if parts == 1 {
        rows(simd, w, x, 0..w.blocks(), w.rows, &mut y);
        return y;
    }
    let each = w.blocks().div_ceil(parts);
    let part = |first: usize| {
        let blocks = first..(first + each).min(w.blocks());
        let width = (blocks.end * ROWS).min(w.rows) - first * ROWS;
        let mut y = vec![0i32; tokens * width];
        rows(simd, w, x, blocks, width, &mut y);
        (first * ROWS, width, y)
    };
    let firsts: Vec<usize> = (0..w.blocks()).step_by(each).collect();
    let done: Vec<_> = firsts.into_par_iter().with_max_len(1).map(part).collect();
    for (first, width, part) in done {
        for (y, part) in y.chunks_exact_mut(w.rows).zip(part.chunks_exact(width)) {
            y[first..first + width].copy_from_slice(part);
        }
    }
    y
}

/// Rows of some blocks, into `y` of `[tokens, width]`.
fn rows(simd: Simd, w: &Packed, x: &Acts, blocks: Range<usize>, width: usize, y: &mut [i32]) {
    let first = blocks.start * ROWS;
    for block in blocks {
        let at = block * ROWS - first;
        let n = ROWS.min(width - at);
        for t in (0..x.tokens()).step_by(TOKENS) {
            let acc = accumulate(simd, w, x, block, t);
            let (mult, shift) = w.requant(block);
            for (i, acc) in acc.iter().enumerate().take(x.tokens() - t) {
                let mut out = [0; ROWS];
                requant_lanes(simd, acc, mult, shift, &mut out);
                y[(t + i) * width + at..][..n].copy_from_slice(&out[..n]);
            }
        }
    }
}

/// Exact sums of a block of rows for the tokens from `t` on.
fn accumulate(simd: Simd, w: &Packed, x: &Acts, block: usize, t: usize) -> [[i64; ROWS]; TOKENS] {
    let groups = w.width / GROUP;
    let n = TOKENS.min(x.tokens() - t);
    let step = if x.exponents.is_some() { COLS / GROUP } else { CHUNK };
    let mut acc = [[0i64; ROWS]; TOKENS];
    let mut sum = [[0i32; ROWS]; TOKENS];
    for (part, from) in (0..groups).step_by(step).enumerate() {
        let to = (from + step).min(groups);
        let mut token = [x.row(t, from, to); TOKENS];
        for (i, row) in token.iter_mut().enumerate().take(n).skip(1) {
            *row = x.row(t + i, from, to);
        }
        kernel::tile(simd, w.weights(block, from, to), &token[..n], &mut sum);
        let offsets = w.offsets(block, from, to);
        if !offsets.is_empty() {
            let sums: [&[i16]; TOKENS] =
                std::array::from_fn(|i| if i < n { x.sums(t + i, from, to) } else { &[] });
            for (sums, out) in sums[..n].chunks(HEADS).zip(sum.chunks_mut(HEADS)) {
                kernel::weigh(simd, offsets, sums, out.as_flattened_mut(), ROWS);
            }
        }
        for (i, (acc, sum)) in acc.iter_mut().zip(&sum).enumerate().take(n) {
            let e = x.exponents.as_ref().map_or(0, |e| e[(t + i) * w.width.div_ceil(COLS) + part]);
            kernel::add_scaled(simd, acc, sum, u32::from(e));
        }
    }
    acc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Levels, Weight, WeightFormat};
    use accllm_hw::fixed::{self, requant};
    use proptest::prelude::*;

    fn numbers(seed: u64) -> impl FnMut() -> u64 {
        let mut x = seed | 1;
        move || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            x >> 33
        }
    }

    /// A random linear, with the extremes of levels and scales among its weights.
    fn weights(rows: usize, cols: usize, next: &mut impl FnMut() -> u64) -> Weight {
        let padded = cols.next_multiple_of(32);
        let extreme = next().is_multiple_of(4);
        let level = |v: u64, c: usize| match c < cols {
            false => 0,
            true if extreme => [-8, 7][v as usize % 2],
            true => (v % 16) as i8 - 8,
        };
        let grid = Levels {
            format: WeightFormat::W4,
            rows,
            cols,
            level: (0..rows * padded).map(|i| level(next(), i % padded)).collect(),
            scale: (0..rows * padded / 32).map(|_| if extreme { 255 } else { next() as u8 }).collect(),
            offset: (0..rows * padded / 32).map(|_| if extreme { -128 } else { next() as i8 }).collect(),
        };
        Weight {
            grid,
            mult: (0..rows).map(|_| next() as u16).collect(),
            shift: (0..rows).map(|_| (next() % 64) as u8).collect(),
            bias: Vec::new(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_version_equals_the_plain_sum(
            seed in any::<u64>(), tokens in 1usize..14, cols in 1usize..700,
            (a, b) in (1usize..70, 1usize..40), scaled in any::<bool>(),
        ) {
            let mut next = numbers(seed);
            let linears = [weights(a, cols, &mut next), weights(b, cols, &mut next)];
            let packed = Packed::new(&[&linears[0], &linears[1]]);
            let x: Vec<i32> = (0..tokens * cols).map(|_| match scaled {
                true => ((next() % (1 << 20)) as i32 - (1 << 19)).min(fixed::H_MAX) >> (next() % 16),
                false => if next().is_multiple_of(5) { -128 } else { next() as u8 as i8 as i32 },
            }).collect();
            let fill = |t: usize, out: &mut [i8]| {
                out.iter_mut().zip(&x[t * cols..]).for_each(|(o, v)| *o = *v as i8);
            };
            for simd in Simd::all() {
                let acts = if scaled { Acts::blocks(simd, &x, cols) } else { Acts::narrow(tokens, cols, fill) };
                let (codes, exponents) = (acts.codes(cols), acts.exponents());
                for spread in [false, true] {
                    let y = linear(simd, &packed, &acts, spread);
                    for t in 0..tokens {
                        for r in 0..a + b {
                            let (w, r0) = if r < a { (&linears[0], r) } else { (&linears[1], r - a) };
                            let row: Vec<i16> = w.grid.integer_row(r0).collect();
                            let acc: i64 = (0..cols).map(|c| {
                                let e = exponents.get(t * cols.div_ceil(256) + c / 256).copied().unwrap_or(0);
                                (i64::from(codes[t * cols + c]) * i64::from(row[c])) << e
                            }).sum();
                            prop_assert_eq!(
                                y[t * (a + b) + r],
                                requant(acc, w.mult[r0], u32::from(w.shift[r0])),
                                "{:?} token {} row {}", simd, t, r
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn extreme_rows_do_not_wrap() {
        let cases =
            [(8192, -128, -8, -128), (65504, -128, 7, 127), (65504, 127, -8, -128), (65504, -128, -8, 127)];
        // The sum of the last one times the largest multiplier leaves no room for half a unit of the largest shift.
        let outs = [(1, 20), (u16::MAX, 63), (u16::MAX, 62)];
        for ((cols, x, level, offset), (mult, shift)) in cases.into_iter().flat_map(|c| outs.map(|o| (c, o)))
        {
            let grid = Levels {
                format: WeightFormat::W4,
                rows: 1,
                cols,
                level: vec![level; cols],
                scale: vec![255; cols / 32],
                offset: vec![offset; cols / 32],
            };
            let w = Weight { grid, mult: vec![mult], shift: vec![shift], bias: Vec::new() };
            for simd in Simd::all() {
                let acts = Acts::narrow(7, cols, |_, out| out.fill(x));
                let y = linear(simd, &Packed::new(&[&w]), &acts, false);
                let weight = 255 * i64::from(level) + 4 * i64::from(offset);
                let acc = cols as i64 * i64::from(x) * weight;
                assert_eq!(y, [requant(acc, mult, u32::from(shift)); 7]);
                // With the largest exponent in each block.
                let acts = Acts::blocks(simd, &vec![fixed::H_MIN; 2 * cols], cols);
                let y = linear(simd, &Packed::new(&[&w]), &acts, false);
                let acc = cols as i64 * i64::from(fixed::H_MIN) * weight;
                assert_eq!(y, [requant(acc, mult, u32::from(shift)); 2]);
            }
        }
    }
}
