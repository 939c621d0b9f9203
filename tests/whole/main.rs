//! Whole-path tests.

mod batch;
mod faults;
mod long;
mod reference;
mod rtl;
