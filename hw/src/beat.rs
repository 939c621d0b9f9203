//! Beat formats of `docs/formats.md` §1: packing and unpacking.

use crate::config::{BEAT_BYTES, MACS, PARAMS};
use std::sync::LazyLock;

/// One 512-bit memory beat.
pub type Beat = [u8; BEAT_BYTES];

/// How a weight is stored; a field of the instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightFormat {
    /// 2:4 sparse, 2-bit levels, 256 columns a beat with its scales.
    W2Sparse,
    /// Dense 2-bit levels, 256 columns a beat, scale beats.
    W2Dense,
    /// Dense 4-bit levels, 128 columns a beat, scale beats with offsets.
    W4,
}

impl WeightFormat {
    /// All formats, in the order of their codes in instructions.
    pub const ALL: [Self; 3] = [Self::W2Sparse, Self::W2Dense, Self::W4];

    /// Code in instructions.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Name in manifests: `w2s`, `w2d`, `w4`.
    pub fn name(self) -> &'static str {
        ["w2s", "w2d", "w4"][self as usize]
    }

    /// The format of that manifest name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }

    /// Columns of one value beat.
    pub fn columns(self) -> usize {
        if self == Self::W4 { 128 } else { 256 }
    }

    /// Value beats that one scale beat covers (0: scales are in the value beat).
    pub fn scale_chunk(self) -> usize {
        if self == Self::W2Sparse { 0 } else { BEAT_BYTES / SCALE_BYTES }
    }

    /// Bits that a weight takes, with its part of scales and offsets.
    pub fn bits(self) -> f64 {
        [2.0, 2.25, 4.5][self as usize]
    }

    /// Levels that a stored value can have, by code.
    pub fn levels(self) -> &'static [i8] {
        match self {
            Self::W2Sparse => &[-2, -1, 1, 2],
            Self::W2Dense => &[-3, -1, 1, 3],
            Self::W4 => &[0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1],
        }
    }
}

/// Bytes of a scale beat that belong to one value beat: eight scales (W2 dense), or four scales and four offsets (W4).
pub const SCALE_BYTES: usize = 8;

/// An offset is in units of `2^OFFSET_SHIFT` of what a scale is in: `w = level * scale + offset * 2^OFFSET_SHIFT`.
pub const OFFSET_SHIFT: u32 = 2;

/// The two kept columns of each 2:4 pattern.
pub const PATTERNS: [(usize, usize); 6] = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)];

/// Reads `n` ≤ 8 bits at bit position `at`.
pub fn get_bits(beat: &Beat, at: usize, n: usize) -> u8 {
    let lo = u16::from(beat[at / 8]);
    let hi = beat.get(at / 8 + 1).map_or(0, |&b| u16::from(b));
    (((lo | hi << 8) >> (at % 8)) & ((1 << n) - 1)) as u8
}

/// Writes `n` ≤ 8 bits at bit position `at`, into zeros.
pub fn put_bits(beat: &mut Beat, at: usize, n: usize, value: u8) {
    let v = u16::from(value & ((1u16 << n) - 1) as u8) << (at % 8);
    beat[at / 8] |= v as u8;
    if at % 8 + n > 8 {
        beat[at / 8 + 1] |= (v >> 8) as u8;
    }
}

/// Nibble of multiplier `m` in 4-bit beats (W4, K, V).
#[inline]
pub fn nibble_of(m: usize) -> usize {
    (m % 32) * 4 + m / 32
}

/// Reads the signed nibble of multiplier `m`.
#[inline]
pub fn get_nibble(beat: &Beat, m: usize) -> i8 {
    let n = nibble_of(m);
    let v = (beat[n / 2] >> (4 * (n % 2))) & 15;
    ((v << 4) as i8) >> 4
}

/// Overwrites the nibble of multiplier `m`.
#[inline]
pub fn set_nibble(beat: &mut Beat, m: usize, v: i8) {
    let n = nibble_of(m);
    let sh = 4 * (n % 2);
    beat[n / 2] = (beat[n / 2] & !(15 << sh)) | ((v as u8 & 15) << sh);
}

