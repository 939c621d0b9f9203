//! Integer reference model: the arithmetic of `docs/numerics.md`, whole model, no floating point.
//!
//! Slow parts run on all cores; the result is the same for any thread count and any block size.

mod attention;
mod cache;
mod emit;
mod head_cache;
mod matmul;
mod session;
mod tap;

pub use head_cache::HeadCache;
pub use session::{Logits, Session};
pub use tap::{At, IntTap, NoIntTap, Point};
