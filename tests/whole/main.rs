//! Whole-path tests.

mod reference;
