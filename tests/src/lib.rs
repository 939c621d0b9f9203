//! Whole-path tests across the crates, and what they share: the tensors of `docs/numerics.md` read back from what
//! the golden executor wrote, and their comparison with the integer reference model.

pub mod compare;
pub mod tensors;
