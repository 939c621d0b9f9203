//! Cases of MATW, MATK and MATV.

use accllm_hw::beat::WeightFormat;
use accllm_hw::config::{COLS, GROUP, MACS};
use accllm_hw::isa::{FLAG_WIDE, Instr};

use super::super::Constant;
use super::cache::{Keys, Values};
use super::place::Builder;
use super::weights::Weights;

pub(super) fn matw(b: &mut Builder) -> Instr {
    let config = b.config;
    let format = b.pick(&WeightFormat::ALL);
    let tokens = b.range(1, config.lane_rows.min(12));
    let (rows, cols) = (b.range(1, 40 * config.channels), b.range(1, 1200));
    let weights = Weights::random(&mut b.rng, format, rows, cols);
    let mut streams = weights.streams(&config);
    if b.chance(20) {
        // Beats of noise: every pattern, every scale, every parameter.
        for byte in streams.iter_mut().flatten().flatten() {
            *byte = b.rng.next_u64() as u8;
        }
    }
    let k = weights.beats_per_row();
    let (word, x) = b.act(tokens, k * format.columns());
    if b.chance(25) {
        let extreme = b.pick(&[i8::MIN, i8::MAX]);
        b.state.act_mut().fill(extreme);
    }
    let n = weights.steps(&config);
    let outputs = n * config.channels;
    let stride = (outputs + b.range(0, 40)).next_multiple_of(config.vec);
    Instr {
        flags: format.code(),
        a: b.streams(&streams),
        b: word,
        c: b.room(stride * (tokens - 1) + outputs),
        n: n as u16,
        m: tokens as u16,
        k: k as u16,
        x,
        aux: stride as u32,
        ..Default::default()
    }
}

pub(super) fn matk(b: &mut Builder) -> Instr {
    let config = b.config;
    let hdp = b.attention();
    let row = b.constant(Constant::ScoreRow);
    let rows = b.range(1, config.lane_rows.min(config.sbuf / row * config.lanes).min(12));
    let step = config.channels * config.tokens_per_beat(hdp);
    let slots = step * b.range(1, b.constant(Constant::Ring) / step);
    let keys = Keys::random(&mut b.rng, hdp, slots);
    let columns = MACS.max(hdp);
    let (word, _) = b.act(rows, columns);
    for r in 0..rows {
        let q: Vec<i8> = (0..hdp).map(|_| b.signed(8).max(-127) as i8).collect();
        for col in 0..columns {
            b.set_act(word as usize, r, col, q[col % hdp]);
        }
    }
    let first = b.range(0, config.scalars - rows);
    for r in 0..rows {
        b.state.scalars_mut()[first + r].q_sum = b.signed(16).clamp(-32512, 32512) as i16;
    }
    let sink_pad = b.constant(Constant::SinkPad);
    Instr {
        a: b.streams(&keys.streams(&config)),
        b: word,
        c: if b.chance(50) { 0 } else { sink_pad as u32 },
        n: (slots / step) as u16,
        m: rows as u16,
        aux: first as u32,
        ..Default::default()
    }
}

pub(super) fn matv(b: &mut Builder) -> Instr {
    let config = b.config;
    let dims = config.v_dim(b.range(8, 128));
    let wide = b.chance(50);
    let rows = b.range(1, (config.lane_rows >> u32::from(wide)).min(12));
    let blocks = b.range(1, 9);
    let values = Values::random(&mut b.rng, dims, blocks * GROUP);
    let (word, x) = b.act(rows << u32::from(wide), blocks * MACS);
    for r in 0..rows << u32::from(wide) {
        for block in 0..blocks {
            let word = word as usize + block / 2 * usize::from(x);
            let p: Vec<i8> = (0..GROUP).map(|_| b.signed(8) as i8).collect();
            for col in 0..MACS {
                b.set_act(word, r, block * MACS % COLS + col, p[col % GROUP]);
            }
        }
    }
    let stride = dims + b.range(0, 3) * config.vec;
    Instr {
        flags: if wide { FLAG_WIDE } else { 0 },
        a: b.streams(&values.streams(&config)),
        b: word,
        c: b.room(stride * (rows - 1) + dims),
        n: blocks as u16,
        m: rows as u16,
        k: blocks as u16,
        sh: (dims / (4 * config.channels)) as u8,
        x,
        aux: stride as u32,
        ..Default::default()
    }
}
