//! Where an element of a tensor is, and how its value is stored there.

use super::space::{Field, Space};

/// The place of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// The element is at this address.
    One(Space, u64),
    /// `256 * high + low`, two addresses.
    Split {
        /// High half.
        high: (Space, u64),
        /// Low half.
        low: (Space, u64),
    },
    /// A signed nibble of a channel's byte.
    Nibble {
        /// Channel.
        channel: u8,
        /// Byte from the channel's base.
        byte: u64,
        /// High nibble.
        high: bool,
    },
    /// Only the reciprocal is kept: its mantissa and exponent in these fields of a scalar.
    Reciprocal(u64),
}

impl Cell {
    /// The addresses of the element.
    pub fn addresses(self) -> impl Iterator<Item = (Space, u64)> {
        let (first, second) = match self {
            Self::One(space, at) => ((space, at), None),
            Self::Split { high, low } => (high, Some(low)),
            Self::Nibble { channel, byte, .. } => ((Space::Channel(channel), byte), None),
            Self::Reciprocal(at) => {
                ((Space::Scalar(Field::SumR), at), Some((Space::Scalar(Field::SumK), at)))
            }
        };
        std::iter::once(first).chain(second)
    }

    /// The stored value. For a reciprocal: mantissa and exponent as `r << 8 | k`.
    pub fn read(self, mut get: impl FnMut(Space, u64) -> i32) -> i32 {
        match self {
            Self::One(space, at) => get(space, at),
            Self::Split { high, low } => 256 * get(high.0, high.1) + get(low.0, low.1),
            Self::Nibble { channel, byte, high } => {
                let v = get(Space::Channel(channel), byte) as u8;
                i32::from(((if high { v } else { v << 4 }) as i8) >> 4)
            }
            Self::Reciprocal(at) => {
                get(Space::Scalar(Field::SumR), at) << 8 | get(Space::Scalar(Field::SumK), at)
            }
        }
    }

    /// What [`Cell::read`] must return where the tensor's element is `value`.
    pub fn stored(self, value: i32) -> i32 {
        match self {
            Self::Reciprocal(_) => {
                let (r, k) = accllm_hw::tables::recip(value as u32);
                i32::from(r) << 8 | k as i32
            }
            _ => value,
        }
    }
}
