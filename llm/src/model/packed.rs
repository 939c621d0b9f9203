//! Levels and embedding entries as the tensor file holds them (`docs/formats.md` §3): no wider than they must be.

use super::{GROUP, Levels, WeightFormat};
use accllm_hw::beat::{PATTERNS, group_w2s};
use rayon::prelude::*;

/// A 2:4 group of columns that keeps fewer than two.
const FEWER: u8 = 0x80;
/// Among these: it keeps one, of column `bits 3:2` and level code `bits 1:0`.
const ONE: u8 = 0x10;

/// Columns in a byte.
fn columns(format: WeightFormat) -> usize {
    match format {
        WeightFormat::W2Sparse | WeightFormat::W2Dense => 4,
        WeightFormat::W4 => 2,
    }
}

/// Bytes of a row of `padded` levels.
pub(super) fn row_bytes(format: WeightFormat, padded: usize) -> usize {
    padded / columns(format)
}

/// The levels of all rows. Levels of a checked model: those under a scale of 0 are not kept.
pub(super) fn pack(w: &Levels) -> Vec<u8> {
    let code = |l: i8| w.format.levels().iter().position(|x| *x == l).unwrap_or(0) as u8;
    let one = |part: &[i8]| match w.format {
        WeightFormat::W2Sparse => pack_group(part, code),
        WeightFormat::W2Dense => part.iter().rev().fold(0, |byte, l| byte << 2 | code(*l)),
        WeightFormat::W4 => part.iter().rev().fold(0, |byte, l| byte << 4 | code(*l)),
    };
    let groups = w.level.par_chunks_exact(GROUP).zip(&w.scale);
    let bytes = groups.flat_map_iter(|(group, scale)| {
        let zeros = [0; GROUP];
        let group = if *scale == 0 { &zeros } else { group };
        group.chunks_exact(columns(w.format)).map(one).collect::<Vec<_>>()
    });
    bytes.collect()
}

/// A 2:4 group as in a beat (7 bits, `accllm_hw::beat::group_w2s`), or one that keeps fewer than two.
fn pack_group(group: &[i8], code: impl Fn(i8) -> u8) -> u8 {
    let four = <&[i8; 4]>::try_from(group).ok().and_then(group_w2s);
    match (four, group.iter().position(|l| *l != 0)) {
        (Some((bits, 2)), _) => bits,
        (_, Some(column)) => FEWER | ONE | (column as u8) << 2 | code(group[column]),
        (_, None) => FEWER,
    }
}

/// The four levels of a byte of a 2:4 weight; `None` where no group is written so.
fn unpack_group(byte: u8) -> Option<[i8; 4]> {
    let level = |code: u8| WeightFormat::W2Sparse.levels()[usize::from(code & 3)];
    let mut group = [0; 4];
    if byte & FEWER == 0 {
        let (a, b) = *PATTERNS.get(usize::from(byte & 7))?;
        (group[a], group[b]) = (level(byte >> 3), level(byte >> 5));
    } else if byte & ONE != 0 {
        group[usize::from(byte >> 2 & 3)] = level(byte);
        (byte & 0x60 == 0).then_some(())?;
    } else {
        (byte == FEWER).then_some(())?;
    }
    Some(group)
}

