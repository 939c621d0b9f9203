//! Whole-path tests.

mod faults;
mod long;
mod reference;
mod rtl;
