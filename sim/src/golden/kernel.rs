//! The inner loops: beats to levels, dot products of levels and activations.

use std::sync::LazyLock;

use accllm_hw::beat::{Beat, OFFSET_SHIFT, PATTERNS, WeightFormat};
use accllm_hw::config::{COLS, GROUP, MACS};

/// Levels of a beat, one per column (or multiplier), 16 bits wide for multiply-add.
pub(super) type Levels = [i16; COLS];

/// Four columns of a 2:4 group, by its 7 bits.
static SPARSE: LazyLock<[[i16; 4]; 128]> = LazyLock::new(|| {
    std::array::from_fn(|bits| {
        let levels = WeightFormat::W2Sparse.levels();
        let (a, b) = PATTERNS[(bits & 7).min(PATTERNS.len() - 1)];
        let mut out = [0; 4];
        out[a] = levels[bits >> 3 & 3].into();
        out[b] = levels[bits >> 5 & 3].into();
        out
    })
});

/// Four columns of a dense 2-bit beat, by their byte.
static DENSE: LazyLock<[[i16; 4]; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| std::array::from_fn(|i| 2 * (byte >> (2 * i) & 3) as i16 - 3))
});

/// Levels of a 2:4 beat; its scales are its last 8 bytes.
pub(super) fn levels_w2s(beat: &Beat, out: &mut Levels) {
    let table = &*SPARSE;
    for (eight, quads) in out.chunks_exact_mut(32).enumerate() {
        // Eight groups are 7 bytes; the word's top byte belongs to the next eight.
        let word = u64::from_le_bytes(std::array::from_fn(|i| beat[7 * eight + i]));
        for (i, quad) in quads.chunks_exact_mut(4).enumerate() {
            quad.copy_from_slice(&table[(word >> (7 * i)) as usize & 127]);
        }
    }
}

/// Levels of a dense 2-bit beat.
pub(super) fn levels_w2d(beat: &Beat, out: &mut Levels) {
    let table = &*DENSE;
    for (quad, &byte) in out.chunks_exact_mut(4).zip(beat) {
        quad.copy_from_slice(&table[usize::from(byte)]);
    }
}

/// Levels of the 128 multipliers of a 4-bit beat (W4, K, V), in the first half of `out`.
pub(super) fn levels_nibbles(beat: &Beat, out: &mut Levels) {
    let (low, high) = out[..MACS].split_at_mut(64);
    let ((g0, g1), (g2, g3)) = (low.split_at_mut(GROUP), high.split_at_mut(GROUP));
    let signed = |v: u8| i16::from((v << 4) as i8 >> 4);
    for (s, pair) in beat.chunks_exact(2).enumerate() {
        g0[s] = signed(pair[0]);
        g1[s] = i16::from(pair[0] as i8 >> 4);
        g2[s] = signed(pair[1]);
        g3[s] = i16::from(pair[1] as i8 >> 4);
    }
}

/// Sum of products of two rows of equal length, at most 2^8 products of a level and an activation: it cannot
/// overflow, and said so (wrapping) it becomes vector instructions.
#[inline]
pub(super) fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).fold(0, |s: i32, (&a, &b)| s.wrapping_add(i32::from(a).wrapping_mul(i32::from(b))))
}

/// Sum over the groups of 32 columns of a beat of `scale * dot`, below 2^27.
#[inline]
pub(super) fn scaled_dot(levels: &[i16], x: &[i16], scales: &[u8]) -> i32 {
    let groups = levels.chunks_exact(GROUP).zip(x.chunks_exact(GROUP)).zip(scales);
    groups.fold(0, |sum: i32, ((l, x), &s)| sum.wrapping_add(dot(l, x).wrapping_mul(s.into())))
}

/// What the offsets (signed bytes) of the groups of 32 columns of a W4 beat add, below 2^24.
#[inline]
pub(super) fn offset_dot(x: &[i16], offsets: &[u8]) -> i32 {
    let sum = |x: &[i16]| x.iter().fold(0, |s: i32, &x| s.wrapping_add(x.into()));
    let each = x.chunks_exact(GROUP).zip(offsets).map(|(x, &o)| sum(x) * i32::from(o.cast_signed()));
    each.sum::<i32>() << OFFSET_SHIFT
}