/// The 7 bits of a 2:4 group, by its four levels (-2..=2, as digits of base 5); with the number of kept columns.
static GROUPS: LazyLock<[Option<(u8, u8)>; 625]> = LazyLock::new(|| {
    std::array::from_fn(|index| {
        let level = |c: u32| (index / 5usize.pow(3 - c) % 5) as i8 - 2;
        let kept: Vec<usize> = (0..4).filter(|&c| level(c as u32) != 0).collect();
        let pattern = PATTERNS.iter().position(|&(a, b)| kept.iter().all(|&c| c == a || c == b))?;
        let (a, b) = PATTERNS[pattern];
        let code = |c: usize| {
            let levels = WeightFormat::W2Sparse.levels();
            levels.iter().position(|&l| l == level(c as u32)).unwrap_or(0) as u8
        };
        Some((pattern as u8 | code(a) << 3 | code(b) << 5, kept.len() as u8))
    })
});

/// The 7 bits of a 2:4 group of four levels (0 = pruned), and how many columns it keeps. `None` where it keeps more
/// than two, or a level is not of the format.
#[inline]
pub fn group_w2s(levels: &[i8; 4]) -> Option<(u8, u8)> {
    let digit = |l: i8| usize::from((l + 2) as u8);
    if levels.iter().any(|l| !(-2..=2).contains(l)) {
        return None;
    }
    let index = levels.iter().fold(0, |n, &l| 5 * n + digit(l));
    GROUPS[index]
}

/// Packs 256 levels (0 = pruned) and 8 scales as a W2 2:4 beat.
///
/// A group with fewer than two non-zero levels keeps further columns at level -2, code 0: allowed only where the
/// scale or the activation is zero. `None` where a group keeps more than two, or a level is not of the format.
pub fn pack_w2s(levels: &[i8], scales: &[u8]) -> Option<Beat> {
    let mut beat = [0; BEAT_BYTES];
    // Eight groups are 7 bytes.
    for (bytes, levels) in beat.chunks_exact_mut(7).zip(levels.chunks(32)) {
        let mut word = 0u64;
        for (i, group) in levels.chunks(4).enumerate() {
            let mut four = [0; 4];
            four[..group.len()].copy_from_slice(group);
            word |= u64::from(group_w2s(&four)?.0) << (7 * i);
        }
        bytes.copy_from_slice(&word.to_le_bytes()[..7]);
    }
    for (j, &s) in scales.iter().enumerate() {
        beat[56 + j] = s;
    }
    Some(beat)
}

/// Kept weights of a W2 2:4 beat: for multiplier 2i+k, `(column, level)`.
pub fn unpack_w2s(beat: &Beat) -> [(usize, i8); 128] {
    std::array::from_fn(|m| {
        let bits = get_bits(beat, 7 * (m / 2), 7);
        let (a, b) = PATTERNS[usize::from(bits & 7).min(5)];
        let (col, v) = if m % 2 == 0 { (a, bits >> 3 & 3) } else { (b, bits >> 5 & 3) };
        (m / 2 * 4 + col, WeightFormat::W2Sparse.levels()[usize::from(v)])
    })
}

/// Packs 256 dense 2-bit levels; 0 (padding) becomes -3. `None` where a level is not of the format.
pub fn pack_w2d(levels: &[i8]) -> Option<Beat> {
    let mut beat = [0; BEAT_BYTES];
    for (i, &l) in levels.iter().enumerate() {
        let code = if l == 0 { 0 } else { WeightFormat::W2Dense.levels().iter().position(|&x| x == l)? };
        put_bits(&mut beat, 2 * i, 2, code as u8);
    }
    Some(beat)
}

/// Level of column `c` of a dense 2-bit beat.
pub fn get_w2d(beat: &Beat, c: usize) -> i8 {
    2 * get_bits(beat, 2 * c, 2) as i8 - 3
}

/// Packs 128 four-bit levels. `None` where a level is outside -8..7.
pub fn pack_w4(levels: &[i8]) -> Option<Beat> {
    let mut beat = [0; BEAT_BYTES];
    for (m, &l) in levels.iter().enumerate() {
        if !(-8..=7).contains(&l) {
            return None;
        }
        set_nibble(&mut beat, m, l);
    }
    Some(beat)
}

/// Parameter word of a weight row.
pub fn row_param(mult: u16, shift: u8) -> u32 {
    u32::from(mult) | u32::from(shift & 63) << 16
}

/// Parameter word of a K token.
pub fn key_param(scale: u16, base: i16) -> u32 {
    u32::from(scale) | u32::from(base as u16) << 16
}

