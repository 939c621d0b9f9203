//! Cases of the instructions on heads: rotation, quantization, softmax, attention output.

use accllm_hw::beat::KeyBeats;
use accllm_hw::config::{GROUP, MACS};
use accllm_hw::isa::{FLAG_FINAL, FLAG_WIDE, Instr};
use accllm_hw::sizes::MAX_HEAD_DIM;
use accllm_hw::tables::{Recip, recip};

use super::super::{Constant, Scalar};
use super::cache::{Keys, Values};
use super::place::Builder;

/// Heads of a test.
const HEADS: usize = 6;

pub(super) fn rope(b: &mut Builder) -> Instr {
    let hdp = b.attention();
    let n = b.range(1, HEADS);
    let bits = b.pick(&[14, 16, 18, 32]);
    let table = (0..hdp).map(|_| b.signed(16).clamp(-16384, 16384) as i32).collect::<Vec<_>>();
    let a = b.values(n * hdp, bits);
    let c = if b.chance(50) { a } else { b.room(n * hdp) };
    Instr { a, b: b.put(&table), c, n: n as u16, ..Default::default() }
}

pub(super) fn hadw(b: &mut Builder) -> Instr {
    let n = b.config.vec * b.range(1, 40);
    let a = b.values(n, 18);
    let c = if b.chance(50) { a } else { b.room(n) };
    Instr { a, c, n: n as u16, ..Default::default() }
}

pub(super) fn hadx(b: &mut Builder) -> Instr {
    let half = (b.config.vec << b.range(0, 4)).min(MAX_HEAD_DIM / 2);
    let n = 2 * half * b.range(1, 6);
    let a = b.values(n, 24);
    let c = if b.chance(50) { a } else { b.room(n) };
    let last = b.chance(50);
    let sh = if last { b.range(0, 15) as u8 } else { 0 };
    Instr {
        flags: if last { FLAG_FINAL } else { 0 },
        a,
        c,
        n: n as u16,
        k: half as u16,
        sh,
        ..Default::default()
    }
}

/// A 16-bit head: random, constant, or of two extremes.
fn heads(b: &mut Builder, n: usize, len: usize) -> u32 {
    let mut all = Vec::new();
    for _ in 0..n {
        let constant = b.chance(15).then(|| b.signed(16) as i32);
        let row = b.row(len, 16);
        all.extend(row.iter().map(|&v| constant.unwrap_or(v)));
    }
    b.put(&all)
}

pub(super) fn statk(b: &mut Builder) -> Instr {
    let hdp = b.attention();
    let n = b.range(1, HEADS);
    let c = b.range(0, b.config.scalars - n) as u32;
    Instr { a: heads(b, n, hdp), c, n: n as u16, ..Default::default() }
}

/// Query heads, token and scalars: `(heads, token, first scalar, scalars per KV head)`.
fn query(b: &mut Builder) -> (usize, usize, usize, usize) {
    let gqa = b.constant(Constant::Gqa);
    let kv = b.range(1, 3);
    let token = b.range(0, (b.config.block - 1).min(b.config.lane_rows / gqa - 1));
    let stride = gqa * (token + 1) + b.range(0, 3);
    let kv = kv.min(b.config.scalars / stride);
    (gqa * kv, token, b.range(0, b.config.scalars - stride * kv), stride)
}

pub(super) fn statq(b: &mut Builder) -> Instr {
    let hdp = b.attention();
    let (n, token, first, stride) = query(b);
    let (c, k) = (first as u32, stride as u16);
    Instr { a: heads(b, n, hdp), c, n: n as u16, m: token as u16, k, ..Default::default() }
}

fn set_scale(b: &mut Builder, index: usize, max: usize, base: i16) {
    let scale = b.range(1, max) as u16;
    let Recip { r, k } = recip(scale.into());
    b.state.scalars_mut()[index] = Scalar { scale, base, r, k: k as u8, ..Default::default() };
}

/// Position and ring pointer of a token that is appended or asks.
fn position(b: &mut Builder) -> (u32, u32) {
    let (sinks, ring) = (b.constant(Constant::NSink), b.constant(Constant::Ring));
    let p = if b.chance(30) { b.range(0, sinks) } else { b.range(sinks, sinks + 5 * ring) };
    let pointer = p.saturating_sub(sinks) % ring;
    (p as u32, (pointer + if b.chance(30) { ring } else { 0 }) as u32)
}

pub(super) fn qk(b: &mut Builder) -> Instr {
    let config = b.config;
    let hdp = b.attention();
    let n = b.range(1, 3);
    let first = b.range(0, config.scalars - n);
    for h in 0..n {
        let base = b.signed(16) as i16;
        set_scale(b, first + h, 4369, base);
    }
    let keys = KeyBeats::of(hdp);
    let region = |slots: usize| {
        let steps = slots / (config.channels * keys.keys);
        steps.div_ceil(keys.chunk()) * keys.chunk_beats()
    };
    let (sink_pad, ring) = (b.constant(Constant::SinkPad), b.constant(Constant::Ring));
    let stride = region(sink_pad) + region(ring) + b.range(0, 3);
    let mut streams = vec![Vec::new(); config.channels];
    for _ in 0..n {
        for slots in [sink_pad, ring] {
            let old = Keys::random(&mut b.rng, hdp, slots).streams(&config);
            for (s, mut beats) in streams.iter_mut().zip(old) {
                beats.resize(region(slots), [0; 64]);
                s.extend(beats);
            }
        }
        streams.iter_mut().for_each(|s| s.resize(s.len().next_multiple_of(stride), [0; 64]));
    }
    let (p, pointer) = position(b);
    let at = b.streams(&streams);
    b.limits.write_low = at;
    b.limits.write_high = at + (n * stride) as u32;
    Instr {
        a: heads(b, n, hdp),
        b: pointer,
        c: at,
        n: n as u16,
        m: p as u16,
        k: stride as u16,
        aux: first as u32,
        ..Default::default()
    }
}