/// Levels of rows of `padded` columns; those under a scale of 0 are 0, and so are the columns that `used` does not name.
///
/// # Errors
/// The index of the first byte that no levels are written as.
pub(super) fn unpack(
    format: WeightFormat,
    padded: usize,
    bytes: &[u8],
    scale: &[u8],
    used: impl Fn(usize) -> bool + Sync,
) -> Result<Vec<i8>, usize> {
    let sparse: Vec<Option<[i8; 4]>> = (0..=255).map(unpack_group).collect();
    let levels = format.levels();
    let used: Vec<bool> = (0..padded).map(used).collect();
    let groups = padded / GROUP;
    let mut all = vec![0i8; groups * scale.len() / groups.max(1) * GROUP];
    let bad =
        all.par_chunks_exact_mut(GROUP).zip(bytes.par_chunks_exact(GROUP / columns(format))).enumerate();
    let bad = bad.filter_map(|(g, (to, from))| {
        if scale[g] == 0 {
            return None;
        }
        let first = g * from.len();
        match format {
            WeightFormat::W2Sparse => {
                for (i, (to, byte)) in to.chunks_exact_mut(4).zip(from).enumerate() {
                    match &sparse[usize::from(*byte)] {
                        Some(group) => to.copy_from_slice(group),
                        None => return Some(first + i),
                    }
                }
            }
            WeightFormat::W2Dense => {
                for (to, byte) in to.chunks_exact_mut(4).zip(from) {
                    (0..4).for_each(|i| to[i] = levels[usize::from(byte >> (2 * i) & 3)]);
                }
            }
            WeightFormat::W4 => {
                for (to, byte) in to.chunks_exact_mut(2).zip(from) {
                    (0..2).for_each(|i| to[i] = levels[usize::from(byte >> (4 * i) & 15)]);
                }
            }
        }
        let used = &used[g % groups * GROUP..][..GROUP];
        to.iter_mut().zip(used).filter(|(_, used)| !**used).for_each(|(l, _)| *l = 0);
        None
    });
    match bad.min() {
        Some(byte) => Err(byte),
        None => Ok(all),
    }
}

/// Rows of 16-bit numbers, each row as wide as its numbers are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Narrow {
    /// Bits of a number of each row, 0..=16.
    pub width: Vec<u8>,
    /// Zero bits at the low end of all its numbers, which are not kept, 0..=15.
    pub shift: Vec<u8>,
    /// Signed numbers, the first in the lowest bits; each row in whole bytes.
    pub codes: Vec<u8>,
}

impl Narrow {
    /// Of rows of `cols` numbers.
    pub fn pack(data: &[i16], cols: usize) -> Self {
        let rows: Vec<(u8, u8, Vec<u8>)> = data.par_chunks_exact(cols).map(pack_row).collect();
        let mut all = Self::default();
        for (width, shift, codes) in rows {
            all.width.push(width);
            all.shift.push(shift);
            all.codes.extend(codes);
        }
        all
    }

    /// Bytes of the codes of rows of `cols` numbers with these widths.
    pub fn bytes(width: &[u8], cols: usize) -> usize {
        width.iter().map(|w| (usize::from(*w) * cols).div_ceil(8)).sum()
    }

    /// The numbers of rows of `cols`; widths and shifts within their ranges, and as many codes as they need.
    pub fn unpack(&self, cols: usize) -> Vec<i16> {
        let mut rest = &self.codes[..];
        let rows = self.width.iter().zip(&self.shift).map(|(width, shift)| {
            let (row, after) = rest.split_at((usize::from(*width) * cols).div_ceil(8));
            rest = after;
            (*width, *shift, row)
        });
        let rows: Vec<_> = rows.collect();
        rows.into_par_iter()
            .flat_map_iter(|(width, shift, row)| unpack_row(width, shift, row, cols))
            .collect()
    }
}

fn pack_row(row: &[i16]) -> (u8, u8, Vec<u8>) {
    let shift = row.iter().filter(|v| **v != 0).map(|v| v.trailing_zeros()).min().unwrap_or(0);
    // Bits of a signed number: its magnitude's, and the sign's.
    let bits = |v: i16| 17 - (if v < 0 { !v } else { v }).leading_zeros();
    let any = row.iter().any(|v| *v != 0);
    let width = if any { row.iter().map(|v| bits(v >> shift)).max().unwrap_or(0) } else { 0 };
    let mut codes = Vec::with_capacity((width as usize * row.len()).div_ceil(8));
    let (mut held, mut count) = (0u64, 0);
    for v in row {
        held |= (u64::from((v >> shift).cast_unsigned()) & ((1 << width) - 1)) << count;
        count += width;
        while count >= 8 {
            codes.push(held as u8);
            (held, count) = (held >> 8, count - 8);
        }
    }
    if count > 0 {
        codes.push(held as u8);
    }
    (width as u8, shift as u8, codes)
}

