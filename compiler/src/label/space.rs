//! Address spaces of the engine, element by element, as the golden executor and the trace ports report writes.

use std::fmt;

/// Fields of a scalar file entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Step of K or Q.
    Scale,
    /// Base of K.
    Base,
    /// Mantissa of a reciprocal or reciprocal root.
    R,
    /// Its exponent.
    K,
    /// Sum of a query's codes.
    QSum,
    /// Mantissa of the reciprocal of the softmax sum.
    SumR,
    /// Its exponent.
    SumK,
}

/// A memory that elements are written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Vector memory; address = element.
    Vmem,
    /// Activation buffer of a lane; address = word * 256 + column.
    Act(u8),
    /// Score buffer of a lane; address = element.
    Score(u8),
    /// A field of the scalar file; address = entry.
    Scalar(Field),
    /// Result registers; 0 = index, 1 = value.
    Result,
    /// A channel's memory; address = byte from its base.
    Channel(u8),
    /// Auxiliary memory; address = byte from its base.
    Aux,
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vmem => f.write_str("vmem"),
            Self::Act(l) => write!(f, "act.lane{l}"),
            Self::Score(l) => write!(f, "score.lane{l}"),
            Self::Scalar(field) => write!(f, "scalar.{}", format!("{field:?}").to_lowercase()),
            Self::Result => f.write_str("result"),
            Self::Channel(c) => write!(f, "channel{c}"),
            Self::Aux => f.write_str("aux"),
        }
    }
}