/// Step and base in the parameter word of a K token.
pub fn key_of_param(word: u32) -> (u16, i16) {
    (word as u16, ((word >> 16) as u16).cast_signed())
}

/// Word `i` (0..16) of a parameter beat.
pub fn get_param(beat: &Beat, i: usize) -> u32 {
    u32::from_le_bytes([beat[4 * i], beat[4 * i + 1], beat[4 * i + 2], beat[4 * i + 3]])
}

/// Sets word `i` (0..16) of a parameter beat.
pub fn set_param(beat: &mut Beat, i: usize, v: u32) {
    beat[4 * i..4 * i + 4].copy_from_slice(&v.to_le_bytes());
}

/// How the keys of a head lie in beats (docs/formats.md §2). A step of keys is one beat with two of them, one with one, or two
/// beats with one; a parameter beat comes before the steps of 16 keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyBeats {
    /// Keys of a step.
    pub keys: usize,
    /// Beats of a step.
    pub beats: usize,
}

impl KeyBeats {
    /// Of heads of that padded width.
    pub const fn of(hdp: usize) -> Self {
        Self { keys: MACS.div_ceil(hdp), beats: hdp.div_ceil(MACS) }
    }

    /// Steps after a parameter beat.
    pub const fn chunk(self) -> usize {
        PARAMS / self.keys
    }

    /// A parameter beat and all the steps after it, beats.
    pub const fn chunk_beats(self) -> usize {
        1 + self.chunk() * self.beats
    }

    /// Beats of `steps` steps with their parameters.
    pub const fn total(self, steps: usize) -> usize {
        steps * self.beats + steps.div_ceil(self.chunk())
    }

    /// Beat of a step's parameters, and first beat of its codes, from the start of their region.
    pub const fn at(self, step: usize) -> (usize, usize) {
        let parameters = step / self.chunk() * self.chunk_beats();
        (parameters, parameters + 1 + step % self.chunk() * self.beats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn w2s_round_trip(raw in proptest::collection::vec((0usize..6, 0usize..4, 0usize..4), 64), scales: [u8; 8]) {
            let mut levels = vec![0i8; 256];
            for (i, &(p, a, b)) in raw.iter().enumerate() {
                let lv = WeightFormat::W2Sparse.levels();
                levels[4 * i + PATTERNS[p].0] = lv[a];
                levels[4 * i + PATTERNS[p].1] = lv[b];
            }
            let beat = pack_w2s(&levels, &scales).unwrap();
            let mut back = vec![0i8; 256];
            for (c, l) in unpack_w2s(&beat) {
                back[c] = l;
            }
            prop_assert_eq!(back, levels);
            prop_assert_eq!(&beat[56..], &scales[..]);
        }

        #[test]
        fn w4_and_w2d_round_trip(raw in proptest::collection::vec(-8i8..8, 256)) {
            let beat = pack_w4(&raw[..128]).unwrap();
            prop_assert!((0..128).all(|m| get_nibble(&beat, m) == raw[m]));
            let two: Vec<i8> = raw.iter().map(|&v| [-3, -1, 1, 3][(v & 3) as usize]).collect();
            let beat = pack_w2d(&two).unwrap();
            prop_assert!((0..256).all(|c| get_w2d(&beat, c) == two[c]));
        }
    }

    #[test]
    fn three_kept_in_a_group_is_refused() {
        let mut levels = vec![0i8; 256];
        levels[..3].copy_from_slice(&[1, 1, 1]);
        assert!(pack_w2s(&levels, &[0; 8]).is_none());
    }

    #[test]
    fn keys_of_all_widths() {
        let [narrow, whole, wide] = [64, 128, 256].map(KeyBeats::of);
        assert_eq!([narrow, whole, wide].map(|k| (k.keys, k.beats)), [(2, 1), (1, 1), (1, 2)]);
        assert_eq!([narrow, whole, wide].map(KeyBeats::chunk_beats), [9, 17, 33]);
        assert_eq!([narrow, whole, wide].map(|k| k.at(17)), [(18, 20), (17, 19), (33, 36)]);
        assert_eq!([narrow, whole, wide].map(|k| k.total(17)), [20, 19, 36]);
    }

    #[test]
    fn a_token_of_v_is_two_whole_bytes() {
        let bytes: Vec<_> = (0..4).map(|g| nibble_of(32 * g + 5) / 2).collect();
        assert_eq!(bytes, [10, 10, 11, 11]);
    }
}