fn unpack_row(width: u8, shift: u8, row: &[u8], cols: usize) -> Vec<i16> {
    let (mut held, mut count, mut bytes) = (0u64, 0, row.iter());
    let one = |_| {
        while count < width {
            held |= u64::from(bytes.next().copied().unwrap_or(0)) << count;
            count += 8;
        }
        let low = held & ((1 << width) - 1);
        (held, count) = (held >> width, count - width);
        // The sign is the highest bit.
        let spare = 16 - u32::from(width);
        if width == 0 { 0 } else { ((low as u16) << spare).cast_signed() >> spare << shift }
    };
    (0..cols).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Levels of a format with scales, some of them 0, for 2 rows of 72 columns, of which some of the last 32 are padding.
    fn weights() -> impl Strategy<Value = Levels> {
        let format =
            prop::sample::select(vec![WeightFormat::W2Sparse, WeightFormat::W2Dense, WeightFormat::W4]);
        let random = prop::collection::vec(any::<u8>(), 2 * 96);
        (format, random, prop::collection::vec(0u8..4, 6)).prop_map(|(format, random, scale)| {
            let one = |(i, r): (usize, &u8)| {
                let levels = format.levels();
                let zero = scale[i / GROUP] == 0 || i % 96 >= 72;
                if zero { 0 } else { levels[usize::from(*r) % levels.len()] }
            };
            let mut level: Vec<i8> = random.iter().enumerate().map(one).collect();
            if format == WeightFormat::W2Sparse {
                for (group, r) in level.chunks_exact_mut(4).zip(&random) {
                    // Two at most.
                    (group[usize::from(r & 3)], group[usize::from(r >> 2 & 3)]) = (0, 0);
                    if group.iter().filter(|l| **l != 0).count() > 2 {
                        group[usize::from(r.wrapping_add(1) & 3)] = 0;
                    }
                }
            }
            Levels { format, rows: 2, cols: 72, level, scale, offset: vec![] }
        })
    }

    proptest! {
        #[test]
        fn levels_come_back(w in weights()) {
            let bytes = pack(&w);
            prop_assert_eq!(bytes.len(), 2 * row_bytes(w.format, 96));
            prop_assert_eq!(unpack(w.format, 96, &bytes, &w.scale, |c| c < 72), Ok(w.level));
        }

        #[test]
        fn numbers_come_back(
            rows in prop::collection::vec((0u32..16, prop::collection::vec(any::<i16>(), 9)), 1..6),
        ) {
            let data: Vec<i16> = rows.iter().flat_map(|(s, row)| row.iter().map(move |v| v >> s << (s / 2))).collect();
            let narrow = Narrow::pack(&data, 9);
            prop_assert_eq!(Narrow::bytes(&narrow.width, 9), narrow.codes.len());
            prop_assert_eq!(narrow.unpack(9), data);
        }
    }

    #[test]
    fn no_wider_than_they_must_be() {
        let narrow = Narrow::pack(&[0, 0, 1, 0, -1, 0, 8, -8, -32768, 32767, 64, -128], 2);
        assert_eq!(narrow.width, [0, 2, 1, 2, 16, 2]);
        assert_eq!(narrow.shift, [0, 0, 0, 3, 0, 6]);
        assert_eq!(narrow.codes.len(), 4 + 4);
    }

    #[test]
    fn bytes_that_are_no_group() {
        let good = (0..=255u8).filter(|b| unpack_group(*b).is_some()).count();
        assert_eq!(good, 6 * 16 + 4 * 4 + 1);
        let scale = [1, 1];
        let mut bytes = [FEWER; 16];
        bytes[11] = 7;
        assert_eq!(unpack(WeightFormat::W2Sparse, 64, &bytes, &scale, |_| true), Err(11));
    }
}
