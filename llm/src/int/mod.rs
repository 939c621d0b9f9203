//! Integer reference model: the arithmetic of `docs/numerics.md`, whole model, no floating point.
//!
//! Slow parts run on all cores; the result is the same for any thread count, any block size and any instruction set.

mod attention;
mod cache;
mod emit;
mod forward;
mod kernel;
mod matmul;
mod pack;
mod scorer;
mod sequence;
mod tap;

pub use pack::Prepared;
pub use sequence::{Logits, Sequence};
pub use tap::{At, IntTap, NoIntTap};