pub(super) fn qv(b: &mut Builder) -> Instr {
    let config = b.config;
    b.attention();
    let n = b.range(1, 3);
    let dim = b.constant(Constant::VDim);
    let slots = b.constant(Constant::SinkPad) + b.constant(Constant::Ring);
    let mut streams = vec![Vec::new(); config.channels];
    for _ in 0..n {
        let old = Values::random(&mut b.rng, dim, slots).streams(&config);
        streams.iter_mut().zip(old).for_each(|(s, beats)| s.extend(beats));
    }
    let (p, pointer) = position(b);
    let at = b.streams(&streams);
    let stride = streams.first().map_or(0, |s| s.len() / n);
    b.limits.write_low = at;
    b.limits.write_high = at + (n * stride) as u32;
    let bits = b.pick(&[5, 8, 16, 32]);
    Instr {
        a: b.values(n * dim, bits),
        b: pointer,
        c: at,
        n: n as u16,
        m: p as u16,
        k: stride as u16,
        sh: b.range(0, bits as usize - 1) as u8,
        aux: (slots / GROUP) as u32,
        ..Default::default()
    }
}

pub(super) fn qq(b: &mut Builder) -> Instr {
    let hdp = b.attention();
    let gqa = b.constant(Constant::Gqa);
    let (n, token, first, stride) = query(b);
    for h in 0..n {
        set_scale(b, first + h / gqa * stride + token * gqa + h % gqa, 259, 0);
    }
    let (c, x) = b.act((token + 1) * gqa, n / gqa * 256);
    Instr {
        a: heads(b, n, hdp),
        b: first as u32,
        c,
        n: n as u16,
        m: token as u16,
        k: stride as u16,
        x,
        ..Default::default()
    }
}

/// Sets GQA to any number of heads up to `most`.
fn group(b: &mut Builder, most: usize) -> usize {
    let gqa = if b.chance(50) { b.range(1, 4) } else { b.range(1, 16) }.min(most);
    b.state.set_constant(Constant::Gqa, gqa as u32);
    gqa
}

pub(super) fn softmax(b: &mut Builder) -> Instr {
    let config = b.config;
    b.attention();
    let wide = b.chance(60);
    let row = b.constant(Constant::ScoreRow);
    let rows = (config.lane_rows >> u32::from(wide)).min(config.sbuf / row * config.lanes);
    let gqa = group(b, rows);
    let m = b.range(0, rows - gqa);
    let n = GROUP * b.range(1, b.constant(Constant::Ring) / GROUP);
    let slots = b.constant(Constant::SinkPad) + n;
    let bits = b.pick(&[8, 20, 26, 31]);
    let lanes = config.lanes;
    let (window, sink) = (b.range(0, config.scalars - rows), b.range(0, config.scalars - rows));
    for m in m..m + gqa {
        // Rows of different magnitudes, of one sign, or equal all over.
        let bits = if b.chance(50) { bits } else { b.range(2, bits as usize) as u32 };
        let (sign, level) = (b.pick(&[0, 0, 1, -1]), b.chance(10).then(|| b.signed(bits) as i32));
        for slot in 0..slots {
            let index = b.state.score_index(m / lanes * row + slot, m % lanes);
            let value = level.unwrap_or(b.signed(bits) as i32);
            let one_sign = value.checked_abs().map_or(value, |v| sign * v);
            b.state.score_mut()[index] = if sign == 0 { value } else { one_sign };
        }
        set_scale(b, window + m, 259, 0);
        set_scale(b, sink + m, 259, 0);
    }
    let (c, x) = b.act((m + gqa) << u32::from(wide), slots * (MACS / GROUP));
    let (p, pointer) = position(b);
    let zm = if b.chance(10) { u16::MAX } else { b.range(1, 65535) as u16 };
    // From all values saturated to all equal, mostly between.
    let shift = b.range(bits as usize, bits as usize + 16).min(47);
    Instr {
        flags: if wide { FLAG_WIDE } else { 0 },
        a: p,
        b: pointer,
        c,
        n: n as u16,
        m: m as u16,
        k: zm,
        sh: if b.chance(10) { b.range(0, 47) } else { shift } as u8,
        x,
        aux: (window | sink << 16) as u32,
        ..Default::default()
    }
}

pub(super) fn attq(b: &mut Builder) -> Instr {
    let n = b.range(1, 128);
    let gqa = group(b, 16);
    let stride = n.next_multiple_of(b.config.vec) + b.config.vec * b.range(0, 2);
    b.state.set_constant(Constant::VDim, stride as u32);
    let (m, col) = (b.range(0, b.config.block - 1), GROUP * b.range(0, 12));
    let (c, x) = b.act(m + 1, col + gqa * n.next_multiple_of(GROUP));
    let scalar = b.range(0, b.config.scalars - gqa);
    for entry in scalar..scalar + gqa {
        let Recip { r, k } = recip((b.rng.next_u64() >> b.range(32, 63)) as u32);
        b.state.scalars_mut()[entry].sum_r = r;
        b.state.scalars_mut()[entry].sum_k = k as u8;
    }
    let bits = b.pick(&[12, 20, 32]);
    Instr {
        a: b.values((gqa - 1) * stride + n, bits),
        b: scalar as u32,
        c,
        n: n as u16,
        m: m as u16,
        k: b.range(1, 65535) as u16,
        sh: b.range(8, 32) as u8,
        x,
        aux: col as u32,
        ..Default::default()
    }
}
