//! Seeded generators of test cases for every opcode: used by the executor's own tests and by those of the RTL.
//!
//! [`case`] gives a valid instruction together with everything that it reads: on-chip state, memories and limits.
//! Run the instruction on the design, and [`Case::golden`] on the same inputs, and compare what they write.
