//! Matrix instructions against sums over the logical matrices.

use super::testgen::{Keys, Values, Weights};
use super::*;
use crate::memory::Rng;
use accllm_hw::beat::WeightFormat;
use accllm_hw::isa::FLAG_WIDE;
use accllm_hw::sizes::PADDED_HEADS;
use proptest::prelude::*;

/// Random inputs of a linear layer: int8 codes, and an exponent for each block of 256 columns.
struct Inputs {
    x: Vec<i32>,
    exponents: Vec<u8>,
    cols: usize,
    tokens: usize,
    /// Blocks of a token.
    blocks: usize,
}

impl Inputs {
    fn random(rng: &mut Rng, cols: usize, tokens: usize, blocked: bool) -> Self {
        let (min, max) = (-128, 127);
        let x = (0..tokens * cols).map(|_| match rng.range(0, 9) {
            0 => min,
            1 => max,
            _ => (rng.range(0, (max - min) as u64) as i32) + min,
        });
        let (x, blocks) = (x.collect(), cols.div_ceil(256));
        let exponent = |_| if blocked { rng.range(0, 8) as u8 } else { 0 };
        Self { x, exponents: (0..tokens * blocks).map(exponent).collect(), cols, tokens, blocks }
    }

    /// Puts them into the activation buffer from the word `base` on, columns `stride` words apart.
    fn load(&self, golden: &mut Golden, lanes: usize, base: usize, stride: usize) {
        // Stale values beyond the last group of 32 columns meet scales of 0; inside it there are zeros.
        golden.state.act_mut().fill(-77);
        for (i, &e) in self.exponents.iter().enumerate() {
            let (t, word) = (i / self.blocks, base + i % self.blocks * stride + i / self.blocks / lanes);
            golden.state.exponents_mut()[word * lanes + t % lanes] = e;
        }
        for t in 0..self.tokens {
            for c in 0..self.cols.next_multiple_of(32) {
                let v = if c < self.cols { self.x[t * self.cols + c] } else { 0 };
                let word = base + c / 256 * stride + t / lanes;
                let index = golden.state.act_index(word, t % lanes, c % 256);
                golden.state.act_mut()[index] = v as i8;
            }
        }
    }

    /// Output `r` of token `t`, from the logical matrix.
    fn output(&self, weights: &Weights, t: usize, r: usize) -> i32 {
        if r >= weights.rows {
            return 0;
        }
        let term = |c: usize| {
            let group = r * self.cols.div_ceil(32) + c / 32;
            let x = i128::from(self.x[t * self.cols + c]) << self.exponents[t * self.blocks + c / 256];
            let offset = if weights.format == WeightFormat::W4 { weights.offsets[group] } else { 0 };
            let weight = i32::from(weights.levels[r * self.cols + c]) * i32::from(weights.scales[group]);
            x * i128::from(weight + 4 * i32::from(offset))
        };
        let sum: i128 = (0..self.cols).map(term).sum();
        clamp(round(sum * i128::from(weights.mult[r]), weights.shift[r]), i32::MIN.into(), i32::MAX.into())
    }
}

fn linear(
    config: &Config,
    seed: u64,
    format: WeightFormat,
    rows: usize,
    cols: usize,
    tokens: usize,
    blocked: bool,
) {
    let mut rng = Rng::new(seed);
    let weights = Weights::random(&mut rng, format, rows, cols);
    let inputs = Inputs::random(&mut rng, cols, tokens, blocked);
    let mut golden = Golden::with_limits(config, Limits::open(1 << 20, 0));
    let mut image = Image::new(config.channels);
    for (c, beats) in weights.streams(config).iter().enumerate() {
        image.put(Port::Channel(c), 1000, beats).unwrap();
    }
    let (base, stride) = (5, config.lane_steps(tokens) + 1);
    inputs.load(&mut golden, config.lanes, base, stride);
    let steps = rows.div_ceil(config.channels);
    let token_stride = (steps * config.channels).next_multiple_of(config.vec);
    let instr = Instr {
        flags: format.code(),
        a: 1000,
        b: base as u32,
        c: 64,
        n: steps as u16,
        m: tokens as u16,
        k: weights.beats_per_row() as u16,
        x: stride as u8,
        aux: token_stride as u32,
        ..instr(Op::MATW)
    };
    golden.run(&Program::from_instrs(&[instr, end()]), [0; 15], &mut image, &mut Silent).unwrap();
    for t in 0..tokens {
        for r in 0..steps * config.channels {
            let want = inputs.output(&weights, t, r);
            assert_eq!(golden.state.vmem()[64 + t * token_stride + r], want, "token {t}, row {r}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn matw_is_the_scaled_matrix_product(
        seed: u64, format in 0usize..3, rows in 1usize..90, cols in 1usize..900, tokens in 1usize..5, blocked: bool, big: bool,
    ) {
        linear(&CONFIGS[usize::from(big)], seed, WeightFormat::ALL[format], rows, cols, tokens, blocked);
    }
}

#[test]
fn matw_over_many_threads() {
    for format in WeightFormat::ALL {
        linear(&CONFIGS[2], 3, format, 3000, 700, 2, false);
    }
}

#[test]
fn matw_by_hand() {
    // One channel row of one 2:4 beat: group 0 keeps columns 1 and 3 with levels -2 and +2, scale 3.
    let mut image = Image::new(2);
    let mut levels = [0i8; 256];
    (levels[1], levels[3]) = (-2, 2);
    let beat = accllm_hw::beat::pack_w2s(&levels, &[3, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    let mut params = [0u8; 64];
    params[..3].copy_from_slice(&[5, 0, 1]);
    image.put(Port::Channel(1), 0, &[params, beat]).unwrap();
    let mut golden = Golden::with_limits(tiny(), Limits::open(2, 0));
    golden.state.act_mut()[1] = 10;
    golden.state.act_mut()[3] = -7;
    let i = Instr { n: 1, m: 1, k: 1, x: 1, ..instr(Op::MATW) };
    golden.run(&Program::from_instrs(&[i, end()]), [0; 15], &mut image, &mut Silent).unwrap();
    // (10 * -2 + -7 * 2) * 3 = -102; -102 * 5 / 2 = -255.
    assert_eq!(golden.state.vmem()[..2], [0, -255]);
}

fn scores(config: &Config, seed: u64, hdp: usize, steps: usize, rows: usize) {
    let mut rng = Rng::new(seed);
    let slots = steps * config.channels * config.tokens_per_beat(hdp);
    let keys = Keys::random(&mut rng, hdp, slots);
    let mut golden = Golden::with_limits(config, Limits::open(1 << 20, 0));
    let mut image = Image::new(config.channels);
    for (c, beats) in keys.streams(config).iter().enumerate() {
        image.put(Port::Channel(c), 77, beats).unwrap();
    }
    let row_len = slots.next_multiple_of(64) + 64;
    golden.state.set_constant(Constant::Hdp, hdp as u32);
    golden.state.set_constant(Constant::ScoreRow, row_len as u32);
    let q: Vec<i8> = (0..rows * hdp).map(|_| rng.range(0, 254) as i8).collect();
    for (i, &v) in q.iter().enumerate() {
        let (r, d) = (i / hdp, i % hdp);
        for copy in 0..config.tokens_per_beat(hdp) {
            let index = golden.state.act_index(9 + r / config.lanes, r % config.lanes, copy * hdp + d);
            golden.state.act_mut()[index] = v;
        }
    }
    for r in 0..rows {
        golden.state.scalars_mut()[3 + r].q_sum = q[r * hdp..][..hdp].iter().map(|&v| i16::from(v)).sum();
    }
    let i = Instr { a: 77, b: 9, c: 64, n: steps as u16, m: rows as u16, aux: 3, ..instr(Op::MATK) };
    golden.run(&Program::from_instrs(&[i, end()]), [0; 15], &mut image, &mut Silent).unwrap();
    for r in 0..rows {
        for w in 0..slots {
            let (scale, base) = (i64::from(keys.params[w].0), i64::from(keys.params[w].1));
            // Against the dequantized key, base + scale * code: the base times every query element.
            let want: i64 = (0..hdp)
                .map(|d| i64::from(q[r * hdp + d]) * (base + scale * i64::from(keys.codes[w * hdp + d])))
                .sum();
            let index = golden.state.score_index(r / config.lanes * row_len + 64 + w, r % config.lanes);
            assert_eq!(i64::from(golden.state.score()[index]), want, "row {r}, slot {w}");
        }
    }
}

fn sums(config: &Config, seed: u64, dims: usize, blocks: usize, rows: usize, wide: bool) {
    let mut rng = Rng::new(seed);
    let dims = config.v_dim(dims);
    let slots = 32 * blocks;
    let values = Values::random(&mut rng, dims, slots);
    let mut golden = Golden::with_limits(config, Limits::open(1 << 20, 0));
    let mut image = Image::new(config.channels);
    for (c, beats) in values.streams(config).iter().enumerate() {
        image.put(Port::Channel(c), 5, beats).unwrap();
    }
    let top = if wide { 32639 } else { 127 };
    let p: Vec<i32> = (0..rows * slots).map(|_| rng.range(0, top) as i32).collect();
    let (halves, x) = (1 + usize::from(wide), config.lane_steps(rows * 2));
    for (i, &v) in p.iter().enumerate() {
        let (r, slot) = (i / slots, i % slots);
        let parts = if wide { [(v + 128) / 256, (v + 128) % 256 - 128] } else { [v, 0] };
        for (h, part) in parts.into_iter().take(halves).enumerate() {
            let row = r * halves + h;
            for g in 0..4 {
                let col = slot / 32 % 2 * 128 + 32 * g + slot % 32;
                let word = 2 + slot / 64 * x + row / config.lanes;
                let index = golden.state.act_index(word, row % config.lanes, col);
                golden.state.act_mut()[index] = part as i8;
            }
        }
    }
    let i = Instr {
        flags: if wide { FLAG_WIDE } else { 0 },
        a: 5,
        b: 2,
        c: 64,
        n: blocks as u16,
        m: rows as u16,
        k: blocks as u16,
        sh: (dims / 4 / config.channels) as u8,
        x: x as u8,
        aux: dims as u32,
        ..instr(Op::MATV)
    };
    golden.run(&Program::from_instrs(&[i, end()]), [0; 15], &mut image, &mut Silent).unwrap();
    for r in 0..rows {
        for d in 0..dims {
            let want: i32 =
                (0..slots).map(|s| p[r * slots + s] * i32::from(values.codes[s * dims + d])).sum();
            assert_eq!(golden.state.vmem()[64 + r * dims + d], want, "row {r}, dim {d}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn matk_is_the_product_with_dequantized_keys(seed: u64, width in 0usize..3, steps in 1usize..40, rows in 1usize..9, c in 0usize..3) {
        scores(&CONFIGS[c], seed, PADDED_HEADS[width], steps, rows);
    }

    #[test]
    fn matv_is_the_weighted_sum(seed: u64, dims in 1usize..257, blocks in 1usize..12, rows in 1usize..9, wide: bool, c in 0usize..3) {
        sums(&CONFIGS[c], seed, dims, blocks, rows, wide);
    }
}
